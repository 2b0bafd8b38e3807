//go:build unix

package main

import "testing"

// On a whole terminal, a message has the mark of a letter, and then that of one that was read, and its reader sees when it was written.
func TestTheMarksOfALetter(t *testing.T) {
	t.Parallel()
	p := newPair(t, serving(t, "--mail"))
	p.keep(t)
	ann := openWindow(t, 80, 24, p.withOutbox(0), "call", "@ben")
	ann.types("see you at noon\r")
	ann.shows(`\d\d:\d\d you see you at noon +✉`)
	ann.shows(`✉ Left at the server, sealed\. It is kept there for 7 days, and here\n +until it is read\.`)

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
	ann.ends(exitFailed)
	ben = openWindow(t, 80, 24, p.withOutbox(1), "answer", "@ann")
	ben.shows(`✉ ann wrote this on \w+ \d+ \d\d:\d\d:`)
	ben.shows(`ann or at one\n`)
	ben.types("\x04")
	ben.ends(0)
}
