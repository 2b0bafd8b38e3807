package transfer

import "time"

// A window says how many bytes a file may be ahead of what the receiver has: what the path holds, as measured, and a quarter
// more, or what it moves in 15 ms if that is more, or in 25 ms in all. More would only wait in queues, with every message
// behind it, and be dropped where a queue is short; less would leave the path idle while a busy processor lets a goroutine wait.
// While there is no queue, it is up to 30 ms more: where packets are lost, some of it waits for another round trip.
//
// Over stripes it is the only brake: an association's least congestion window does not follow the path. It
// is what BBR does (draft-ietf-ccwg-bbr) with the receiver's haves: the highest rate of late, the shortest round trip of
// the last 10 s, and now and then a pause that lets queues drain, to measure that again. The pause comes sooner while a queue
// is not this file's own: then a file that began later sees the path without one, too, and both take as much.
//
// It begins small, and doubles with each round trip until the rate no longer grows or round trips become longer, as HyStart++ does
// (RFC 9406): what a queue drops of a window that is too large costs an association a second.
type window struct {
	marks []mark  // what was sent and is not acknowledged
	since mark    // where the measured period began
	rate  float64 // bytes a second
	last  int64   // what the receiver had
	step  float64 // bytes from one have to the next, the most of late

	least   time.Duration // the shortest round trip
	leastAt time.Time     // when it was measured
	probe   time.Time     // until when queues drain; zero: they need not
	probed  time.Time     // when they last began to, or need not
	fresh   time.Duration // the shortest round trip since leastAt, or since queues drain; 0 before there is one
	beside  bool          // other files move over the same pipe: their queue is this side's, too

	lowest time.Duration // the shortest round trip of this period; 0 before there is one
	queue  time.Duration // how much longer than the shortest of all that of the last period was

	grown int64   // bytes that the window had when it was last known to be too small
	peak  float64 // the rate at which the path was last seen to hold more
	flat  int     // periods since, which is flatPeriods at most
}

// A mark is a time at which the stream was at an offset.
type mark struct {
	at   int64
	when time.Time
}

const (
	windowFirst  = fileHaves // bytes, before anything is measured
	windowMost   = aheadMost
	windowPeriod = 20 * time.Millisecond
	windowQueue  = 25 * time.Millisecond // at the highest rate, the least window
	windowExtra  = 15 * time.Millisecond // beyond the shortest round trip, at least
	windowSpare  = 30 * time.Millisecond // beyond it while there is no queue, at most
	queueWeight  = 4                     // milliseconds that each one of queue takes from that
	flatPeriods  = 3                     // without growth, until the path is full
	leastAge     = 10 * time.Second
	foreignAge   = time.Second // from one pause for the queue of others to the next
	probeTrips   = 3           // round trips, at most, that a pause takes
	chunkLeast   = 8 << 10     // bytes in a message
	chunkShare   = 8           // messages in what the path holds
)

// size returns the window in bytes.
func (w *window) size() int64 {
	ahead := w.least + max(w.extra(), min(w.least, windowSpare)-queueWeight*w.queue)
	if !w.probe.IsZero() {
		ahead = w.least / 2
	}
	holds := int64(w.rate * max(ahead, windowQueue).Seconds())
	if w.grows() {
		holds = max(w.grown, windowFirst)
	}
	return min(max(holds, w.floor()), windowMost)
}

// grows reports whether the path may hold much more than was measured.
func (w *window) grows() bool { return w.probe.IsZero() && (w.rate == 0 || w.flat < flatPeriods) }

// restart lets the window grow from its first size: the path is the same, and what carries the file over it can carry more.
func (w *window) restart() {
	*w = window{least: w.least, leastAt: w.leastAt}
}

// floor returns the least window: twice what the receiver takes from one have to the next, and one message more.
func (w *window) floor() int64 { return 2*int64(w.step) + w.chunk() }

// chunk returns how many bytes a message may have. On a slow path a long one would keep others waiting.
func (w *window) chunk() int64 {
	holds := w.rate * max(w.least, windowQueue).Seconds()
	return min(max(int64(holds)/chunkShare, chunkLeast), fileChunk)
}

// sent notes that the stream was sent up to offset.
func (w *window) sent(offset int64, now time.Time) {
	w.marks = append(w.marks, mark{offset, now})
}

// has notes that the receiver has so much of the stream.
func (w *window) has(offset int64, now time.Time) {
	acked := 0
	for acked < len(w.marks) && w.marks[acked].at <= offset {
		acked++
	}
	if acked > 0 {
		w.returned(now.Sub(w.marks[acked-1].when), now)
		w.marks = append(w.marks[:0], w.marks[acked:]...)
	}
	if w.since.when.IsZero() {
		w.since, w.last, w.grown = mark{offset, now}, offset, windowFirst
		return
	}
	w.step = max(float64(offset-w.last), 0.9*w.step)
	w.grown += offset - w.last
	w.last = offset
	if !w.probe.IsZero() { // what is sent then says nothing about the rate
		w.since, w.lowest = mark{offset, now}, 0
		return
	}
	took := now.Sub(w.since.when)
	if took < max(windowPeriod, w.least) {
		return
	}
	w.rate = max(float64(offset-w.since.at)/took.Seconds(), 0.9*w.rate) // a pause says little about the path
	w.since = mark{offset, now}
	if w.lowest > 0 {
		w.queue, w.lowest = max(w.lowest-w.least, 0), 0
	}
	if w.grows() {
		w.probed = now // the queue of a window that grew too large is its own
	} else {
		w.grown = w.size()
	}
	w.flat = min(w.flat+1, flatPeriods)
	if w.rate > 1.25*w.peak {
		w.peak, w.flat = w.rate, 0
	}
}

// returned notes how long a round trip took.
func (w *window) returned(trip time.Duration, now time.Time) {
	if w.lowest == 0 || trip < w.lowest {
		w.lowest = trip
	}
	if w.least > 0 && trip > w.least+w.least/4+windowQueue/2 { // a queue has begun
		w.flat = flatPeriods
	}
	if w.fresh == 0 || trip < w.fresh {
		w.fresh = trip
	}
	aged := now.Sub(w.leastAt) >= leastAge
	switch {
	case w.least == 0 || trip <= w.least, !w.probe.IsZero() && now.After(w.probe):
		w.least, w.leastAt, w.fresh, w.probe = w.fresh, now, 0, time.Time{}
	case !w.probe.IsZero(), !aged && !w.foreign(now):
	case w.rate*w.least.Seconds() >= float64(w.floor()):
		w.fresh, w.probed, w.probe = trip, now, now.Add(probeTrips*trip)
	case aged: // queues would not drain: the floor fills them
		w.least, w.leastAt, w.fresh = w.fresh, now, 0
	}
}

// foreign reports whether queues should drain because others fill them.
func (w *window) foreign(now time.Time) bool {
	return !w.beside && w.queue >= 3*w.extra()/2 && now.Sub(w.probed) >= foreignAge
}

// extra returns for how long the window lasts beyond the shortest round trip, at least, and so how long a queue of its own is, at most.
func (w *window) extra() time.Duration { return max(w.least/4, windowExtra) }
