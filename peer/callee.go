package peer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"p2pchat/signaling"
)

const (
	livingOffer  = 30 * time.Second // for how long a callee waits for a newer offer; longer than an attempt
	lookInterval = 3 * time.Second  // how often it looks for one from then on
	noCallAfter  = time.Second      // without an offer, until NoCall is reported
)

// errUnprovenCaller is told, because each such offer may have been a guess.
var errUnprovenCaller = errors.New("a caller in this room did not prove that it knows the code")

// An offer as the callee read it.
type offer struct {
	code        Code // in whose room
	description signaling.Description
	version     signaling.Version
}

// answer meets as the callee: it answers the newest offer in any of the rooms, until one
// of the answers leads to a connection. Offers of callers that died may fail without end;
// the two cannot reach each other once a caller has given up who is alive to close the
// room.
func (s *Session) answer(ctx context.Context, codes []Code) (*Pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	offers, closed, lost := make(chan offer), make(chan struct{}, 1), make(chan error, len(codes))
	for _, code := range codes {
		wg.Go(func() { lost <- s.follow(ctx, code, offers, closed) })
	}
	invited := invitations{ready: make(chan invitation, len(codes)), coming: map[string]bool{}}
	// Where a room does not exist yet, its ICE servers come with the offer.
	switch first, err := s.invited(ctx, codes[0].Room, 0); {
	case err == nil:
		invited.coming[codes[0].Room] = true
		invited.ready <- first
	case errors.Is(err, signaling.ErrNoRoom):
		for _, code := range codes {
			invited.coming[code.Room] = true
			wg.Go(func() { s.guestServers(ctx, code.Room, invited.ready, lost) })
		}
	default:
		return nil, err
	}
	s.config.Report(Waiting{codes[0], s.current(signaling.Ticket{}, codes[0])})
	silence := time.NewTimer(noCallAfter)
	defer silence.Stop()
	var newest *offer
	failed, taken := ErrNoPath, false
	for failures := 0; ; {
		for newest == nil {
			select {
			case o := <-offers:
				newest, taken = &o, false
				silence.Stop()
			case <-silence.C:
				s.noCall(codes[0])
			case <-closed:
				switch {
				case taken && codes[0].Secret != "":
					return nil, ErrTaken
				case failures >= attempts:
					return nil, failed
				}
				failures, taken = 0, false
				silence.Reset(noCallAfter)
			case err := <-lost:
				return nil, err
			}
		}
		select {
		case <-closed: // before this offer was made
		default:
		}
		in, err := s.invitation(ctx, &invited, newest.code.Room, lost)
		if err != nil {
			return nil, err
		}
		p, newer, err := s.answerOnce(ctx, *newest, in, offers, closed)
		newest = newer
		switch {
		case err == nil && newer != nil: // the caller, if it is the same, has given this attempt up
			failures++
			s.failed()
		case errors.Is(err, signaling.ErrAnswered):
			taken = newer == nil
			s.config.Report(Taken{})
		case errors.Is(err, signaling.ErrNoOffer) && codes[0].Secret != "" && newer == nil:
			return nil, ErrTaken // there will be no other call with that code
		case errors.Is(err, signaling.ErrSuperseded), errors.Is(err, signaling.ErrNoOffer):
			s.config.Log.Info("the offer is gone; waiting for the next", "why", err)
		case errors.Is(err, errGarbled):
			s.retrying(err)
		case errors.Is(err, ErrNoPath):
			failures++
			failed = err
			s.failed()
			s.retrying(err)
		case errors.Is(err, ErrWrongCode):
			s.config.Report(WrongCode{Left: -1})
			return nil, err
		default:
			return p, err
		}
	}
}

// noCall reports that the room is empty. Two who have met know that they wait for each other.
func (s *Session) noCall(code Code) {
	if !s.met {
		s.config.Report(NoCall{code})
	}
}

// An invitation is what a callee answers one offer with: a fresh ticket, and the ICE servers
// that it was given for it.
type invitation struct {
	ticket  signaling.Ticket
	servers []signaling.ICEServer
}

// invitations are those that the server was asked for before there was an offer.
type invitations struct {
	ready  chan invitation
	coming map[string]bool // rooms whose invitation is in ready, or will be
	early  []invitation    // came before an offer of their room
}

// invited asks for an invitation to a room.
func (s *Session) invited(ctx context.Context, room string, wait time.Duration) (in invitation, err error) {
	in.ticket = signaling.NewTicket(room, signaling.Callee)
	in.servers, err = s.iceServers(ctx, in.ticket, wait)
	return in, err
}

// invitation returns one for the room of an offer: the one that was asked for with the
// offer, or for another attempt a new one.
func (s *Session) invitation(ctx context.Context, all *invitations, room string, lost <-chan error) (invitation, error) {
	for all.coming[room] {
		i := slices.IndexFunc(all.early, func(in invitation) bool { return in.ticket.Room == room })
		if i >= 0 {
			in := all.early[i]
			all.early = slices.Delete(all.early, i, i+1)
			delete(all.coming, room)
			return in, nil
		}
		select {
		case in := <-all.ready:
			all.early = append(all.early, in)
		case err := <-lost:
			return invitation{}, err
		}
	}
	in, err := s.invited(ctx, room, 0)
	if errors.Is(err, signaling.ErrNoRoom) {
		err = nil // answering will say so, and that it waits for the next offer
	}
	return in, err
}

// guestServers waits for a room, and asks for an invitation to it.
func (s *Session) guestServers(ctx context.Context, room string, ready chan<- invitation, lost chan<- error) {
	var calm brake
	for {
		in, err := s.invited(ctx, room, signaling.Forever)
		switch {
		case err == nil:
			ready <- in
			return
		case errors.Is(err, ErrNoRelay):
			select {
			case lost <- err:
			case <-ctx.Done():
			}
			return
		case calm.wait(ctx) != nil:
			return
		}
	}
}

func (s *Session) answerOnce(ctx context.Context, o offer, in invitation, newer <-chan offer, closed <-chan struct{}) (*Pipe, *offer, error) {
	// An answer lets the caller check one guess at the secret. So it counts as one before
	// it goes out, and until the caller has proven that it knew the secret.
	counts := s.guarded(o.code)
	if counts && s.guesses.burnt() {
		return nil, nil, s.current(signaling.Ticket{}, o.code).Burnt()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := in.ticket
	counted, given := func() error { return nil }, atomic.Bool{}
	var a *attempt
	var err error
	if counts {
		now := s.current(t, o.code)
		counted = sync.OnceValue(func() error { return s.spend(now) })
		defer func() { // the attempt has ended
			if counted() == nil && (!given.Load() || !a.unproven()) {
				s.refund(now)
			}
		}()
	}
	a, err = s.newAttempt(ctx, t, o.code, inTime(in.servers, o.description), func(ctx context.Context, d signaling.Description) error {
		if err := counted(); err != nil {
			return err
		}
		given.Store(true) // a server that says otherwise has read it
		_, err := s.store.Answer(ctx, t, o.version, d)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	defer a.end()
	defer cancel()                    // before it waits
	a.wg.Go(func() { _ = counted() }) // while candidates are gathered; publish has the error
	if err := a.answer(ctx, o.description); err != nil {
		return nil, nil, err
	}
	p, next, err := a.run(ctx, newer, closed)
	if counts && a.unproven() && !errors.Is(err, ErrWrongCode) && !errors.Is(err, signaling.ErrAnswered) && ctx.Err() == nil {
		s.config.Report(Retrying{errUnprovenCaller})
	}
	return p, next, err
}

// follow reads every new offer of the room, and hands on the newest; and tells when
// the room is closed.
func (s *Session) follow(ctx context.Context, code Code, offers chan<- offer, closed chan<- struct{}) error {
	var known signaling.Version
	var since time.Time // when that one was handed on
	var calm brake
	for {
		// Waiting in a room keeps it alive. One whose caller has died must be able to
		// end, or nobody could call there again: so it is only looked at, after a while.
		wait := signaling.Forever
		if known != "" {
			wait = max(0, livingOffer-time.Since(since))
		}
		d, v, err := s.store.Description(ctx, signaling.Ticket{Room: code.Room}, signaling.Caller, known, wait)
		switch {
		case err == nil:
			known, since = v, time.Now()
			select {
			case offers <- offer{code, d, v}:
				err = calm.wait(ctx)
			case <-ctx.Done():
				err = ctx.Err()
			}
		case errors.Is(err, signaling.ErrUnchanged):
			err = sleep(ctx, lookInterval)
		case errors.Is(err, signaling.ErrClosed), errors.Is(err, signaling.ErrNoOffer): // for whatever reason: there may be another call
			known = ""
			select {
			case closed <- struct{}{}:
			default: // told already
			}
			err = calm.wait(ctx)
		}
		if err != nil {
			return err
		}
	}
}
