package transfer

import (
	"testing"
	"time"
)

// flow returns how long size bytes take over a path of that rate (bytes a second) and round trip,
// whose receiver acknowledges every 128 KiB; and how long a message would wait behind them at
// most, once the path has shown itself.
func flow(size int64, rate float64, roundTrip time.Duration) (took, queued time.Duration) {
	const chunk = 64 << 10
	var w window
	var sent, had, told int64
	begun := time.Unix(0, 0)
	now, free := begun, begun // free: when the path has sent all that it was given
	var coming []mark         // what the receiver says, and when
	for had < size {
		for sent < size && sent-had < w.size() {
			sent += chunk
			w.sent(sent, now)
			if free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(chunk / rate * float64(time.Second)))
			if had > 2*windowFirst {
				queued = max(queued, free.Sub(now))
			}
			if sent-told >= fileHaves || sent >= size {
				told = sent
				coming = append(coming, mark{sent, free.Add(roundTrip)})
			}
		}
		now, had = coming[0].when, coming[0].at
		coming = coming[1:]
		w.has(had, now)
	}
	return now.Sub(begun), queued
}

func TestWindow(t *testing.T) {
	for name, path := range map[string]struct {
		rate      float64 // MB a second
		roundTrip time.Duration
		share     float64       // of the path that is used at least
		queue     time.Duration // for which a message waits at most
	}{
		"this machine":     {80, 200 * time.Microsecond, 0.97, 35 * time.Millisecond},
		"a local network":  {110, time.Millisecond, 0.97, 30 * time.Millisecond},
		"across a country": {12, 50 * time.Millisecond, 0.95, 150 * time.Millisecond},
		"across an ocean":  {12, 200 * time.Millisecond, 0.9, 300 * time.Millisecond},
		"far and fast":     {50, 50 * time.Millisecond, 0.9, 150 * time.Millisecond},
		"a slow line":      {1, 20 * time.Millisecond, 0.97, 400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 200 << 20
			took, queued := flow(size, path.rate*1e6, path.roundTrip)
			share := size / (path.rate * 1e6) / took.Seconds()
			if share < path.share {
				t.Errorf("it uses %.3f of the path", share)
			}
			if queued > path.queue {
				t.Errorf("a message waits for %v", queued)
			}
			t.Logf("it uses %.3f of the path, a message waits for %v", share, queued)
		})
	}
}

// A path that becomes longer while a file moves, because another one takes its packets, or because other
// flows fill its queues.
func TestWindowOnALongerPath(t *testing.T) {
	const rate, chunk = 12_000_000, 64 << 10
	var w window
	now, begun := time.Unix(0, 0), time.Unix(0, 0)
	free, sent, had := now, int64(0), int64(0)
	var coming []mark
	longer := begun.Add(5 * time.Second)
	var before, after int64 // bytes in a second: the 4th, and the 20th after the change
	for now.Before(longer.Add(20 * time.Second)) {
		for sent-had < w.size() {
			sent += chunk
			w.sent(sent, now)
			if free.Before(now) {
				free = now
			}
			free = free.Add(chunk * time.Second / rate)
			trip := 10 * time.Millisecond
			if now.After(longer) {
				trip = 200 * time.Millisecond
			}
			coming = append(coming, mark{sent, free.Add(trip)})
		}
		step := coming[0].at - had
		now, had = coming[0].when, coming[0].at
		coming = coming[1:]
		w.has(had, now)
		switch {
		case now.Before(longer) && now.After(longer.Add(-time.Second)):
			before += step
		case now.After(longer.Add(19 * time.Second)):
			after += step
		}
	}
	t.Logf("%.1f MB/s, then %.1f", float64(before)/1e6, float64(after)/1e6)
	if float64(before) < 0.95*rate || float64(after) < 0.8*rate {
		t.Errorf("it moves %.1f MB/s, then %.1f, of 12", float64(before)/1e6, float64(after)/1e6)
	}
}
