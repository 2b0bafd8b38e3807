package peer

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

// The candidates that an answer has taken along wait for a STUN server's, whose reply comes just after that to the answer.
func TestNextBatch(t *testing.T) {
	candidates := make([]signaling.Candidate, 5)
	for i, c := range []struct {
		known, first  int           // in the answer, and queued
		more          time.Duration // until the next two; 0: there are none
		completeAfter time.Duration // 0: not at all
		want          int
		after         time.Duration
	}{
		{known: 2, first: 2, more: lull / 2, want: 4, after: lull / 2},
		{known: 2, first: 2, more: 2 * lull, want: 2, after: lull},
		{known: 2, first: 2, completeAfter: lull / 4, want: 2, after: lull / 4},
		{known: 2, first: 3, more: lull / 2, want: 3}, // the other side needs the third
		{known: 0, first: 2, more: lull / 2, want: 2},
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &attempt{outgoing: make(chan []signaling.Candidate, 2), complete: make(chan struct{})}
				a.outgoing <- candidates[:c.first]
				if c.more > 0 {
					time.AfterFunc(c.more, func() { a.outgoing <- candidates[:2] })
				}
				if c.completeAfter > 0 {
					time.AfterFunc(c.completeAfter, func() { close(a.complete) })
				}
				begun := time.Now()
				list := a.nextBatch(t.Context(), c.known)
				if took := time.Since(begun); len(list) != c.want || took != c.after {
					t.Errorf("%d after %v, not %d after %v", len(list), took, c.want, c.after)
				}
			})
		})
	}
}
