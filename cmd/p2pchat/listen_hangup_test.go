package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A caller who hangs up while it rings waits for no one, and its next call rings as soon as the first one did.
func TestHangUpWhileItRings(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	ours, theirs := filepath.Join(dir, "ben"), filepath.Join(dir, "ann")
	kept(t, server, ours, 1, func(int) string { return theirs })
	ben := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}, "listen", "--ui", "json")
	ben.prints(t, `"type":"listening"`)
	for range 3 {
		ann := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann"}, "call", "@ben", "--ui", "json")
		begun := time.Now()
		ann.prints(t, `"type":"ringing"`)
		rings := time.Since(begun)
		begun = time.Now()
		ann.say(t, `{"type":"leave"}`)
		ann.finishes(t, 0)
		ends := time.Since(begun)
		ben.prints(t, `"how":"missed"`)
		t.Logf("it rings after %v; hung up after %v", rings.Round(time.Millisecond), ends.Round(time.Millisecond))
		if ends > 1500*time.Millisecond || rings > 4*time.Second {
			t.Errorf("it rings after %v; hung up after %v", rings, ends)
		}
	}
}

// The contacts are listed again after a call, and not when it changes the keys of one.
func TestContactsAreListedAfterACall(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	ours, theirs := filepath.Join(dir, "ben"), filepath.Join(dir, "ann")
	kept(t, server, ours, 1, func(int) string { return theirs })
	ben := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}, "listen", "--ui", "json")
	ben.prints(t, `"type":"listening"`)
	ann := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann"}, "call", "@ben", "--ui", "json")
	ben.prints(t, `"type":"call"`)
	ben.say(t, `{"type":"answer"}`)
	ben.prints(t, `"type":"stats"`) // listen has looked at its contacts since
	if out := ben.out.String(); strings.Count(out, `"type":"listening"`) != 1 {
		t.Errorf("in the call it prints\n%s", out)
	}
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
	eventually(t, func() bool { return strings.Count(ben.out.String(), `"type":"listening"`) == 2 }, func() string { return "it does not list the contacts after the call:\n" + ben.out.String() })
}
