package signaling

import (
	"context"
	"testing"
	"time"
)

// A long time between two ticks, as after a sleep of the machine, counts as one tick.
func TestTickLimit(t *testing.T) {
	ticks := make(chan time.Time)
	ctx, stop := withTickLimit(t.Context(), ticks, 2, errSilent)
	defer stop()
	ticks <- time.Now()
	if ctx.Err() != nil {
		t.Errorf("after one tick: %v", ctx.Err())
	}
	ticks <- time.Now().Add(time.Hour)
	<-ctx.Done()
	if cause := context.Cause(ctx); cause != errSilent { //nolint:errorlint // it is not wrapped
		t.Errorf("the context ends because of %v", cause)
	}
}
