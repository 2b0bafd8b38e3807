// Package memstore keeps rooms in memory: the default Store of a server.
//
// A waiting read is one of the waiters for the document that it reads, which are told when the
// document changes. Rooms without waiting reads stand in a queue, the longest unused first, so
// that expiry looks only at rooms that are due.
//
// A Store may also be the mirror of a Journal that several of them share: see Mirror.
package memstore

import (
	"bytes"
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"p2pchat/signaling"
)

// Limits bound what a Store keeps.
type Limits struct {
	Rooms      int           // rooms in all; 10,000 if zero
	Candidates int           // candidates a side; 100 if zero
	ListBytes  int           // bytes of all candidates of a side; 128 KiB if zero
	Client     int           // rooms that one client holds; no limit if zero
	Idle       time.Duration // how long a room lives without a write or a waiting read; 10 minutes if zero
}

// A Store is a signaling.Store in memory.
type Store struct {
	limits  Limits
	epoch   string      // sets this store's versions apart from those of another
	journal Journal     // nil if this store is all there is
	worn    chan string // rooms to Renew

	mu        sync.Mutex // guards what follows
	rooms     map[string]*room
	open      int       // rooms that have an offer
	answered  int       // of these, those that have an answer
	clients   clients   // what they hold, and how often they were turned down
	idle      list.List // *room with an offer and no waiting reader, the longest unused first
	written   uint64    // descriptions so far, for versions
	suspended error     // the error of every method while the journal is lost
}

var _ signaling.Watcher = (*Store)(nil)

// New returns an empty Store.
func New(limits Limits) *Store {
	if limits.Rooms == 0 {
		limits.Rooms = 10_000
	}
	if limits.Candidates == 0 {
		limits.Candidates = 100
	}
	if limits.ListBytes == 0 {
		limits.ListBytes = 128 << 10
	}
	if limits.Idle == 0 {
		limits.Idle = 10 * time.Minute
	}
	return &Store{limits: limits, epoch: rand.Text()[:10], worn: make(chan string, 1024), rooms: map[string]*room{}}
}

// Rooms is the number of rooms that have an offer.
func (s *Store) Rooms() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	return s.open
}

// A Census counts rooms.
type Census struct {
	Awaited  int // rooms with waiting reads and without an offer
	Offered  int
	Answered int
}

// Census is that of this moment.
func (s *Store) Census() Census {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	return Census{Awaited: len(s.rooms) - s.open, Offered: s.open - s.answered, Answered: s.answered}
}

// Offer implements signaling.Store.
func (s *Store) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (v signaling.Version, err error) {
	if err := check(t, signaling.Caller, d); err != nil {
		return "", err
	}
	owner := hash(t.Token)
	err = s.change(ctx, t.Room, func(r *state) error {
		caller := &r.sides[signaling.Caller]
		switch {
		case r.open() && caller.repeats(owner, d):
			v = caller.version
			return errAsItIs
		case r.open() && t.Room != signaling.Lobby:
			return signaling.ErrOccupied
		case !r.open() && s.open >= s.limits.Rooms:
			return signaling.ErrServerFull
		case !r.open() && s.limits.Client > 0 && s.clients.held[t.From] >= s.limits.Client:
			return signaling.ErrTooManyRooms
		}
		v = s.version()
		r.offer(t, owner, d, v)
		return nil
	})
	return v, err
}

// Reoffer implements signaling.Store.
func (s *Store) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (v signaling.Version, err error) {
	if err := check(t, signaling.Caller, d); err != nil {
		return "", err
	}
	t.Side = signaling.Caller
	owner := hash(t.Token)
	err = s.change(ctx, t.Room, func(r *state) error {
		if err := r.owned(t, owner); err != nil {
			return err
		}
		caller := &r.sides[signaling.Caller]
		if caller.repeats(owner, d) {
			v = caller.version
			return errAsItIs
		}
		v = s.version()
		t.From = caller.from // the client that opened the room holds it
		r.offer(t, owner, d, v)
		return nil
	})
	return v, err
}

// Answer implements signaling.Store.
func (s *Store) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (v signaling.Version, err error) {
	if err := check(t, signaling.Callee, d); err != nil {
		return "", err
	}
	owner := hash(t.Token)
	err = s.change(ctx, t.Room, func(r *state) error {
		callee := &r.sides[signaling.Callee]
		answered := callee.description != nil
		switch {
		case !r.open():
			return signaling.ErrNoOffer
		case answered && callee.repeats(owner, d):
			v = callee.version
			return errAsItIs
		case to != "" && to != r.sides[signaling.Caller].version:
			return signaling.ErrSuperseded
		case answered && t.Room != signaling.Lobby:
			return signaling.ErrAnswered
		}
		if err := s.clients.mayAnswer(t, r.sides[signaling.Caller].from, time.Now()); err != nil {
			return err
		}
		r.turnDown() // only the Lobby has an answer to turn down
		v = s.version()
		callee.description, callee.version, callee.owner, callee.from = bytes.Clone(d), v, owner, t.From
		r.heard = len(r.sides[signaling.Caller].candidates)
		r.describe(t.Room, time.Now())
		return nil
	})
	return v, err
}

// AcceptedFrom returns how many of the caller's candidates were there before the answer that
// t's token owns: one that follows shows that the caller has accepted the answer. It is false
// if the token owns no answer.
func (s *Store) AcceptedFrom(t signaling.Ticket) (index int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.live(t.Room)
	if r == nil || t.Token == "" || r.sides[signaling.Callee].description == nil || !r.sides[signaling.Callee].ownedBy(hash(t.Token)) {
		return 0, false
	}
	return r.heard, true
}

// Description implements signaling.Store.
func (s *Store) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	if of == signaling.Caller {
		t.Token = "" // any client may read an offer
	}
	var d signaling.Description
	var v signaling.Version
	err := s.read(ctx, t, of, wait, func(r *room) (*waiters, error) {
		news := &r.news[of][signaling.TheDescription]
		d, v = r.sides[of].description, r.sides[of].version
		switch {
		case d != nil && v != known:
			return nil, nil
		case d != nil:
			return news, signaling.ErrUnchanged
		case of == signaling.Caller:
			return news, signaling.ErrNoOffer
		default:
			return news, signaling.ErrNoAnswer
		}
	})
	if err != nil {
		return nil, "", err
	}
	return d, v, nil
}

// AddCandidates implements signaling.Store.
func (s *Store) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (n int, err error) {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return 0, err
	}
	for _, one := range c {
		if err := one.Check(); err != nil {
			return 0, err
		}
	}
	owner := hash(t.Token)
	err = s.change(ctx, t.Room, func(r *state) error {
		plain := t.Room == signaling.Lobby && t.Token == "" && t.Side == signaling.Caller
		if plain && !r.open() {
			n, err = r.await(c, s.limits, time.Now())
			return err
		}
		if err := r.owned(t, owner); err != nil {
			return err
		}
		before := len(r.sides[t.Side].candidates)
		if n, err = r.sides[t.Side].add(at, c, s.limits); err == nil && plain {
			_, _ = r.await(r.sides[t.Side].candidates[before:], s.limits, time.Now()) // or they are only this offer's
		}
		return err
	})
	return n, err
}

// Candidates implements signaling.Store.
func (s *Store) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if after < 0 {
		return nil, signaling.ErrInvalid
	}
	var list []signaling.Candidate
	err := s.read(ctx, t, of, wait, func(r *room) (*waiters, error) {
		from, news := &r.sides[of], &r.news[of][signaling.TheCandidates]
		switch {
		case !r.open():
			return news, signaling.ErrNoRoom
		case len(from.candidates) <= after:
			return news, signaling.ErrUnchanged
		}
		// The list only grows, in place or into a new array: what is read never changes.
		list = from.candidates[after:len(from.candidates):len(from.candidates)]
		return nil, nil
	})
	if errors.Is(err, signaling.ErrUnchanged) {
		err = nil
	}
	return list, err
}

// Close implements signaling.Store.
func (s *Store) Close(ctx context.Context, t signaling.Ticket) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	t.Side = signaling.Caller
	owner := hash(t.Token)
	return s.change(ctx, t.Room, func(r *state) error {
		if err := r.owned(t, owner); err != nil {
			return err
		}
		r.endEarly(r.sides[signaling.Caller].description, time.Now())
		*r = state{early: r.early}
		return nil
	})
}

func check(t signaling.Ticket, by signaling.Side, d signaling.Description) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	return d.Check(by)
}
