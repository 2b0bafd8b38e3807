package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"p2pchat/signaling"
)

// farewellLimit is how long it may take to give the room back when a Session ends.
const farewellLimit = 2 * time.Second

// call meets as the caller. The room is given back in any case: as soon as the callee
// needs it no more, which its first message shows, or its being a plain program.
func (s *Session) call(ctx context.Context, code Code) (connected *Pipe, err error) {
	servers, err := s.iceServers(ctx, signaling.Ticket{}, 0)
	if err != nil {
		return nil, err
	}
	digits := signaling.MaxRoomDigits
	if code == (Code{}) {
		digits = s.roomDigits()
		code = newCode(digits)
	}
	t := s.ticket(code)
	opened := false
	defer func() {
		if opened {
			s.wg.Go(func() {
				if p := connected; p != nil && !p.Foreign {
					p.settled()
				}
				s.giveBack(ctx, t)
			})
		}
	}()
	write := s.store.Offer
	var calm brake
	for failures := 0; ; {
		p, err := s.callOnce(ctx, t, code, servers, func(ctx context.Context, d signaling.Description) error {
			_, err := write(ctx, t, d)
			opened = opened || err == nil || ctx.Err() != nil // it may be there, all the same
			return err
		})
		switch {
		case errors.Is(err, signaling.ErrOccupied) && digits < signaling.MaxRoomDigits && !opened: // nobody was told that code
			digits++
			code = newCode(digits)
			t = s.ticket(code)
		case errors.Is(err, signaling.ErrOccupied) && !opened && (s.met || s.config.Again != nil): // by this side's own last offer
			write = s.store.Reoffer
		case errors.Is(err, signaling.ErrClosed), errors.Is(err, signaling.ErrNoRoom):
			s.config.Log.Info("the server has forgotten the room; opening it again", "why", err)
			write = s.store.Offer
		case errors.Is(err, errGarbled), errors.Is(err, errUnproven): // the right one may still come
			if err := s.refuse(t, code, err); err != nil {
				return nil, err
			}
			write = s.store.Reoffer
		case errors.Is(err, signaling.ErrTurnedDown), errors.Is(err, signaling.ErrWrongToken):
			return nil, fmt.Errorf("%w: %w", ErrReplaced, err)
		case errors.Is(err, ErrNoPath) && failures+1 < attempts:
			failures++
			s.failed()
			s.retrying(err)
			write = s.store.Reoffer
		default:
			return p, err
		}
		if err := calm.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// roomDigits is how many digits a new room's number has: what the server proposes for the
// rooms that it holds, and one more for each that was taken.
func (s *Session) roomDigits() int {
	if server, ok := s.store.(interface{ RoomDigits() int }); ok {
		return max(signaling.MinRoomDigits, min(server.RoomDigits(), signaling.MaxRoomDigits))
	}
	return signaling.MinRoomDigits
}

// ticket is the caller's for the room of code: the same one each time.
func (s *Session) ticket(code Code) signaling.Ticket {
	if s.private(code) {
		return signaling.Ticket{Room: code.Room, Side: signaling.Caller, Token: code.token()}
	}
	if _, ok := s.tickets[code]; !ok {
		s.tickets[code] = signaling.NewTicket(code.Room, signaling.Caller)
	}
	return s.tickets[code]
}

// refuse tells of an answer that proved nothing. One that was judged may have been a guess
// at the secret, and only this side can count them: the last one is ErrBurnt.
func (s *Session) refuse(t signaling.Ticket, code Code, why error) error {
	if !s.guarded(code) || !errors.Is(why, errUnproven) {
		s.retrying(why)
		return nil
	}
	s.config.Log.Info("refused an answer", "why", why)
	err := s.spend(s.current(t, code))
	s.config.Report(WrongCode{Left: s.guesses.left()})
	if err == nil && s.guesses.burnt() {
		err = ErrBurnt
	}
	if err != nil && s.met {
		s.config.Report(Burnt{})
	}
	return err
}

func (s *Session) callOnce(ctx context.Context, t signaling.Ticket, code Code, servers []signaling.ICEServer, publish func(context.Context, signaling.Description) error) (*Pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, err := s.newAttempt(ctx, t, code, servers, publish)
	if err != nil {
		return nil, err
	}
	defer a.end()
	defer cancel() // before it waits
	if err := a.offer(ctx); err != nil {
		return nil, err
	}
	p, _, err := a.run(ctx, nil, nil)
	return p, err
}

// giveBack closes the room, also when ctx has ended.
func (s *Session) giveBack(ctx context.Context, t signaling.Ticket) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellLimit)
	defer cancel()
	switch err := s.store.Close(ctx, t); {
	case err == nil, errors.Is(err, signaling.ErrNoRoom), errors.Is(err, signaling.ErrWrongToken):
	default:
		s.config.Log.Info("the room could not be closed; it ends by itself", "error", err)
	}
}
