//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A program of --exec that never reads its input holds neither the end of a call nor listen, whatever the contact sends.
func TestAProgramThatNeverReads(t *testing.T) {
	inFull(t)
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	ours, theirs := filepath.Join(dir, "ben"), filepath.Join(dir, "ann")
	kept(t, server, ours, 1, func(int) string { return theirs })
	bot := filepath.Join(dir, "bot")
	if err := os.WriteFile(bot, []byte("#!/bin/sh\necho started >&2\nexec sleep 600\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	env := []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}
	launchWith(t, t.TempDir(), env, "contacts", "ring", "@c0", "accept").finishes(t, 0)
	ben := launchWith(t, t.TempDir(), env, "listen", "--exec", bot)
	ben.notes(t, `Listening for @c0`)
	for round := range 2 {
		ann := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann"}, "call", "@ben", "--ui", "json", "--no-outbox")
		ann.prints(t, `"type":"connected"`)
		for n := range 8 { // more than a pipe holds
			ann.say(t, fmt.Sprintf(`{"type":"message","text":"%d %s"}`, n, strings.Repeat("x", 32<<10)))
		}
		ann.prints(t, `"id":1,"type":"delivered"`)
		ann.say(t, `{"type":"leave"}`)
		ann.finishes(t, 1) // it is told what was not delivered
		if n := strings.Count(ben.err.String(), "started"); n != round+1 {
			t.Errorf("%d programs were started in %d calls", n, round+1)
		}
	}
	_ = ben.cmd.Process.Signal(syscall.SIGTERM)
	ben.finishes(t, 0)
}
