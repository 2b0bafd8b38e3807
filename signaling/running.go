package signaling

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errSilent is the cause of a request that took too long.
var errSilent = errors.New("no answer")

// endsAfter returns a context that ends with cause after n ticks. A ticker drops the ticks of the time in
// which the process was stopped, as a laptop's is that sleeps: the server did not make it wait then.
// The caller must call stop.
func endsAfter(ctx context.Context, ticks <-chan time.Time, n int, cause error) (_ context.Context, stop func()) {
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
