package peer

import (
	"context"
	"errors"
	"time"

	"p2pchat/signaling"
)

const (
	closeRoomLimit = 2 * time.Second         // for closing the room when a Session ends,
	lateLimit      = 1500 * time.Millisecond // of which a late offer may have so much
)

// serversLast is how long the STUN and TURN servers of one offer are used for the next ones, too: their credentials may end.
const serversLast = time.Minute

// A writeOffer is Store.Offer, or Store.Reoffer over this side's last offer.
type writeOffer func(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error)

// A caller waits in a room for the callee, attempt after attempt.
type caller struct {
	s       *Session
	servers []signaling.ICEServer
	asked   time.Time // for them, by the wall clock: credentials end while the machine sleeps, too
	code    Code
	digits  int // of the room's number
	ticket  signaling.Ticket
	write   writeOffer
	opened  bool       // the room has an offer of this side
	late    *lateOffer // nil: none
	unread  bool       // the next offer replaces one of an earlier run, see dialect
	failed  int        // attempts that found no path
}

// call meets as the caller. It closes the room in any case: as soon as the callee
// needs it no more, which its first message shows, or that it is a plain program, and candidates need not come any more.
func (s *Session) call(ctx context.Context, code Code) (connected *Pipe, err error) {
	servers, err := s.iceServers(ctx, signaling.Ticket{}, 0)
	if err != nil {
		return nil, err
	}
	c := &caller{s: s, servers: servers, asked: time.Now().Round(0), code: code, digits: signaling.MaxRoomDigits, write: s.store.Offer}
	if code == (Code{}) {
		c.digits = s.roomDigits()
		c.code = newCode(c.digits)
	}
	c.ticket = s.ticket(c.code)
	defer func() {
		if c.opened || c.late != nil {
			s.wg.Go(func() {
				if p := connected; p != nil {
					if !p.Foreign {
						p.awaitHeard()
					}
					<-p.settled
				}
				c.closeRoom(ctx)
			})
		}
	}()
	var pause backoff
	for {
		p, err := c.attempt(ctx)
		if err == nil {
			return p, nil
		}
		if c.late != nil { // ctx has ended, or pion has failed
			return nil, err
		}
		if err := c.prepareNext(err); err != nil {
			return nil, err
		}
		if err := pause.wait(ctx); err != nil {
			return nil, err
		}
		c.askAgain(ctx)
	}
}

// askAgain asks for the STUN and TURN servers unless it has just been done.
func (c *caller) askAgain(ctx context.Context) {
	if time.Since(c.asked) < serversLast {
		return
	}
	servers, err := c.s.iceServers(ctx, signaling.Ticket{}, 0)
	if err != nil || len(servers) == 0 { // none: the server has refused to list them, or has none now
		c.s.config.Log.Info("going on with the STUN and TURN servers of the last offer", "why", err)
		return
	}
	c.servers, c.asked = servers, time.Now().Round(0)
}

// attempt offers a connection, and waits for it.
func (c *caller) attempt(ctx context.Context) (*Pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, err := c.s.newAttempt(ctx, c.ticket, c.code, c.servers, c.publish)
	if err != nil {
		return nil, err
	}
	defer a.end()
	defer cancel() // before end waits
	a.eager, a.unread = c.failed == 0 && !c.s.config.patient, c.unread
	if err := a.offer(); err != nil {
		return nil, err
	}
	p, _, err := a.run(ctx, nil, nil)
	return p, err
}

// A lateOffer is one that the Store had not answered when its attempt ended. A request that is given up may reach a server all the same,
// and later than the one that closes the room: then a callee would answer a caller that is gone. So it goes on for lateLimit.
type lateOffer struct {
	reply  <-chan written
	giveUp context.CancelFunc
}

// written is what a Store has answered to an offer.
type written struct {
	version signaling.Version
	error
}

// publish writes the offer. If ctx ends before the Store has answered, publish leaves a lateOffer.
func (c *caller) publish(ctx context.Context, d signaling.Description) error {
	write, t, reply := c.write, c.ticket, make(chan written, 1)
	writing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	c.s.wg.Go(func() {
		v, err := write(writing, t, d)
		reply <- written{v, err}
	})
	select {
	case w := <-reply:
		giveUp()
		c.opened = c.opened || w.error == nil
		return w.error
	case <-ctx.Done():
		c.late = &lateOffer{reply, giveUp}
		return ctx.Err()
	}
}

// prepareNext prepares the next attempt after one that failed because of why. It returns the error with which
// the call ends if there is no next one.
func (c *caller) prepareNext(why error) error {
	s := c.s
	c.unread = false
	switch {
	case errors.Is(why, signaling.ErrOccupied) && !c.opened:
		return c.enterOccupied(why)
	case errors.Is(why, signaling.ErrClosed), errors.Is(why, signaling.ErrNoRoom):
		s.config.Log.Info("the server has forgotten the room; opening it again", "why", why)
		c.write = s.store.Offer
		return nil
	case errors.Is(why, errGarbled), errors.Is(why, errUnproven): // the callee who knows the code may still come
		c.write = s.store.Reoffer
		return s.refuse(c.ticket, c.code, why)
	case errors.Is(why, signaling.ErrTurnedDown), errors.Is(why, signaling.ErrWrongToken):
		s.config.Log.Info("another call has taken over the room", "why", why)
		return ErrReplaced // the server's words are about tokens, which a person has not seen
	case errors.Is(why, ErrNoPath) && c.failed+1 < attempts:
		c.failed++
		s.allowTCP()
		s.retrying(why)
		c.write = s.store.Reoffer
		return nil
	}
	return why
}

// enterOccupied prepares an attempt after one that found the room occupied.
func (c *caller) enterOccupied(why error) error {
	switch s := c.s; {
	case c.digits < signaling.MaxRoomDigits: // this side has told the code to no one
		c.digits++
		c.code = newCode(c.digits)
		c.ticket = s.ticket(c.code)
	case s.met || s.config.Resume != nil || s.config.private: // by this side's own last offer
		c.write, c.unread = s.store.Reoffer, true
	default:
		return why
	}
	return nil
}

// roomDigits returns how many digits the number of a new room has: what the server proposes for the
// rooms that it holds.
func (s *Session) roomDigits() int {
	if server, ok := s.store.(interface{ RoomDigits() int }); ok {
		return max(signaling.MinRoomDigits, min(server.RoomDigits(), signaling.MaxRoomDigits))
	}
	return signaling.MinRoomDigits
}

// ticket returns the caller's ticket for the room of code: the same one each time.
func (s *Session) ticket(code Code) signaling.Ticket {
	if s.isPrivate(code) {
		return signaling.Ticket{Room: code.Room, Side: signaling.Caller, Token: code.token()}
	}
	if _, ok := s.tickets[code]; !ok {
		s.tickets[code] = signaling.NewTicket(code.Room, signaling.Caller)
	}
	return s.tickets[code]
}

// refuse reports an answer that proved nothing. One that was judged may have been a guess
// at the secret, and only this side can count guesses: after the last one it returns ErrBurnt.
func (s *Session) refuse(t signaling.Ticket, code Code, why error) error {
	if !s.countsGuesses(code) || !errors.Is(why, errUnproven) {
		s.retrying(why)
		return nil
	}
	s.config.Log.Info("refused an answer", "why", why)
	err := s.spend(s.resumption(t, code))
	s.config.Report(WrongCode{Left: s.guesses.left()})
	if err == nil && s.guesses.burnt() {
		err = ErrBurnt
	}
	if err != nil && s.met {
		s.config.Report(Burnt{})
	}
	return err
}

// closeRoom closes the room, also when ctx has ended. It leaves a room where this side has met again with a newer offer than the late one.
func (c *caller) closeRoom(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeRoomLimit)
	defer cancel()
	store := c.s.store
	if c.late != nil {
		switch w := c.late.wait(); { // after other errors, the offer may be there all the same
		case w.error == nil:
			if _, _, err := store.Description(ctx, signaling.Ticket{Room: c.ticket.Room}, signaling.Caller, w.version, 0); err == nil {
				return // it was replaced
			}
		case errors.Is(w.error, signaling.ErrOccupied) && !c.opened:
			return
		}
	}
	switch err := store.Close(ctx, c.ticket); {
	case err == nil, errors.Is(err, signaling.ErrNoRoom), errors.Is(err, signaling.ErrWrongToken):
	default:
		c.s.config.Log.Info("the room could not be closed; it ends by itself", "error", err)
	}
}

// wait returns what the Store has answered, or the error of a request that was given up.
func (l *lateOffer) wait() written {
	defer l.giveUp()
	timer := time.AfterFunc(lateLimit, l.giveUp)
	defer timer.Stop()
	return <-l.reply
}
