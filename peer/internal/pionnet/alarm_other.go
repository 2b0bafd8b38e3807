//go:build !linux

package pionnet

import (
	"context"
	"time"
)

func kernelTimer(context.Context, func(func())) (<-chan time.Time, func(time.Duration)) {
	return nil, nil
}
