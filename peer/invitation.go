package peer

import (
	"context"
	"errors"
	"sync"
	"time"

	"p2pchat/signaling"
)

// An invitation is what a callee answers one offer with: a fresh ticket, and the ICE servers
// that it was given for it.
type invitation struct {
	ticket  signaling.Ticket
	servers []signaling.ICEServer
}

// invitations are those that the server was asked for before there was an offer, by room.
type invitations map[string]chan invitation

// invite asks for invitations. That to a room which does not exist yet comes with the offer.
func (s *Session) invite(ctx context.Context, wg *sync.WaitGroup, r rooms) (invitations, error) {
	all := invitations{}
	first, err := s.invitation(ctx, r.codes[0].Room, 0)
	switch {
	case err == nil:
		ready := make(chan invitation, 1)
		ready <- first
		all[first.ticket.Room] = ready
	case errors.Is(err, signaling.ErrNoRoom):
		for _, code := range r.codes {
			ready := make(chan invitation, 1)
			all[code.Room] = ready
			wg.Go(func() { s.awaitInvitation(ctx, code.Room, ready, r) })
		}
	default:
		return nil, err
	}
	return all, nil
}

// awaitInvitation waits for a room, and for an invitation to it. A refusal ends the call, unless the server may do it
// later; that it refuses too many requests is told once.
func (s *Session) awaitInvitation(ctx context.Context, room string, ready chan<- invitation, r rooms) {
	var pause backoff
	for told := false; ; {
		in, err := s.invitation(ctx, room, signaling.Forever)
		switch {
		case err == nil:
			ready <- in
			return
		case ctx.Err() != nil:
			return
		case errors.Is(err, signaling.ErrTooMany) && !told:
			told = true
			r.refused <- err
		case !passing(err):
			r.lost <- err
			return
		}
		if pause.wait(ctx) != nil {
			return
		}
	}
}

// passing reports whether a server that refuses an invitation with err may give one later.
func passing(err error) bool {
	for _, kind := range []error{signaling.ErrNoRoom, signaling.ErrTooMany, signaling.ErrServerFull, signaling.ErrDraining, signaling.ErrUnreachable} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// take returns an invitation to the room of an offer: the one that was asked for before the
// offer, or for a later attempt a new one.
func (all invitations) take(ctx context.Context, s *Session, room string, r rooms) (invitation, error) {
	for all[room] != nil {
		select {
		case in := <-all[room]:
			delete(all, room)
			return in, nil
		case why := <-r.refused:
			s.retrying(why)
		case err := <-r.lost:
			return invitation{}, err
		}
	}
	in, err := s.invitation(ctx, room, 0)
	if errors.Is(err, signaling.ErrNoRoom) {
		err = nil // answering returns it, too, and the callee waits for the next offer
	}
	return in, err
}

// invitation asks for an invitation to a room, for which it waits up to wait.
func (s *Session) invitation(ctx context.Context, room string, wait time.Duration) (in invitation, err error) {
	in.ticket = signaling.NewTicket(room, signaling.Callee)
	in.servers, err = s.iceServers(ctx, in.ticket, wait)
	return in, err
}
