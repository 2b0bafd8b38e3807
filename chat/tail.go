package chat

import (
	"time"

	"p2pchat/chat/reliable"
)

// A tail notices that what a side wrote last may be lost, so that send writes a frame behind it.
//
// A packet that is lost with nothing behind it is a loss that SCTP learns of from its timers alone: pion waits for two round trips and
// 200 ms more, because an acknowledgement may be delayed by that much, or for a second before it has measured a round trip. A packet
// behind it is acknowledged with a gap, which shows the loss within a round trip (RFC 8985, section 7, whose probe this is). The frame is
// the last acknowledgement once more, which says nothing new.
//
// It belongs to the goroutine that writes to a pipe.
type tail struct {
	out     uint64        // the last frame that was out when look last looked
	outAt   time.Time     // when it first was
	probed  bool          // a probe followed it
	timed   uint64        // the frame whose acknowledgement is waited for, to measure; 0: none is
	timedAt time.Time     // when it was out
	trip    time.Duration // from a frame to its acknowledgement, of late; 0: not known yet
	timer   *time.Timer
}

const (
	tailFirst = 200 * time.Millisecond // until a probe, before any round trip is measured
	tailLeast = 10 * time.Millisecond  // beyond a round trip: a reader may be busy
)

// newTail returns the tail of a pipe whose round trips take that long, or 0 if that is not known. Call stop when it is no longer used.
func newTail(trip time.Duration) *tail {
	t := &tail{timer: time.NewTimer(time.Hour), trip: trip}
	t.timer.Stop()
	return t
}

// look notes how far a stream is once all that waited was written, and returns what says that a probe is due.
func (t *tail) look(s reliable.Status, now time.Time) (due <-chan time.Time) {
	if t.timed != 0 && s.Confirmed >= t.timed {
		t.trip = max(now.Sub(t.timedAt), t.trip-t.trip/8)
		t.timed = 0
	}
	if s.Out > t.out {
		t.out, t.outAt, t.probed = s.Out, now, false
		if t.timed == 0 && s.Confirmed < t.out { // or else the next look, at any time, would measure
			t.timed, t.timedAt = t.out, now
		}
	}
	if t.probed || s.Confirmed >= t.out {
		t.stop() // a timer that fires wakes the machine
		return nil
	}
	t.timer.Reset(t.outAt.Add(t.patience()).Sub(now))
	return t.timer.C
}

// patience returns how long an acknowledgement may take.
func (t *tail) patience() time.Duration {
	if t.trip == 0 {
		return tailFirst
	}
	return t.trip + max(t.trip/4, tailLeast)
}

// probe notes that the probe goes out. What was lost says nothing about a round trip.
func (t *tail) probe() { t.probed, t.timed = true, 0 }

func (t *tail) stop() { t.timer.Stop() }
