package transfer

import (
	"testing"
	"time"
)

// Before anything is measured, files share a mebibyte, down to one message each.
func TestTheFirstWindow(t *testing.T) {
	for moving, want := range map[int]int64{0: 1 << 20, 1: 1 << 20, 4: 256 << 10, 200: chunkLeast} {
		if got := (&window{moving: moving}).size(); got != want {
			t.Errorf("%d files: %d", moving, got)
		}
	}
}

// On a path with 10 MB/s and a round trip of 100 ms, the window is three times what that holds while the rate may still grow, and twice that later. A pause
// says little about the path; a rate that has grown by a quarter, that it may grow on.
func TestTheWindowFollowsThePath(t *testing.T) {
	const each, trip = 10_000, 100 * time.Millisecond // bytes a millisecond
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
	near("before a period is over", windowFirst)
	ms(1, each)
	near("at first", 3e6)
	if got := w.chunk(); got != fileChunk {
		t.Errorf("a message has %d bytes", got)
	}
	ms(100, each)
	near("after a period without growth", 3e6)
	ms(200, each)
	near("when the path is full", 2e6)
	ms(100, each*12/10)
	near("when it grew by a fifth", 2.4e6)
	ms(100, each*14/10)
	near("when it has grown by two fifths", windowMost)
	ms(300, each*14/10)
	near("when that is all", 2.8e6)
	ms(1, 0)
	now = now.Add(500 * time.Millisecond)
	ms(1, each)
	near("after a pause", 2.8e6*0.9)
	if len(w.marks) > 0 {
		t.Errorf("%d marks are left", len(w.marks))
	}
}
