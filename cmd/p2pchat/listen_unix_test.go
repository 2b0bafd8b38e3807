//go:build unix

package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"p2pchat/peer/mail"
)

// On a terminal, listen shows the contacts. A call has the terminal until it ends, and is told who else calls.
func TestListenOnATerminal(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	state := func(i int) string { return filepath.Join(dir, fmt.Sprint("c", i)) }
	ours := filepath.Join(dir, "ben")
	kept(t, server, ours, 3, state)
	env := []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben"}
	launchWith(t, t.TempDir(), env, "contacts", "ring", "@c2", "refuse").finishes(t, 0)
	ben := openWindow(t, 70, 14, env, "listen")
	ben.shows(`> ○ @c`)
	ben.shows(`○ @c2  may not call`)
	ben.shows(`listening for 2 contacts`)
	calls := func(i int) *process {
		return launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state(i), "P2PCHAT_NAME=" + fmt.Sprint("c", i)}, "call", "@ben", "--ui", "json")
	}

	one := calls(1)
	ben.shows(`> ● @c1  is calling, \d+ s`)
	ben.titled("@c1 is calling – p2pchat")
	one.prints(t, `"type":"ringing"`)
	ben.types("\r")
	ben.shows(`Connected with c1`)
	one.say(t, `{"type":"message","text":"good evening"}`)
	ben.shows(`c1\s+good evening`)
	ben.types("to you, too\r")
	one.prints(t, `"text":"to you, too"`)

	zero := calls(0)
	ben.shows(`@c0 is calling, for a minute at most\. End this call to answer\.`)
	ben.until("the bell rings twice", ringsTwice)
	one.say(t, `{"type":"leave"}`)
	one.finishes(t, 0)
	ben.shows(`c1 has left`)
	ben.types("\r")
	ben.shows(`> ● @c0  is calling`)
	ben.shows(`○ @c1  answered at \d\d:\d\d`)
	ben.types("d")
	ben.shows(`> ○ @c0  declined at \d\d:\d\d`)
	zero.finishes(t, exitAbsent)

	one = calls(1)
	ben.shows(`> ● @c1  is calling`)
	ben.types("\r")
	one.prints(t, `"type":"connected"`)
	ben.shows(`● c1 · verified`)
	ben.types("\x03\x03") // Ctrl-C
	ben.shows(`listening for 2 contacts`)
	one.finishes(t, 0)
	if strings.Contains(ben.text(), "interrupted") {
		t.Errorf("it tells the person of Ctrl-C:\n%s", ben.text())
	}

	ben.resize(20, 5)
	ben.shows(`a answers, d not`)
	ben.types("q")
	ben.ends(0)
}

// ringsTwice reports whether the bell, which also ends the title of a window, has rung twice.
func ringsTwice(written string) bool {
	return strings.Count(regexp.MustCompile(`\x1b\][^\a]*\a`).ReplaceAllString(written, ""), "\a") == 2
}

// On a terminal, listen shows what a server does to letters, and that they wait.
func TestListenOnATerminalAtServersThatLie(t *testing.T) {
	t.Parallel()
	for name, lie := range letterLies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &postman{lie: lie.tell}
			server, dir := m.atDoor(t, "--rate", "client=0"), t.TempDir()
			kept(t, server, dir, 1, func(int) string { return "" })
			at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
			for n := range 3 {
				letterOf(t, at, &from, letterWith("a", n+1, fmt.Sprint("letter ", n)))
			}
			m.lying.Store(true)
			ben := openWindow(t, 140, 14, []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NAME=ben", "P2PCHAT_NO_OUTBOX=false"}, "listen")
			ben.shows(`> ○ @c0`)
			if name != "truncates" {
				ben.shows(`\d\d:\d\d @c0: messages wait for you at the server\. To read them: p2pchat answer @c0\.$`)
			}
			if lie.told != "" {
				ben.shows(regexp.QuoteMeta(lie.told))
			}
			ben.types("q")
			ben.ends(0)
		})
	}
}

// The screen of an ended call rings when the same contact calls again, and when another does. The call is answered once that screen is
// closed; for one that is answered at once, it gives way, and the next screen has what was typed on it.
func TestTheScreenOfAnEndedCallRings(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	state := func(i int) string { return filepath.Join(dir, fmt.Sprint("c", i)) }
	ours := filepath.Join(dir, "ben")
	kept(t, server, ours, 4, state)
	env := []string{"XDG_STATE_HOME=" + ours, "P2PCHAT_NAME=ben", "P2PCHAT_NO_OUTBOX=false"}
	calls := func(i int) *process {
		return launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + state(i), "P2PCHAT_NAME=" + fmt.Sprint("c", i)}, "call", "@ben", "--ui", "json")
	}
	ends := func(p *process) {
		t.Helper()
		p.say(t, `{"type":"leave"}`)
		p.finishes(t, 0)
	}
	launchWith(t, t.TempDir(), env, "contacts", "ring", "@c2", "accept").finishes(t, 0)
	launchWith(t, t.TempDir(), env, "contacts", "ring", "@c3", "accept").finishes(t, 0)
	ben := openWindow(t, 80, 18, env, "listen")
	ben.shows(`listening for 4 contacts`)
	one := calls(1)
	ben.shows(`@c1  is calling`)
	ben.types("\r")
	ben.shows(`Connected with c1`)
	ends(one)
	ben.shows(`Press Enter to close this screen`)

	one = calls(1)
	ben.shows(`@c1 is calling, for a minute at most\. Close this screen to answer\.`)
	ben.until("the bell rings twice", ringsTwice)
	one.prints(t, `"type":"ringing"`)
	ends(one)
	ben.shows(`You missed a call of @c1\.`)
	zero := calls(0)
	ben.shows(`@c0 is calling, for a minute at most\. Close this screen to answer\.`)
	ben.types("\r")
	ben.shows(`> ● @c0  is calling`)
	ben.shows(`○ @c1  missed at \d\d:\d\d`)
	ben.types("a")
	ben.shows(`Connected with c0`)
	ends(zero)
	ben.shows(`Press Enter to close this screen`)

	ben.types("half a draft")
	ben.shows(`half a draft`)
	two := calls(2)
	two.prints(t, `"type":"connected"`)
	ben.shows(`The screen of the call before was closed when @c2 called\. This was typed`)
	ben.shows(`not sent: half a draft`)
	ben.shows(`Connected with c2`)
	ends(two)
	ben.shows(`Press Enter to close this screen`)

	two = calls(2) // the same contact, and no one is there
	two.prints(t, `"type":"connected"`)
	ben.shows(`The screen of the call before was closed when @c2 called\.`)
	one = calls(1)
	ben.shows(`@c1 is calling, for a minute at most\. End this call to answer\.`)
	ends(one)
	three := calls(3) // during the call
	ben.shows(`@c3 is calling, for a minute at most\. End this call to answer\.`)
	ends(two)
	three.prints(t, `"type":"connected"`)
	ben.shows(`Connected with c3`)
	two = three
	ends(two)
	ben.shows(`Press Enter to close this screen`)
	ben.types("\r")
	ben.shows(`○ @c2  answered at \d\d:\d\d`)
	ben.shows(`○ @c3  answered at \d\d:\d\d`)
	ben.types("q")
	ben.ends(0)
}

// Line by line, Ctrl-C ends the call and listen, and says nothing of the input, which the person has not ended.
func TestCtrlCInACallOfListen(t *testing.T) {
	t.Parallel()
	server, dir := serving(t), t.TempDir()
	ours, theirs := filepath.Join(dir, "ben"), filepath.Join(dir, "ann")
	kept(t, server, ours, 1, func(int) string { return theirs })
	ben := sitDown(t, []string{"XDG_STATE_HOME=" + ours}, "listen", "--ui", "line")
	ben.sees(`Listening for @c0`)
	ann := launchWith(t, t.TempDir(), []string{"XDG_STATE_HOME=" + theirs}, "call", "@ben", "--ui", "json")
	ben.sees(`@c0 is calling`)
	ben.types("hello\n")
	ben.sees(`You are in no call, so that was not sent\. Type a to answer`)
	ben.types("a\n")
	ben.sees(`Verified: `)
	ben.types("good evening\n")
	ann.prints(t, `"text":"good evening"`)
	ben.types("\x03")
	ben.sees(`You have left: the call is over\.`)
	ben.ends(0)
	ann.finishes(t, 0)
	if strings.Contains(ben.screen.String(), "Your input has ended") {
		t.Errorf("it says that the input has ended: %s", ben.screen)
	}
}
