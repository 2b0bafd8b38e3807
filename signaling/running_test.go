package signaling

import (
	"context"
	"testing"
	"time"
)

// A process that was stopped for long has waited no longer than the ticks that it saw.
func TestEndsAfterTicks(t *testing.T) {
	ticks := make(chan time.Time)
	ctx, stop := endsAfter(t.Context(), ticks, 2, errSilent)
	defer stop()
	ticks <- time.Now()
	if ctx.Err() != nil {
		t.Errorf("after one tick: %v", ctx.Err())
	}
	ticks <- time.Now().Add(time.Hour)
	<-ctx.Done()
	if cause := context.Cause(ctx); cause != errSilent { //nolint:errorlint // it is not wrapped
		t.Errorf("it ends because of %v", cause)
	}
}
