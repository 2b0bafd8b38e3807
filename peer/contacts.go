package peer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"p2pchat/peer/contact"
	"p2pchat/signaling"
)

// A Contact is the other side of a Session that needs no code.
type Contact struct {
	// Keys returns the newest keys. The Session calls it before each meeting, from one goroutine.
	Keys func() contact.Keys
	// Calls says that this side calls; otherwise it waits for a call. Two that call at the same time meet.
	Calls bool
	// Met says that the two have been connected before, as by another Session: whatever keeps them from meeting, the Session tries again.
	Met bool
}

// Meet meets a contact where the keys of the two say, in the rooms of the hour. Each room has an offer of one side only:
//
//	            room of the first    room of the second
//	First       offers               answers, unless it calls itself
//	Second      answers              offers
//
// So two that call at once meet in the first one's room, though the server knows neither of them. After each loss the two meet
// again like this, with the keys that they have by then: Config.Resume is not needed. The Session runs until Close.
func Meet(at signaling.Store, c Contact, config Config) *Session {
	side := signaling.Callee
	if c.Calls {
		side = signaling.Caller
	}
	config.contact = &c
	return start(at, side, nil, config)
}

// Generation returns the ID of the generation of keys with which two contacts met, and "" for others: see contact.Keys.Roll.
func (p *Pipe) Generation() string { return p.generation }

// A meetingPoint is a Session in the rooms of one side, for one connection.
type meetingPoint struct {
	*Session
	ids map[Code]string // the generations of its codes
}

// maintainContact meets the contact, follows the connection to its end, and meets again.
func (s *Session) maintainContact(ctx context.Context) error {
	s.met = s.config.contact.Met
	for {
		at, p, err := s.connectContact(ctx)
		if err != nil {
			return err
		}
		s.met = true
		for p != nil {
			s.deliver(p)
			p = at.successor(ctx, p)
		}
		at.Close()
		select {
		case <-s.wanted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// successor waits for the end of p. It returns the Pipe that has taken its place, or nil if it was lost. A renewal may have one after p has ended.
func (at *meetingPoint) successor(ctx context.Context, p *Pipe) *Pipe {
	select {
	case <-p.replaced:
	case <-p.last:
		return nil
	case <-ctx.Done():
		return nil
	}
	next, err := at.Pipe(ctx)
	if err != nil {
		return nil
	}
	next.generation = p.generation
	return next
}

// connectContact meets the contact, in one hour's rooms after another's.
func (s *Session) connectContact(ctx context.Context) (*meetingPoint, *Pipe, error) {
	for {
		now := time.Now()
		hour, end := withinHour(ctx, now)
		at, p, err := s.meetContact(hour, now)
		over := hour.Err() != nil
		end()
		switch {
		case err == nil:
			return at, p, nil
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case over:
			continue
		case !s.met && !mayComeLater(err):
			return nil, nil, err
		}
		s.config.Log.Info("could not meet the contact; trying once more", "why", err)
		if err := s.pause.wait(ctx); err != nil {
			return nil, nil, err
		}
	}
}

// lookAtClock is how often withinHour looks whether the hour is over.
const lookAtClock = 5 * time.Second

// withinHour returns a context that ends when the clock leaves the hour of now. One timer would not do: it stands still while the
// machine sleeps, and knows nothing of a clock that is set.
func withinHour(ctx context.Context, now time.Time) (hour context.Context, end func()) {
	hour, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		for clock := now; contact.Epoch(clock) == contact.Epoch(now); clock = time.Now() {
			select {
			case <-time.After(min(lookAtClock, contact.NextEpoch(clock).Sub(clock))):
			case <-hour.Done():
				return
			}
		}
	})
	return hour, func() {
		cancel()
		wg.Wait()
	}
}

// mayComeLater reports whether a meeting with a contact that failed with err tells nothing of the contact: the server, or one who
// knows only the room, can cause it.
func mayComeLater(err error) bool {
	for _, kind := range []error{ErrReplaced, ErrTaken, ErrWrongCode, ErrImpostor, signaling.ErrOccupied} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// meetContact waits in the rooms of the hour of now, until one of them leads to a connection. It leaves the others then.
func (s *Session) meetContact(ctx context.Context, now time.Time) (*meetingPoint, *Pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		at *meetingPoint
		p  *Pipe
		error
	}
	points := s.meetingPoints(s.config.contact.Keys(), now)
	results := make(chan result, len(points))
	for _, at := range points {
		go func() {
			p, err := at.Pipe(ctx)
			results <- result{at, p, err}
		}()
	}
	first := <-results
	cancel()
	for range len(points) - 1 {
		<-results //nolint:errcheck // a Pipe that comes too late is closed with its Session
	}
	if first.error != nil {
		for _, at := range points {
			at.Close() // before the next try, in the same rooms
		}
		return nil, nil, first.error
	}
	for _, at := range points {
		if at != first.at {
			s.wg.Go(at.Close)
		}
	}
	first.p.generation = first.at.ids[first.p.code]
	return first.at, first.p, nil
}

// meetingPoints starts to wait in the rooms of the hour of now.
func (s *Session) meetingPoints(keys contact.Keys, now time.Time) (all []*meetingPoint) {
	waited := false
	config := s.config
	config.contact, config.private, config.Save = nil, true, nil
	config.Report = func(e Event) {
		s.reporting.Lock()
		defer s.reporting.Unlock()
		if _, ok := e.(Waiting); ok {
			if waited {
				return
			}
			waited = true
		}
		s.config.Report(e)
	}
	begin := func(side signaling.Side, caller contact.Side) {
		places, generations := keys.Places(caller, now)
		if side == signaling.Caller { // the callee looks into the rooms of all hours, so the caller needs only its own
			places = places[:len(keys.Generations)]
		}
		at := &meetingPoint{ids: map[Code]string{}}
		var codes []Code
		for i, p := range places {
			codes = append(codes, Code(p))
			at.ids[Code(p)] = generations[i]
		}
		at.Session = start(s.store, side, codes, config)
		all = append(all, at)
	}
	calls := s.config.contact.Calls
	if calls {
		begin(signaling.Caller, keys.Side)
	}
	if !calls || keys.Side.Yields() {
		begin(signaling.Callee, keys.Side.Other())
	}
	return slices.Clip(all)
}
