// Package refused keeps a log short while clients are refused: the first refusal is told at
// once, and those of each following minute in one line.
//
//	refusals  x  xxxx x xxx      xx                x
//	lines     1          8        2 (a minute each) 1
package refused

import (
	"net/netip"
	"sync"
	"time"
)

// Pause is how long the log is silent about a reason after a line about it.
const Pause = time.Minute

// A Log tells of refusals, by reason. Reasons are few, and no client chooses them.
type Log struct {
	// Write writes one line: how many refusals it stands for, and what is known of the last
	// one, as attributes of slog. It is not called twice at once.
	Write func(reason string, count int, last []any)

	mu      sync.Mutex // guards what follows
	reasons map[string]*refusals
	closed  bool
}

// Network returns a client's address as a log may have it by default: the network of it, of
// 24 bits (IPv6: 48).
func Network(a netip.Addr) string {
	if !a.IsValid() {
		return a.String()
	}
	bits := 24
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 48
	}
	network, _ := a.Prefix(bits) // an address has as many bits
	return network.String()
}

// refusals are those of one reason since the last line.
type refusals struct {
	count int
	last  []any
	next  *time.Timer // of the next line; nil if the next refusal is told at once
}

// Add counts a refusal.
func (l *Log) Add(reason string, about ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reasons == nil {
		l.reasons = map[string]*refusals{}
	}
	r := l.reasons[reason]
	if r == nil {
		r = &refusals{}
		l.reasons[reason] = r
	}
	r.count++
	if r.last = about; r.next == nil && !l.closed {
		l.line(reason, r)
	}
}

// line tells of the refusals since the last line, if there are any, and plans the next line.
func (l *Log) line(reason string, r *refusals) {
	r.next = nil
	if r.count == 0 {
		return
	}
	l.Write(reason, r.count, r.last)
	r.count, r.last = 0, nil
	if !l.closed {
		r.next = time.AfterFunc(Pause, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if !l.closed {
				l.line(reason, r)
			}
		})
	}
}

// Close tells of the refusals that no line has told of. Later ones are not told.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for reason, r := range l.reasons {
		if r.next != nil {
			r.next.Stop()
		}
		l.line(reason, r)
	}
}
