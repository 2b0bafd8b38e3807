package main

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// Errors that happened together are one line. What follows the whole sentences of a server is a sentence, too.
func TestErrorsOnOneLine(t *testing.T) {
	t.Parallel()
	unsent := errors.New("1 line was not delivered")
	refusal, _ := signaling.ProblemOf(signaling.ErrTooMany)
	for _, c := range []struct {
		err  error
		want string
	}{
		{unsent, "1 line was not delivered"},
		{errors.Join(errAbsent, unsent), "the other side did not come in time, and 1 line was not delivered"},
		{refusal, "Your network address sends too many requests. Try again in a moment"},
		{fmt.Errorf("%w; kept: to go on, run p2pchat call --resume", errors.Join(refusal, unsent)),
			"Your network address sends too many requests. Try again in a moment. 1 line was not delivered; kept: to go on, run p2pchat call --resume"},
		{errors.Join(errAbsent, refusal, unsent), "the other side did not come in time. Your network address sends too many requests. Try again in a moment. 1 line was not delivered"},
		{fmt.Errorf("%w, and %w", refusal, unsent), "Your network address sends too many requests. Try again in a moment. 1 line was not delivered"}, // by chat
	} {
		if got := flatten(c.err); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A machine that lets the program open no more files is why there is no path: the other side's addresses could not be read.
func TestNoPathForWantOfFiles(t *testing.T) {
	for last, want := range map[error]string{
		fmt.Errorf("%w: %w", signaling.ErrUnreachable, syscall.EMFILE): "machine",
		signaling.ErrUnreachable: "no-path", // it answers again
		nil:                      "no-path",
	} {
		o := outage{path: fmt.Errorf("%w: none of their addresses answered", peer.ErrNoPath), last: last, open: true}
		if _, code, _ := ending(o.cause(&talkOptions{}, errAbsent)); code != want {
			t.Errorf("after %v, the error is %s, not %s", last, code, want)
		}
	}
}
