package main

import (
	"context"
	"time"

	"p2pchat/cmd/p2pchat/internal/contacts"
)

// A lineState is what a line does:
//
//	waiting ──▶ proving ──▶ ringing ──▶ talking
//	   ▲           │           │           │
//	   │           ▼           ▼           │
//	   └──────── paused ◀──────┴───────────┘  (perhaps for no time)
type lineState int

const (
	lineWaiting lineState = iota
	lineProving           // there is an offer, which the server may have made
	lineRinging           // the contact has proven that it calls
	lineTalking
	linePaused
)

// A line is a contact whom listen waits for.
type line struct {
	contacts.Contact
	state    lineState
	failures int         // offers in a row whose makers proved nothing
	rings    []time.Time // the last ones
	warned   bool        // the person knows that this contact floods
	decided  chan bool   // whether the person answers; while it rings

	endTry   context.CancelFunc // ends a try at a server of the local network; nil without one
	lanAfter time.Time          // before which no such server is tried
}

// pauseAfterTry returns how long a contact has to wait after a try at a server of the local network: not at all, but the next such try has to.
func (l *line) pauseAfterTry() time.Duration {
	l.lanAfter = time.Now().Add(lanPause)
	return 0
}

// pauseAfterRing returns how long a contact has to wait before it rings again.
func (l *line) pauseAfterRing() time.Duration {
	l.failures = 0
	for len(l.rings) > 0 && time.Since(l.rings[0]) > ringWindow {
		l.rings = l.rings[1:]
	}
	l.rings = append(l.rings, time.Now())
	if len(l.rings) < mostRings {
		return 0
	}
	return ringWindow - time.Since(l.rings[0])
}
