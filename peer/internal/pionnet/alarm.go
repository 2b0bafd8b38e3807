package pionnet

import (
	"context"
	"time"
)

// An Alarm rings once nothing has set it for a while.
type Alarm struct {
	C <-chan time.Time // has something once it has rung

	set      func(time.Duration)
	patience time.Duration
}

// NewAlarm returns an Alarm that rings after patience, and ends with ctx. What it needs runs by start; with a nil start it is a timer of
// Go. That can be set later at any time, too, but the program then wakes at the time before, if it is idle, and so does Go's monitor
// thread: a timer of the kernel wakes nothing until it rings.
func NewAlarm(ctx context.Context, patience time.Duration, start func(func())) *Alarm {
	a := &Alarm{patience: patience}
	if start != nil {
		a.C, a.set = kernelTimer(ctx, start)
	}
	if a.set == nil {
		t := time.NewTimer(patience)
		a.C, a.set = t.C, func(d time.Duration) { t.Reset(d) }
	}
	a.set(patience)
	return a
}

// Set has the Alarm ring after d, unless it is set once more.
func (a *Alarm) Set(d time.Duration) { a.set(max(d, 1)) } // the kernel takes 0 for never
