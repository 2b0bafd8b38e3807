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

// --wait is also how long it rings. The message of a caller who is not answered is left as for one who is away, with the keys that both have.
func TestWaitWhileItRings(t *testing.T) {
	t.Parallel()
	server, dir := serving(t, "--mail"), t.TempDir()
	ours, theirs := filepath.Join(dir, "ben"), filepath.Join(dir, "ann")
	kept(t, server, ours, 1, func(int) string { return theirs })
	ben := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben", "P2PCHAT_NO_OUTBOX=false"}, "listen", "--ui", "json")
	ben.prints(t, `"type":"listening"`)
	begun := time.Now()
	ann := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann", "P2PCHAT_NO_OUTBOX=false"}, "call", "@ben", "--ui", "json", "--wait", "5s")
	ann.say(t, `{"type":"message","text":"please call me"}`)
	ann.prints(t, `"type":"ringing"`)
	ann.finishes(t, exitAbsent)
	if took := time.Since(begun); took > 20*time.Second { // it would ring for a minute
		t.Errorf("it took %v", took)
	}
	ann.prints(t, `the other side did not answer the call, and 1 message was not read yet: it waits at the server`)
	ben.prints(t, `"how":"missed"`)
	ben.prints(t, `"text":"please call me"`)
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
