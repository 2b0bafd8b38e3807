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
	from  atomic.Pointer[ice.Candidate] // of the last check
	to    atomic.Pointer[ice.Candidate] // of the pair that this side has taken; nil if it was nominated
	alarm atomic.Pointer[Alarm]         // nil: no one waits for silence
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

// Take notes that this side takes a pair with a candidate. From there answers come, and from the one of the last check everything else: with
// the first check, each side takes its own pair.
func (p *Packets) Take(remote ice.Candidate) { p.to.Store(&remote) }

// Last returns when the last packet came, data, check or answer; the zero time if no check has.
func (p *Packets) Last() (last time.Time) {
	for _, c := range []*ice.Candidate{p.from.Load(), p.to.Load()} {
		if c == nil {
			continue
		}
		if at := (*c).LastReceived(); at.After(last) {
			last = at
		}
	}
	return last
}
