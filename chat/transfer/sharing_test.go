package transfer

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Two files of two programs share a path, whatever a busy machine does, though the later one has never seen it without the queue of the first.
func TestTwoFilesShareAPath(t *testing.T) {
	for _, path := range []bottleneck{
		{rate: 11_300_000, trip: 50 * time.Millisecond},
		{rate: 11_300_000, trip: 20 * time.Millisecond},
		{rate: 600_000, trip: 50 * time.Millisecond},
	} {
		var shares []float64 // of the first
		for seed := range uint64(30) {
			path := path
			path.dice = rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // no secret
			one, two := &flowing{path: &path}, &flowing{path: &path}
			path.in(0, one.begin)
			path.in(500*time.Millisecond, two.begin)
			path.run(2 * time.Second)
			before, also := one.had, two.had
			path.run(22 * time.Second)
			shares = append(shares, float64(one.had-before)/float64(one.had-before+two.had-also))
		}
		slices.Sort(shares)
		least, median, most := shares[0], shares[len(shares)/2], shares[len(shares)-1]
		t.Logf("%.1f MB/s, %v: the first has %.2f of what both have, at least %.2f, at most %.2f", path.rate/1e6, path.trip, median, least, most)
		if least < 0.35 || most > 0.65 || median < 0.45 || median > 0.55 {
			t.Errorf("%.1f MB/s, %v: the first has %.2f of what both have, at least %.2f, at most %.2f", path.rate/1e6, path.trip, median, least, most)
		}
	}
}

// Four files of one program fill no queue by taking the one that they make for the path. One run of the model is chance: a message waits for
// 0.2 to 1.4 s in it, 0.3 s in the middle of many. Without a pause that lets queues drain, or if it ends before they have, 1.5 s are in the middle.
func TestFourFilesFillNoQueue(t *testing.T) {
	var queues []time.Duration // for how long a message waits, one for each run
	for seed := range uint64(21) {
		path := bottleneck{rate: 600_000, trip: 50 * time.Millisecond, dice: rand.New(rand.NewPCG(seed, 2))} //nolint:gosec // no secret
		for i := range 4 {
			f := &flowing{path: &path, window: window{beside: true}}
			path.in(time.Duration(i)*500*time.Millisecond, f.begin)
		}
		path.run(20 * time.Second)
		var queue time.Duration
		const seconds = 40
		for range seconds {
			path.run(path.now + time.Second)
			queue += max(0, path.free-path.now) / seconds
		}
		queues = append(queues, queue)
	}
	slices.Sort(queues)
	least, median, most := queues[0], queues[len(queues)/2], queues[len(queues)-1]
	t.Logf("a message waits for %v, at least %v, at most %v", median, least, most)
	if median > 700*time.Millisecond {
		t.Errorf("a message waits for %v, at least %v, at most %v", median, least, most)
	}
}

// A file whose path becomes a hundred times as long goes on to use it, though it cannot let queues drain.
func TestAFileOnAMuchLongerPath(t *testing.T) {
	path := bottleneck{rate: 11_300_000, trip: 2 * time.Millisecond, dice: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // no secret
	f := &flowing{path: &path}
	path.in(0, f.begin)
	path.run(5 * time.Second)
	path.trip = 200 * time.Millisecond
	path.run(40 * time.Second)
	before := f.had
	path.run(50 * time.Second)
	share := float64(f.had-before) / path.rate / 10
	t.Logf("it uses %.2f of the path", share)
	if share < 0.9 {
		t.Errorf("it uses %.2f of the path", share)
	}
}

// A bottleneck is a path with a queue that holds all that comes, in a time of its own.
type bottleneck struct {
	rate float64 // bytes a second
	trip time.Duration
	dice *rand.Rand
	now  time.Duration
	free time.Duration // when it has taken all that it was given
	due  happenings
}

// in lets something happen later.
func (b *bottleneck) in(d time.Duration, do func()) { heap.Push(&b.due, happening{b.now + d, do}) }

func (b *bottleneck) run(until time.Duration) {
	for len(b.due) > 0 && b.due[0].at < until {
		next := heap.Pop(&b.due).(happening)
		b.now = next.at
		next.do()
	}
	b.now = until
}

// A flowing is a file that moves over a bottleneck and does not end.
type flowing struct {
	path            *bottleneck
	window          window
	sent, got, told int64
	had             int64 // as the sender knows
	last            time.Duration
}

func (f *flowing) time() time.Time { return time.Unix(1000, 0).Add(f.path.now) }

func (f *flowing) begin() {
	f.window.has(0, f.time())
	f.send()
	f.haves()
}

func (f *flowing) send() {
	b := f.path
	for f.sent-f.had < f.window.size() {
		n := min(f.window.chunk(), pieceMost)
		f.sent += n
		f.window.sent(f.sent, f.time())
		b.free = max(b.free, b.now) + time.Duration(float64(n)/b.rate*float64(time.Second))
		f.last = max(f.last, b.free+b.trip/2+time.Duration(b.dice.IntN(4_000_000))) // a busy machine
		to := f.sent
		b.in(f.last-b.now, func() {
			if f.got = to; f.got-f.told >= fileHaves {
				f.have()
			}
		})
	}
}

// haves says how much has arrived each haveInterval.
func (f *flowing) haves() {
	f.have()
	f.path.in(haveInterval, f.haves)
}

func (f *flowing) have() {
	if f.got == f.told {
		return
	}
	f.told = f.got
	got := f.got
	f.path.in(f.path.trip/2, func() {
		f.had = got
		f.window.has(got, f.time())
		f.send()
	})
}

// Happenings are a heap by time.
type happenings []happening

type happening struct {
	at time.Duration
	do func()
}

func (h happenings) Len() int           { return len(h) }
func (h happenings) Less(i, j int) bool { return h[i].at < h[j].at }
func (h happenings) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *happenings) Push(x any)        { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	all := *h
	last := all[len(all)-1]
	*h = all[:len(all)-1]
	return last
}
