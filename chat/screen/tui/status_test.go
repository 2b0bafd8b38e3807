package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// Whatever the width, a call that is not verified says so, and its mark is not green.
func TestUnverifiedIsTheLastPartOfANarrowStatus(t *testing.T) {
	t.Parallel()
	for _, peer := range []chat.Connected{evesdrp, {Peer: strings.Repeat("Ben", 20), SafetyWords: evesdrp.SafetyWords, Path: "host"}, {Peer: chat.Stranger, Foreign: true, Path: "host"}} {
		for columns := 11; columns <= 130; columns++ {
			r := newRig(t, columns, 10).happens(peer, screen.Stats{RTT: time.Millisecond})
			r.shows(`^ .*unverified`)
			for i := range 20 { // scrolled up, with new messages below
				r.happens(chat.Message{From: "Ben", Text: fmt.Sprint("message ", i)})
			}
			r.press("<pgup>").happens(chat.Message{From: "Ben", Text: "more"})
			r.shows(`^ .*unverified`)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	r := newRig(t, 24, 10).happens(evesdrp)
	r.shows(`^ ● Ben · unverified +$`)
	if row := r.status(); strings.Contains(row, r.style.good.Inherit(r.style.bar).Render("●")) {
		t.Errorf("its mark is green: %q", row)
	}
}
