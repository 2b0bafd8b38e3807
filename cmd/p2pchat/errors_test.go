package main

import (
	"errors"
	"fmt"
	"testing"

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
