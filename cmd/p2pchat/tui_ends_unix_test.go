//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// One whose call is declined while she types stays on the screen until she closes it: the shell must not run the rest of her line. The
// same holds for what she types when the contact has left. What she did not send is told below the screen.
func TestOneWhoTypesWhenTheCallEnds(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	ours, theirs := filepath.Join(dir, "ben"), filepath.Join(dir, "ann")
	kept(t, server, ours, 1, func(int) string { return theirs })
	env := []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann"}
	const closes = `^It cannot be sent: the call is over\. To close this screen: Ctrl-C, then Enter\.$`
	tells := func(ann *window, draft string) {
		t.Helper()
		w := ann.written()
		if after := w[strings.LastIndex(w, "\x1b[?1049l"):]; strings.Count(after, "p2pchat: This was not sent: "+draft+"\r\n") != 1 {
			t.Errorf("%q is not told once below the screen: %q", draft, after)
		}
	}

	ben := openWindow(t, 70, 14, []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}, "listen")
	ben.shows("listening for 1 contact")
	ann := openWindow(t, 80, 24, env, "call", "@ben")
	ann.shows("It is ringing")
	ann.types("I wanted to say that ")
	ann.shows("> I wanted to say that$")
	ben.shows("@c0  is calling")
	ben.types("d")
	ann.shows(`The other side declined the call`)
	ann.types("touch OOPS\r")
	ann.shows(closes)
	ann.types("\x03\r")
	ann.ends(exitAbsent)
	tells(ann, "I wanted to say that touch OOPS")

	ann = openWindow(t, 80, 24, env, "call", "@ben")
	ben.shows("@c0  is calling")
	ben.types("a")
	ann.shows(`● ben · verified`)
	ben.shows(`● c0 · verified`)
	ben.types("\x04")
	ann.shows(`ben has left`)
	ann.types("one more thing\r")
	ann.shows(closes)
	ann.types("\x03\r")
	ann.ends(0)
	tells(ann, "one more thing")
	ben.types("q")
	ben.ends(0)
}
