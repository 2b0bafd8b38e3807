//go:build !linux

package pionnet

import (
	"context"
	"time"
)

// WatchRoutes returns a channel that has something each interval: when this machine's links, addresses or routes may have changed.
func WatchRoutes(_ context.Context, interval time.Duration, _ func(func())) <-chan time.Time {
	return time.Tick(interval)
}
