package pionnet

import (
	"context"
	"runtime"
	"time"
)

const (
	settleTime = 200 * time.Millisecond // how long routes may take to follow a change of links and addresses

	// While the system tells again and again, the next look waits twice as long as the one before, between these two.
	shortRest = 10 * time.Millisecond
	longRest  = time.Second

	// seldom is the time from look to look while the system tells nothing, where it cannot be tried that it tells of every change.
	// A call whose address has gone notices that without a look; a better address waits for so long at most.
	seldom = 10 * time.Second
)

// WatchRoutes returns a channel that has something when this machine's links, addresses or routes may have changed, and once more
// soon after. It ends with ctx; what it needs runs by start. The system tells: Linux by rtnetlink(7), macOS and the BSDs by a routing
// socket (route(4)), Windows by calling back (NotifyRouteChange2). Where it cannot, or has not told anything yet, the channel has
// something each interval.
//
// pion gathers once, and does not notice that the network has changed. An event of pion for that would retire this file.
func WatchRoutes(ctx context.Context, interval time.Duration, start func(func())) <-chan time.Time {
	told := make(chan bool, 1)
	end, err := subscribe(ctx, told, start)
	if err != nil {
		return time.Tick(interval)
	}
	changed := make(chan time.Time, 1)
	start(func() {
		defer end()
		pace(ctx, told, changed, interval, runtime.GOOS == "linux") // there, nothing wakes a machine whose network stays as it is
	})
	return changed
}

// pace makes of what the system tells the times to look: at once and after settleTime, but at most twice in longRest while it tells all
// the time. told has true for a change and false for anything else, which shows that the system tells; it is closed when the system
// tells no more. Where the system is trusted, nothing else is a reason to look until then.
func pace(ctx context.Context, told <-chan bool, changed chan<- time.Time, interval time.Duration, trusted bool) {
	var poll, settled, rested, calm <-chan time.Time
	if !trusted {
		poll = time.Tick(interval)
	}
	hear, rest, proven := told, shortRest, trusted
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll:
			wake(changed)
		case <-settled:
			wake(changed)
		case <-rested:
			hear = told
		case <-calm:
			rest = shortRest
		case change, open := <-hear:
			if change || !open {
				wake(changed)
				settled = time.After(settleTime)
			}
			switch {
			case !open:
				told, poll = nil, time.Tick(interval)
			case !proven:
				proven, poll = true, time.Tick(seldom)
			}
			hear, rested, calm = nil, time.After(rest), time.After(rest+longRest)
			rest = min(2*rest, longRest)
		}
	}
}

func wake(c chan<- time.Time) {
	select {
	case c <- time.Now():
	default: // it has something
	}
}
