//go:build unix

package main

import (
	"strings"
	"testing"
)

// An answerer in the lobby of the server's own machine meets a caller on another machine, who has a code.
func TestTheHostMeetsAGuestWithACode(t *testing.T) {
	t.Parallel()
	proxy := serving(t, "--public-url", elsewhere)
	guest := []string{"P2PCHAT_NAME=Ann", "P2PCHAT_SERVER=" + elsewhere, "HTTP_PROXY=" + proxy}
	host := []string{"P2PCHAT_NAME=Ben", "P2PCHAT_SERVER=" + proxy, "HTTP_PROXY=" + proxy}

	t.Run("on a whole terminal", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, guest, "call", "417-falcon-zebra")
		ann.shows(`^  The other side types:`)
		ben := openWindow(t, 80, 24, host, "answer")
		ben.shows(`(?s)Nobody is calling in the lobby yet\. If the caller has a code, type it here\.\s+On this machine, the other side types: p2pchat call --server`)
		ben.types("Hello\rcode: 417-falcon-zebra\r")
		ben.shows(`● Ann · verified`)
		ann.shows(`Ben Hello$`)
		ann.types("\x04")
		ann.ends(0)
		if strings.Contains(ann.written(), "Ben code:") {
			t.Errorf("the code was sent:\n%s", ann.text())
		}
	})

	t.Run("line by line, with the link to the public address", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, guest, "call", "418-falcon-zebra")
		ann.shows("waiting for the other side")
		ben := sitDown(t, with(host, "TERM=dumb"), "answer")
		ben.sees(`If the caller has a code, type it here\.`)
		ben.types(elsewhere + "/#418-falcon-zebra\r")
		ben.sees(`Answering 418-falcon-zebra`)
		ben.sees(`Connected with Ann`)
		ben.types("/help\r")
		ben.sees(`/help was not sent: only the full screen \(--ui tui\) has commands`)
		ben.types("/help\r")
		ann.shows(`Ben /help$`)
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("with a code of the caller's own words, which is not sent as a message", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, guest, "call", "standup-our-own-words")
		ann.shows(`^  The other side types:`)
		ben := openWindow(t, 80, 24, host, "answer")
		ben.shows(`If the caller has a code, type it here\.`)
		ben.types("well-known\r")
		ben.shows(`(?s)If the caller chose it, press Enter again\.\s+To send it as a\s+message: Esc, Enter\..*^code: well-known`)
		ben.types("\x1b")
		ben.shows(`^> well-known`)
		ben.types("\r")
		ben.shows(`you well-known`)
		ben.types("Standup-our-own-words\r\r")
		ben.shows(`● Ann · verified`)
		ben.shows(`^> Write a message`)
		ann.shows(`Ben well-known$`)
		ann.types("\x04")
		ann.ends(0)
		if strings.Contains(ann.written(), "Ben Standup") {
			t.Errorf("the code was sent:\n%s", ann.text())
		}
	})

	t.Run("line by line, with a code of the caller's own words", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, guest, "call", "sitdown-our-own-words")
		ann.shows("waiting for the other side")
		ben := sitDown(t, with(host, "TERM=dumb"), "answer")
		ben.sees(`If the caller has a code, type it here\.`)
		ben.types("well-known\r")
		ben.sees(`"well-known" does not look like a code .* If the caller chose it, press Enter again\. To send it as a message, type it again\.`)
		ben.types("well-known\rsitdown-our-own-words\r")
		ben.sees(`"sitdown-our-own-words" does not look like`)
		ben.types("\r")
		ben.sees(`Answering sitdown-our-own-words`)
		ben.sees(`Connected with Ann`)
		ann.shows(`Ben well-known$`)
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("and messages that wait are told of once, not for each code", func(t *testing.T) {
		t.Parallel()
		ben := openWindow(t, 80, 24, host, "answer")
		ben.shows(`If the caller has a code, type it here\.`)
		ben.types("Hello\r427-falcon-zebra\r")
		ben.shows(`(?s)Answering 427-falcon-zebra.*The message that you have typed goes to the person with this code\.`)
		ben.shows(`Nobody is calling in room 427 yet\.`)
		ben.types("428-falcon-zebra\r")
		ben.shows(`Nobody is calling in room 428 yet\.`)
		if n := strings.Count(ben.text(), "that you have typed"); n != 1 {
			t.Errorf("told %d times:\n%s", n, ben.text())
		}
		ben.types("\x04\x04")
	})

	t.Run("but not with a caller, who is asked", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, host, "call", "430-falcon-zebra")
		ann.shows(`waiting for the other side`)
		ann.types("431-falcon-zebra\r")
		ann.shows(`(?s)This looks like a code\. To answer a call with it: p2pchat answer\s+431-falcon-zebra\. To send it as a message: Enter again\..*^> 431-falcon-zebra`)
		ann.types("\r430-falcon-zebra\r")
		ann.shows(`you 431-falcon-zebra +○\n.*you 430-falcon-zebra`)
		ben := sitDown(t, with(host, "TERM=dumb"), "call", "432-falcon-zebra")
		ben.sees(`Waiting for the other side`)
		ben.types("code: 431-falcon-zebra\r")
		ben.sees(`This looks like a code\. To answer a call with it: p2pchat answer 431-falcon-zebra\. To send it as a message, type it again\.`)
		cy := openWindow(t, 80, 24, host, "answer", "432-falcon-zebra")
		cy.shows(`● Ben · verified`)
		ben.types("code: 431-falcon-zebra\r")
		cy.shows(`Ben code: 431-falcon-zebra$`)
		ann.types("\x04\x04")
		ann.ends(1) // its messages had no reader
	})

	t.Run("and a caller is told where the command works", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, host, "call", "419-falcon-zebra")
		ann.shows(`^  On this machine, the other side types:\n`)
		ann.types("\x04")
		ann.ends(0)
	})
}

// Where no call is open, what is pasted into the ordinary prompt is tried as the code.
func TestAPastedCodeIsTried(t *testing.T) {
	t.Parallel()
	env := servingElsewhere(t)
	ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
	ann.shows("waiting for the other side")
	ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ben"), "answer", "471-falcon-zebra")
	ben.shows(`Press Enter to type another code\.`)
	ben.types("\x1b[200~p2pchat answer 417-falcon-zebra --server " + elsewhere + "\x1b[201~\r")
	ben.shows("● Ann · verified")
	ben.types("417-falcon-zebra\r")
	ann.shows("Ben 417-falcon-zebra$") // now a message
	ann.types("\x04")
	ann.ends(0)
}
