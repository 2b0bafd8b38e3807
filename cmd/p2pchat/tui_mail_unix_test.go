//go:build unix

package main

import (
	"strings"
	"testing"
)

// On a whole terminal, a message has the mark of a letter, and then that of one that was read, and its reader sees when it was written.
func TestTheMarksOfALetter(t *testing.T) {
	t.Parallel()
	p := newPair(t, serving(t, "--mail"))
	p.keep(t)
	ann := openWindow(t, 80, 24, p.withOutbox(0), "call", "@ben")
	ann.types("see you at noon\r")
	ann.shows(`\d\d:\d\d you see you at noon +✉`)
	ann.shows(`✉ Left at the server, sealed\. It is kept there for up to 7 days, and\s+here\s+until it is read\.`)

	ben := openWindow(t, 80, 24, p.withOutbox(1), "answer", "@ann")
	ben.shows(`\d\d:\d\d ann see you at noon\n`)
	ann.shows(`you see you at noon +✓✓`)
	ann.shows(`● ben · verified`)
	ben.shows(`● ann · verified`)
	ben.types("/quit\r")
	ben.ends(0)
	ann.shows(`ben has left`)
	ann.types("\r")
	ann.ends(0)

	// One who leaves at once, before ben comes, is not asked, because the letter waits for him.
	ann = openWindow(t, 80, 24, p.withOutbox(0), "call", "@ben")
	ann.types("or at one\r")
	ann.shows(`you or at one +✉`)
	ann.types("/quit\r")
	ann.ends(exitFailed) // it is not delivered, but that is no error
	if end := ann.written(); !strings.Contains(end, "p2pchat: 1 message was not read yet: it waits at the server; kept for your next call with @ben") || strings.Contains(end, "p2pchat: error") {
		t.Errorf("one who leaves is told %q", end)
	}
	ben = openWindow(t, 80, 24, p.withOutbox(1), "answer", "@ann")
	ben.shows(`✉ ann wrote this on \w+ \d+ \d\d:\d\d:`)
	ben.shows(`ann or at one\n`)
	ben.types("\x04")
	ben.ends(0)
}

// One whose call is declined learns that first, and then that the letter waits.
func TestALetterToOneWhoDeclines(t *testing.T) {
	t.Parallel()
	p := newPair(t, serving(t, "--mail"))
	p.keep(t)
	ben := openWindow(t, 70, 14, p.withOutbox(1), "listen") // on a whole terminal, it leaves letters unread
	ben.shows("listening for 1 contact")
	ann := launchWith(t, t.TempDir(), p.withOutbox(0), "call", "@ben", "--ui", "line", "--wait", "0")
	ann.say(t, "see you at noon")
	ben.shows("> ● @ann  is calling")
	ann.notes(t, "It is ringing")
	ben.types("d")
	ben.shows("> ○ @ann  declined at")
	ann.finishes(t, exitAbsent)
	ann.notes(t, "p2pchat: error: the other side declined the call, and 1 message was not read yet: it waits at the server; kept for your next call with @ben\np2pchat: hint: call again later\n")
	ben.types("q")
	ben.ends(0)
}
