package transfer

import "time"

// A window says how many bytes a file may be ahead of what the receiver has: twice what the path
// holds, as measured, or what it moves in 25 ms. More would only wait in queues, with every message
// behind it; less would leave the path idle while a busy processor lets a goroutine wait.
type window struct {
	moving int // files that share the path

	marks []mark        // what was sent and is not acknowledged
	least time.Duration // the shortest round trip
	since mark          // where the measured period began
	rate  float64       // bytes a second
}

// A mark is a time at which the stream was at an offset.
type mark struct {
	at   int64
	when time.Time
}

const (
	windowFirst  = 1 << 20             // bytes, before anything is measured
	windowLeast  = 256<<10 + fileChunk // of each: twice what a receiver takes from one have to the next, and one more
	windowMost   = 3 << 20             // of each; SCTP's receive buffer holds 4 MiB
	windowPeriod = 20 * time.Millisecond
	windowQueue  = 25 * time.Millisecond
)

// size returns the window in bytes.
func (w *window) size() int64 {
	share := int64(max(1, w.moving))
	if w.rate == 0 {
		return max(windowFirst/share, windowLeast)
	}
	holds := int64(w.rate * max(2*w.least, windowQueue).Seconds())
	return min(max(holds, windowLeast), windowMost)
}

// sent notes that the stream was sent up to offset.
func (w *window) sent(offset int64, now time.Time) {
	w.marks = append(w.marks, mark{offset, now})
}

// has notes that the receiver has the stream up to offset.
func (w *window) has(offset int64, now time.Time) {
	acked := 0
	for acked < len(w.marks) && w.marks[acked].at <= offset {
		acked++
	}
	if acked > 0 {
		trip := now.Sub(w.marks[acked-1].when)
		if w.least == 0 || trip < w.least {
			w.least = trip
		}
		w.marks = append(w.marks[:0], w.marks[acked:]...)
	}
	switch took := now.Sub(w.since.when); {
	case w.since.when.IsZero():
		w.since = mark{offset, now}
	case took >= max(windowPeriod, w.least):
		w.rate = max(float64(offset-w.since.at)/took.Seconds(), 0.9*w.rate) // a pause says little about the path
		w.since = mark{offset, now}
	}
}
