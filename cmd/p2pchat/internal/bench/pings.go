package bench

import (
	"slices"
	"time"
)

// pings are round trips. One goroutine at a time may use them.
type pings struct {
	all   []time.Duration
	shown time.Time
}

func (p *pings) add(rtt time.Duration) { p.all = append(p.all, rtt) }

// second returns the sum so far, and whether a second has gone by since it last did.
func (p *pings) second() (RoundTrip, bool) {
	if now := time.Now(); p.shown.IsZero() || now.Sub(p.shown) < reportEvery {
		if p.shown.IsZero() {
			p.shown = now
		}
		return RoundTrip{}, false
	}
	p.shown = p.shown.Add(reportEvery)
	return p.sum(), true
}

// pauseAfter returns how long nothing may arrive on a path with that median round trip, in milliseconds, before it
// is a pause: a packet that has to be sent again takes longer.
func pauseAfter(median float64) time.Duration {
	return time.Duration(2*median*float64(time.Millisecond)) + 50*time.Millisecond
}

func (p *pings) sum() (r RoundTrip) {
	if len(p.all) == 0 {
		return r
	}
	sorted := slices.Sorted(slices.Values(p.all))
	at := func(q float64) float64 {
		return inMilliseconds(sorted[int(q*float64(len(sorted)-1))])
	}
	r = RoundTrip{Pings: len(sorted), Min: at(0), P50: at(.5), P99: at(.99), Most: at(1)}
	for _, rtt := range slices.Backward(sorted) {
		if rtt <= pauseAfter(r.P50) {
			break
		}
		r.Pauses++
	}
	if r.Pauses > 0 {
		r.Longest = r.Most
	}
	return r
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
