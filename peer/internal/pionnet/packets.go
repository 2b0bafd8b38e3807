package pionnet

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
)

// A Packets knows when the last packet came, and tells when no check has come for a while.
//
// pion measures how long a connection is silent, and tells only that it is. A machine that wakes has to tell a long silence from one
// that has just begun. The time in pion's statistics would retire this file: that is of data alone, and an idle connection has only checks.
type Packets struct {
	from  atomic.Pointer[ice.Candidate]
	alarm atomic.Pointer[Alarm] // nil: no one waits for silence
}

// Expect returns an Alarm that rings when no check has come for patience: see NewAlarm.
func (p *Packets) Expect(ctx context.Context, patience time.Duration, start func(func())) *Alarm {
	a := NewAlarm(ctx, patience, start)
	p.alarm.Store(a)
	return a
}

// From notes that the other side checks the path from a candidate. A Packets follows the candidate of the last check.
func (p *Packets) From(remote ice.Candidate) {
	if was := p.from.Load(); was == nil || *was != remote {
		p.from.Store(&remote)
	}
	if a := p.alarm.Load(); a != nil {
		a.Set(a.patience)
	}
}

// Last returns when the last packet came, data or check; the zero time if no check has.
func (p *Packets) Last() time.Time {
	remote := p.from.Load()
	if remote == nil {
		return time.Time{}
	}
	return (*remote).LastReceived()
}
