package signaling

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errSilent is the cause of a request that took too long.
var errSilent = errors.New("no answer")

// withTickLimit returns a context that ends with cause after n ticks. Unlike a deadline, it does
// not count the time in which the process was stopped, as on a laptop that sleeps: a ticker drops
// the ticks of that time. The caller must call stop.
func withTickLimit(ctx context.Context, ticks <-chan time.Time, n int, cause error) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var counting sync.WaitGroup
	counting.Go(func() {
		for range n {
			select {
			case <-ticks:
			case <-ctx.Done():
				return
			}
		}
		cancel(cause)
	})
	return ctx, func() {
		cancel(nil)
		counting.Wait()
	}
}
