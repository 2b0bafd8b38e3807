package transfer

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// Two files that share a path take as much of it as each other, though the later one has never seen it without the queue of the first.
func TestTwoFilesShareAPath(t *testing.T) {
	for _, path := range []bottleneck{
		{rate: 11_300_000, trip: 50 * time.Millisecond},
		{rate: 11_300_000, trip: 20 * time.Millisecond},
		{rate: 600_000, trip: 50 * time.Millisecond},
	} {
		path.dice = rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
		one, two := &flowing{path: &path}, &flowing{path: &path}
		path.in(0, one.begin)
		path.in(500*time.Millisecond, two.begin)
		path.run(2 * time.Second)
		before, also := one.had, two.had
		path.run(22 * time.Second)
		share := float64(one.had-before) / float64(one.had-before+two.had-also)
		t.Logf("%.1f MB/s, %v: the first has %.2f of what both have", path.rate/1e6, path.trip, share)
		if share < 0.4 || share > 0.6 {
			t.Errorf("%.1f MB/s, %v: the first has %.2f of what both have", path.rate/1e6, path.trip, share)
		}
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
