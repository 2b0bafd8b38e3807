package peer

import (
	"context"
	"time"
)

// A backoff slows down what repeats in a short time, like the offers of a malicious
// server: each wait is longer, up to a few seconds. The first one takes no time.
type backoff struct {
	times int
	last  time.Time
}

func (b *backoff) wait(ctx context.Context) error {
	const least, most = 10 * time.Millisecond, 3 * time.Second
	if time.Since(b.last) > 2*most {
		b.times = 0
	}
	d := min(least<<min(b.times, 10), most)
	if b.times == 0 {
		d = 0
	}
	err := sleep(ctx, d)
	b.times++
	b.last = time.Now()
	return err
}

// sleep waits for d, or returns the error of a context that ends before. For nothing it makes no timer: Go 1.26's race
// detector crashes if two goroutines of a bubble read timers that are due (runtime.timer.maybeRunChan).
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
