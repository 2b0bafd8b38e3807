package peer

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"p2pchat/signaling"
)

// These bound what is read of the other side. An honest side has less.
const (
	maxDescription = 256 << 10 // bytes
	maxCandidates  = 256
	maxUnproven    = 20 // candidates of a side that has not proven that it knows a secret, in its description and its list together
)

// documents are what an attempt reads and writes of a room, after its description: those of a Store, or of a carrier.
type documents interface {
	Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error)
	AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error)
	Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error)
}

// send writes this side's description, then its candidates: each request takes all that are queued.
func (a *attempt) send(ctx context.Context, d document) {
	body, err := json.Marshal(d)
	if err == nil {
		err = a.publish(ctx, body)
	}
	a.post(published{err})
	if len(a.outgoing) == 0 {
		a.readOn()
	}
	known := 0 // candidates that the other side has from the answer
	if d.P2PChat != nil {
		known = len(d.P2PChat.Candidates)
	}
	for sent := 0; err == nil; known = 0 {
		list := a.nextBatch(ctx, known)
		if len(list) == 0 {
			return
		}
		at := sent
		if a.ticket.Room == signaling.Lobby {
			at = -1 // the list may hold those of another callee, who answered before
		}
		sent += len(list)
		_, err = a.store.AddCandidates(ctx, a.ticket, at, list...)
		a.readOn()
		if errors.Is(err, signaling.ErrListFull) {
			a.log.Info("left out candidates: the server takes no more", "count", len(list))
			return
		}
		switch {
		case err == nil:
			a.post(delivered{len(list)})
		case ctx.Err() == nil:
			a.post(roomLost{err})
		}
	}
}

// nextBatch waits for candidates and returns all that are queued by then. It returns none if ctx has
// ended. If the other side has all known ones, it waits for the next one, too: the reply of a STUN server often comes just after that
// to the answer, and would have to wait until the request with the known ones is over.
func (a *attempt) nextBatch(ctx context.Context, known int) (list []signaling.Candidate) {
	var complete <-chan struct{}
	var late <-chan time.Time
	for len(list) == 0 || len(list) <= known {
		select {
		case batch := <-a.outgoing:
			if list = append(list, batch...); late == nil && known > 0 {
				complete, late = a.complete, time.After(lull)
			}
		case <-complete:
			known = 0
		case <-late:
			known = 0
		case <-ctx.Done():
			return nil
		}
	}
	for {
		select {
		case batch := <-a.outgoing:
			list = append(list, batch...)
		default:
			return list
		}
	}
}

// lull is how long no request follows on one that is not likely to bring more, or goes out that is not likely to be needed. Where the server is near, the two are connected by
// then, and no request has to be made, and given up, while they connect.
const lull = 20 * time.Millisecond

// readCandidates posts the other side's candidates, with a ticket of this side.
func (a *attempt) readCandidates(ctx context.Context, as signaling.Ticket) {
	for after := 0; after < maxCandidates; {
		list, err := a.store.Candidates(ctx, as, a.ticket.Side.Other(), after, signaling.Forever)
		if err != nil {
			a.post(roomLost{err})
			return
		}
		list = list[:min(len(list), maxCandidates-after)]
		after += len(list)
		all := make(chan bool, 1)
		if !a.post(arrived{list, all}) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case complete := <-all: // there may be more all the same, see releaseDeferred and mapPort
			if complete && sleep(ctx, lull) != nil {
				return
			}
		}
	}
}

// readAnswer waits for the answer, and posts it.
func (a *attempt) readAnswer(ctx context.Context) {
	d, _, err := a.store.Description(ctx, a.ticket, signaling.Callee, "", signaling.Forever)
	if err != nil {
		a.post(roomLost{err})
		return
	}
	a.post(answered{d})
}

// lookAgain asks the Store whether this side was turned down, which only this side's token tells, or the room was closed.
func (a *attempt) lookAgain(ctx context.Context) {
	_, err := a.store.Candidates(ctx, a.ticket, signaling.Caller, 0, 0)
	a.post(lookedAgain{err})
}

// readNewer reads the offer that has replaced the one that this side has answered.
func (a *attempt) readNewer(ctx context.Context) {
	d, _, err := a.store.Description(ctx, signaling.Ticket{Room: a.ticket.Room}, signaling.Caller, "", 0)
	if err != nil {
		a.log.Info("the offer that has replaced the answered one cannot be read", "error", err)
	}
	a.post(newerRead{d})
}
