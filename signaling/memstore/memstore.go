// Package memstore keeps rooms in memory: the default Store of a server.
//
// A waiting read is one of the waiters for the document that it reads, which are notified when the
// document changes. Rooms without waiting reads are in a queue, the longest unused first, so
// that expiry looks only at expired rooms.
//
// A Store may also be a replica of rooms that several Stores share: see [NewReplica].
package memstore

import (
	"bytes"
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"p2pchat/signaling"
)

// Limits bound what a Store keeps.
type Limits struct {
	Rooms      int           // rooms in all; 10,000 if zero
	Candidates int           // candidates of one side of a room; 100 if zero
	ListBytes  int           // bytes of these candidates; 128 KiB if zero
	Client     int           // rooms that one client has opened, fewer as others fill the Store: see maxClientRooms; no limit if zero
	Idle       time.Duration // how long a room lives without a write or a waiting read; 10 minutes if zero
}

// A Store is a signaling.Store in memory.
type Store struct {
	limits        Limits
	versionPrefix string      // differs between Stores
	primary       Primary     // nil if this Store is not a replica
	renewalsDue   chan string // names of rooms

	mu        sync.Mutex // guards what follows
	rooms     map[string]*room
	offered   int // rooms that have an offer
	answered  int // rooms that have an answer
	clients   clients
	listeners watchers  // for offers, by the names of rooms: see Offers
	idle      list.List // *room without waiting reads, the longest unused first
	versions  uint64    // so far
	draft     state     // of edit, here so that an edit allocates none
	suspended error     // returned by every method if it is not nil: see Suspend
}

var _ signaling.Watcher = (*Store)(nil)

// New returns an empty Store with these limits.
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
	return &Store{limits: limits, versionPrefix: rand.Text()[:10], renewalsDue: make(chan string, 1024), rooms: map[string]*room{}, listeners: watchers{}}
}

// Rooms returns the number of rooms that have an offer.
func (s *Store) Rooms() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(time.Now())
	return s.offered
}

// Counts are numbers of rooms, by state.
type Counts struct {
	Awaited  int // without an offer, and reads wait in the room
	Offered  int // with an offer and without an answer
	Answered int
}

// Counts returns how many rooms there are now.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(time.Now())
	return Counts{Awaited: len(s.rooms) - s.offered, Offered: s.offered - s.answered, Answered: s.answered}
}

// Offer implements [signaling.Store].
func (s *Store) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (v signaling.Version, err error) {
	if err := check(t, signaling.Caller, d); err != nil {
		return "", err
	}
	owner := hashToken(t.Token)
	err = s.update(ctx, t.Room, func(r *state, now time.Time) error {
		caller := &r.sides[signaling.Caller]
		switch {
		case r.hasOffer() && caller.repeats(owner, d):
			v = caller.version
			return errNoChange
		case r.hasOffer() && t.Room != signaling.Lobby:
			return signaling.ErrOccupied
		case !r.hasOffer() && s.offered >= s.limits.Rooms:
			return signaling.ErrServerFull
		case !r.hasOffer() && s.limits.Client > 0 && s.clients.rooms[t.From] >= s.maxClientRooms(t.From):
			return signaling.ErrTooManyRooms
		}
		v = s.nextVersion()
		r.replaceOffer(t, owner, d, v, now)
		return nil
	})
	return v, err
}

// Reoffer implements [signaling.Store].
func (s *Store) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (v signaling.Version, err error) {
	if err := check(t, signaling.Caller, d); err != nil {
		return "", err
	}
	t.Side = signaling.Caller
	owner := hashToken(t.Token)
	err = s.update(ctx, t.Room, func(r *state, now time.Time) error {
		if err := r.checkWriter(t, owner); err != nil {
			return err
		}
		caller := &r.sides[signaling.Caller]
		if caller.repeats(owner, d) {
			v = caller.version
			return errNoChange
		}
		v = s.nextVersion()
		t.From = caller.from // the room counts for the client that opened it
		r.replaceOffer(t, owner, d, v, now)
		return nil
	})
	return v, err
}

// Answer implements [signaling.Store].
func (s *Store) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (v signaling.Version, err error) {
	if err := check(t, signaling.Callee, d); err != nil {
		return "", err
	}
	owner := hashToken(t.Token)
	err = s.update(ctx, t.Room, func(r *state, now time.Time) error {
		callee := &r.sides[signaling.Callee]
		answered := callee.description != nil
		switch {
		case !r.hasOffer():
			return signaling.ErrNoOffer
		case answered && callee.repeats(owner, d):
			v = callee.version
			return errNoChange
		case to != "" && to != r.sides[signaling.Caller].version:
			return signaling.ErrSuperseded
		case answered && t.Room != signaling.Lobby:
			return signaling.ErrAnswered
		}
		if err := s.clients.checkAnswer(t, r.sides[signaling.Caller].from, now); err != nil {
			return err
		}
		r.rememberCallee() // only the lobby has an answer to replace
		v = s.nextVersion()
		callee.description, callee.version, callee.owner, callee.from = bytes.Clone(d), v, owner, t.From
		r.beforeAnswer = len(r.sides[signaling.Caller].candidates)
		r.stampDescription(t.Room, now)
		return nil
	})
	return v, err
}

// AcceptedFrom returns the index from which on a candidate of the caller shows that the caller
// has accepted the answer that t's token owns: how many candidates the caller had before that
// answer. ok is false if the token owns no answer.
func (s *Store) AcceptedFrom(t signaling.Ticket) (index int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.live(t.Room, time.Now())
	if r == nil || t.Token == "" || r.sides[signaling.Callee].description == nil || !r.sides[signaling.Callee].ownedBy(hashToken(t.Token)) {
		return 0, false
	}
	return r.beforeAnswer, true
}

// Description implements [signaling.Store].
func (s *Store) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	if of == signaling.Caller {
		t.Token = "" // any client may read an offer
	}
	var d signaling.Description
	var v signaling.Version
	err := s.read(ctx, t, of, wait, false, func(r *room) (*waiters, error) {
		list := &r.waiters[of][signaling.DocDescription]
		d, v = r.sides[of].description, r.sides[of].version
		switch {
		case d != nil && v != known:
			return nil, nil
		case d != nil:
			return list, signaling.ErrUnchanged
		case of == signaling.Caller:
			return list, signaling.ErrNoOffer
		default:
			return list, signaling.ErrNoAnswer
		}
	})
	if err != nil {
		return nil, "", err
	}
	return d, v, nil
}

// AddCandidates implements [signaling.Store].
func (s *Store) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (n int, err error) {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return 0, err
	}
	for _, one := range c {
		if err := one.Check(); err != nil {
			return 0, err
		}
	}
	owner := hashToken(t.Token)
	err = s.update(ctx, t.Room, func(r *state, now time.Time) error {
		plain := t.Room == signaling.Lobby && t.Token == "" && t.Side == signaling.Caller
		if plain && !r.hasOffer() {
			n, err = r.addEarly(c, s.limits, now)
			return err
		}
		if err := r.checkWriter(t, owner); err != nil {
			return err
		}
		before := len(r.sides[t.Side].candidates)
		if n, err = r.sides[t.Side].add(at, c, s.limits); err == nil && plain {
			_, _ = r.addEarly(r.sides[t.Side].candidates[before:], s.limits, now) // if the list is full, they belong to this offer only
		}
		return err
	})
	return n, err
}

// Candidates implements [signaling.Store].
func (s *Store) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	return s.candidates(ctx, t, of, after, wait, false)
}

// MoreCandidates is Candidates for a reader that has found the room: it returns ErrClosed if the room is gone.
func (s *Store) MoreCandidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	return s.candidates(ctx, t, of, after, wait, true)
}

func (s *Store) candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration, found bool) ([]signaling.Candidate, error) {
	if after < 0 {
		return nil, signaling.ErrInvalid
	}
	var list []signaling.Candidate
	err := s.read(ctx, t, of, wait, found, func(r *room) (*waiters, error) {
		from, waiting := &r.sides[of], &r.waiters[of][signaling.DocCandidates]
		switch {
		case !r.hasOffer():
			return waiting, signaling.ErrNoRoom
		case len(from.candidates) <= after:
			return waiting, signaling.ErrUnchanged
		}
		list = slices.Clip(from.candidates[after:]) // add puts more into a new array, so what is read never changes
		return nil, nil
	})
	if errors.Is(err, signaling.ErrUnchanged) {
		err = nil
	}
	return list, err
}

// Close implements [signaling.Store].
func (s *Store) Close(ctx context.Context, t signaling.Ticket) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	t.Side = signaling.Caller
	owner := hashToken(t.Token)
	return s.update(ctx, t.Room, func(r *state, now time.Time) error {
		if err := r.checkWriter(t, owner); err != nil {
			return err
		}
		r.dropEarly(r.sides[signaling.Caller].description, now)
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
