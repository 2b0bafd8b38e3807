package relay

import (
	"sync"
	"time"
)

// A Refusal is a reason for which the relay does not do what a client asks for.
type Refusal int

// What a relay refuses.
const (
	RefusedQuota      Refusal = iota // an allocation: the user has as many as it may, or all have
	RefusedPermission                // a permission: the allocation has as many as it may
	RefusedChannel                   // a channel, likewise
	RefusedPeer                      // a permission or a channel for an address that the relay does not carry to
	RefusedRequest                   // a request: they come too often
	RefusedGuest                     // an allocation: the caller has not accepted the guest's answer
	RefusedConnection                // a TCP connection: the client has as many as it may, or all have
	RefusedHeld                      // an allocation: as many requests of guests wait for a caller as may
	refusalKinds
)

// Refusals are all reasons.
var Refusals = []Refusal{RefusedQuota, RefusedPermission, RefusedChannel, RefusedPeer, RefusedRequest, RefusedGuest, RefusedConnection, RefusedHeld}

// String is the reason as a metric's label has it.
func (r Refusal) String() string {
	return [refusalKinds]string{"quota", "permissions", "channels", "peer", "requests", "guests", "connections", "held"}[r]
}

// refusalPause is the least time between two lines of the log about the same reason: the
// count of a line says how many refusals it stands for.
const refusalPause = time.Minute

// refusals counts what was refused, and says when the log hears of it.
type refusals struct {
	mu    sync.Mutex // guards what follows
	count [refusalKinds]uint64
	told  [refusalKinds]uint64 // of count, when the log heard last
	next  [refusalKinds]time.Time
}

// add returns how many refusals a line of the log stands for, and 0 if there is to be none.
func (s *refusals) add(reason Refusal, now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[reason]++
	if now.Before(s.next[reason]) {
		return 0
	}
	n := s.count[reason] - s.told[reason]
	s.told[reason], s.next[reason] = s.count[reason], now.Add(refusalPause)
	return n
}

func (s *refusals) counts() [refusalKinds]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// refuse counts a refusal. The caller must not hold r.mu while the log is written.
func (r *Relay) refuse(reason Refusal, about ...any) {
	if n := r.refusals.add(reason, time.Now()); n > 0 {
		r.config.Log.Warn("the relay refused requests", append([]any{"reason", reason.String(), "count", n}, about...)...)
	}
}
