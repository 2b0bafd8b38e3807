package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// Whatever the width, a call that is not verified says so, and its mark is not green.
func TestUnverifiedIsTheLastPartOfANarrowStatus(t *testing.T) {
	t.Parallel()
	step := 1
	if testing.Short() {
		step = 7
	}
	for _, peer := range []chat.Connected{evesdrp, {Peer: strings.Repeat("Ben", 20), SafetyWords: evesdrp.SafetyWords, Path: "host"}, {Peer: chat.Stranger, Foreign: true, Path: "host"}} {
		r := newRig(t, 80, 10).happens(peer, screen.Stats{RTT: time.Millisecond})
		everyWidth := func() {
			t.Helper()
			for columns := 11; columns <= 130; columns += step {
				r.send(tea.WindowSizeMsg{Width: columns, Height: 10}).shows(`^ .*unverified`)
				if t.Failed() {
					t.FailNow()
				}
			}
		}
		everyWidth()
		for i := range 20 {
			r.happens(chat.Message{From: "Ben", Text: fmt.Sprint("message ", i)})
		}
		r.press("<pgup>").happens(chat.Message{From: "Ben", Text: "more"})
		everyWidth()
		if r.history.follows() || r.history.unseen != 1 {
			t.Errorf("it shows the end of the history, or has %d new messages below", r.history.unseen)
		}
	}
	r := newRig(t, 24, 10).happens(evesdrp)
	r.shows(`^ ● Ben · unverified +$`)
	if row := r.status(); strings.Contains(row, r.style.good.Inherit(r.style.bar).Render("●")) {
		t.Errorf("its mark is green: %q", row)
	}
}

// A call with a contact waits for that contact, also while there is no server.
func TestWaitingForAContact(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24)
	r.streams.Contact = "ben"
	if got := r.waitingText(); got != "waiting for ben" {
		t.Errorf("got %q", got)
	}
}

// A contact has its name before the two are connected.
func TestRingingContact(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24)
	r.streams.Contact = "ben"
	r.happens(screen.Connecting{}).shows(`^ ○ connecting +$`)
	r.happens(chat.Ringing{}).shows(`It is ringing\. Waiting for ben to answer\.`)
	r.shows(`^ ○ ringing +$`)
	r.happens(screen.Connecting{}).shows(`^ ○ connecting +$`) // the connection was lost
}

// A move that was told with the wrong path is no more among what /stats tells.
func TestStatsOfAMoveToARelay(t *testing.T) {
	t.Parallel()
	r := newRig(t, 100, 24).happens(benIs, chat.Moved{From: "host", To: "prflx", Reason: "gone"}).press("/stats<enter>")
	r.shows(`last move`)
	r.happens(chat.Relayed{Route: "host,relay 192.0.2.9:7,host"}).press("/clear<enter>/stats<enter>")
	r.shows(`route +you ── relay 192\.0\.2\.9:7 ── Ben$`)
	if strings.Contains(r.seen(), "last move") {
		t.Errorf("it tells\n%s", r.seen())
	}
}
