package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// At debug level, the log of a call has each candidate, and each phase with its duration. It has no room, no secret and no token.
func TestDebugLog(t *testing.T) {
	t.Parallel()
	server := strings.Replace(serving(t), "127.0.0.1", "localhost", 1)
	args := []string{"standup-amber-falcon", "--server", server, "--log-level", "debug"}
	caller := launch(t, append([]string{"call"}, args...)...)
	caller.notes(t, "Waiting for the other side")
	callee := launch(t, append([]string{"answer"}, args...)...)
	for _, p := range []*process{caller, callee} {
		p.notes(t, "Connected with")
		p.notes(t, `phase="first message"`)
	}
	for name, p := range map[string]*process{"call": caller, "answer": callee} {
		_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
		p.finish(t)
		log := regexp.MustCompile(`(?m)^.*level=DEBUG.*$`).FindAllString(p.err.String(), -1)
		text := strings.Join(log, "\n")
		for _, want := range []string{
			`candidate of this side" type=host protocol=udp address=\S+ port=\d+`, `candidate of the other side" type=host address=\S+ port=\d+`,
			`phase=DNS took=`, `phase=TCP took=`, `phase="HTTP POST (offer|answer)" took=`, `phase="HTTP GET (offer|answer)-candidates, which waits" took=`,
			`phase=gathering took=`, `phase=ICE took=`, `phase=DTLS took=`, `phase=SCTP took=`, `phase=trust took=`, `phase="first message" took=`,
		} {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("%s: its log has no %s:\n%s", name, want, text)
			}
		}
		for _, secret := range []string{"standup", "amber", "falcon", "Bearer", "token"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: its log has %q:\n%s", name, secret, text)
			}
		}
	}
}
