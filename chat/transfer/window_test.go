package transfer

import (
	"testing"
	"time"
)

// On a path with 10 MB/s and a round trip of 100 ms, the window doubles with each round trip while the rate may still grow. Later it
// lasts 30 ms longer than a round trip, and a quarter of it where there is a queue. A pause says little about the path; a rate
// that has grown by a quarter, that it may grow on.
func TestTheWindowFollowsThePath(t *testing.T) {
	const each = 10_000 // bytes a millisecond
	trip := 100 * time.Millisecond
	var w window
	sent, now := int64(0), time.Unix(0, 0)
	ms := func(n int, bytes int64) {
		for range n {
			now = now.Add(time.Millisecond)
			w.marks = append(w.marks, mark{sent + bytes, now.Add(-trip)}) // it was sent a round trip ago
			sent += bytes
			w.has(sent, now)
		}
	}
	near := func(when string, want float64) {
		t.Helper()
		if got := float64(w.size()); got < want*0.97 || got > want*1.03 {
			t.Errorf("%s, the window is %.0f, not %.0f", when, got, want)
		}
	}
	ms(100, each)
	near("before a round trip is over", windowFirst+1e6)
	ms(1, each)
	near("after a round trip", windowFirst+1e6)
	if got := w.chunk(); got != fileChunk {
		t.Errorf("a message has %d bytes", got)
	}
	ms(100, each)
	near("after another", windowFirst+2e6)
	ms(200, each)
	near("when the path is full", 1.3e6)
	ms(100, each*12/10)
	near("when it grew by a fifth", 1.56e6)
	ms(100, each*14/10)
	near("when it has grown by two fifths", 1.82e6)
	ms(50, each*14/10)
	near("when it has grown on for half a round trip", 1.82e6+0.7e6)
	ms(250, each*14/10)
	near("when that is all", 1.82e6)
	ms(1, 0)
	now = now.Add(500 * time.Millisecond)
	ms(1, each)
	near("after a pause", 1.82e6*0.9)
	if len(w.marks) > 0 {
		t.Errorf("%d marks are left", len(w.marks))
	}

	w, sent = window{}, 0
	ms(101, each)
	near("of another file, after a round trip", windowFirst+1e6)
	trip = 130 * time.Millisecond
	ms(1, each)
	near("with a little more round trip", windowFirst+1e6)
	trip = 140 * time.Millisecond
	ms(1, each)
	near("when a queue has begun", 1.3e6)
	ms(200, each)
	near("when the queue has lasted", 1.25e6)
	w.restart()
	ms(1, each)
	near("when something else carries the file", windowFirst)
}

// A receiver that says what it has each 128 KiB, as a page does, is never waited for in vain, whatever the sizes of messages and stripes.
func TestAReceiverThatSaysEach128KiB(t *testing.T) {
	for _, most := range []int64{pieceMost, fileChunk} {
		var w window
		sent, had, now := int64(0), int64(0), time.Unix(0, 0)
		for had < 64<<20 {
			for sent-had < w.size() {
				sent += min(w.chunk(), most)
				w.sent(sent, now)
			}
			if sent-had < 128<<10 {
				t.Fatalf("with %d bytes in a message, the sender waits at %d bytes, of which the receiver has said %d", most, sent, had)
			}
			now = now.Add(20 * time.Millisecond)
			had = sent
			w.has(had, now)
		}
	}
}
