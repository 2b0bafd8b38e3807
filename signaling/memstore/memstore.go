// Package memstore keeps rooms in memory: the default Store of a server.
//
// A read that waits costs a goroutine and nothing else: it sleeps on the channel of
// the one document that it reads. Rooms that nobody waits in stand in a queue,
// the longest unused first, so that expiry looks at none but those that are due.
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
	Idle       time.Duration // how long a room lives that nobody writes to or waits in; 10 minutes if zero
}

// A Store is a signaling.Store in memory.
type Store struct {
	limits Limits
	epoch  string // sets this store's versions apart from those of one before it

	mu      sync.Mutex // guards what follows
	rooms   map[string]*room
	open    int       // rooms that have an offer
	idle    list.List // *room with an offer and no waiting reader, the longest unused first
	written uint64    // descriptions so far, for versions
}

var _ signaling.Store = (*Store)(nil)

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
	return &Store{limits: limits, epoch: rand.Text()[:10], rooms: map[string]*room{}}
}

// Rooms is the number of rooms that have an offer.
func (s *Store) Rooms() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	return s.open
}

// Offer implements signaling.Store.
func (s *Store) Offer(_ context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	if err := check(t, signaling.Caller, d); err != nil {
		return "", err
	}
	owner := hash(t.Token)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	r := s.rooms[t.Room]
	switch {
	case r != nil && r.open() && r.sides[signaling.Caller].repeats(owner, d):
		s.touch(r)
		return r.sides[signaling.Caller].version, nil
	case r != nil && r.open() && t.Room != signaling.Lobby:
		return "", signaling.ErrOccupied
	case r == nil || !r.open():
		if s.open >= s.limits.Rooms {
			return "", signaling.ErrServerFull
		}
		s.open++
		r = s.room(t.Room)
	}
	return s.offer(r, owner, d), nil
}

// Reoffer implements signaling.Store.
func (s *Store) Reoffer(_ context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	if err := check(t, signaling.Caller, d); err != nil {
		return "", err
	}
	t.Side = signaling.Caller
	owner := hash(t.Token)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.owned(t, owner)
	if err != nil {
		return "", err
	}
	if caller := &r.sides[signaling.Caller]; caller.repeats(owner, d) {
		s.touch(r)
		return caller.version, nil
	}
	return s.offer(r, owner, d), nil
}

// Answer implements signaling.Store.
func (s *Store) Answer(_ context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	if err := check(t, signaling.Callee, d); err != nil {
		return "", err
	}
	owner := hash(t.Token)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.live(t.Room)
	if r == nil {
		return "", signaling.ErrNoOffer
	}
	callee := &r.sides[signaling.Callee]
	switch {
	case callee.description != nil && callee.repeats(owner, d):
		s.touch(r)
		return callee.version, nil
	case to != "" && to != r.sides[signaling.Caller].version:
		return "", signaling.ErrSuperseded
	case callee.description != nil && t.Room != signaling.Lobby:
		return "", signaling.ErrAnswered
	}
	if callee.description != nil { // the Lobby's
		r.turnDown()
	}
	callee.description, callee.version, callee.owner = bytes.Clone(d), s.version(), owner
	wake(&callee.newDescription)
	s.touch(r)
	return callee.version, nil
}

// Description implements signaling.Store.
func (s *Store) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	if of == signaling.Caller {
		t.Token = "" // an offer is for anybody
	}
	var d signaling.Description
	var v signaling.Version
	err := s.read(ctx, t, of, wait, func(r *room) (*chan struct{}, error) {
		from := &r.sides[of]
		d, v = from.description, from.version
		switch {
		case d != nil && v != known:
			return nil, nil
		case d != nil:
			return &from.newDescription, signaling.ErrUnchanged
		case of == signaling.Caller:
			return &from.newDescription, signaling.ErrNoOffer
		default:
			return &from.newDescription, signaling.ErrNoAnswer
		}
	})
	if err != nil {
		return nil, "", err
	}
	return d, v, nil
}

// AddCandidates implements signaling.Store.
func (s *Store) AddCandidates(_ context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return 0, err
	}
	for _, one := range c {
		if err := one.Check(); err != nil {
			return 0, err
		}
	}
	owner := hash(t.Token)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.owned(t, owner)
	if err != nil {
		return 0, err
	}
	mine := &r.sides[t.Side]
	n := len(mine.candidates)
	switch {
	case at < 0:
	case at > n:
		return 0, signaling.ErrGap
	default:
		c = c[min(n-at, len(c)):]
	}
	size := mine.size
	for _, one := range c {
		size += len(one)
	}
	if n+len(c) > s.limits.Candidates || size > s.limits.ListBytes {
		return 0, signaling.ErrListFull
	}
	mine.size = size
	for _, one := range c {
		mine.candidates = append(mine.candidates, bytes.Clone(one))
	}
	if len(c) > 0 {
		wake(&mine.newCandidates)
	}
	s.touch(r)
	return len(mine.candidates), nil
}

// Candidates implements signaling.Store.
func (s *Store) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if after < 0 {
		return nil, signaling.ErrInvalid
	}
	var list []signaling.Candidate
	err := s.read(ctx, t, of, wait, func(r *room) (*chan struct{}, error) {
		from := &r.sides[of]
		switch {
		case !r.open():
			return &from.newCandidates, signaling.ErrNoRoom
		case len(from.candidates) <= after:
			return &from.newCandidates, signaling.ErrUnchanged
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
func (s *Store) Close(_ context.Context, t signaling.Ticket) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	owner := hash(t.Token)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Side = signaling.Caller
	r, err := s.owned(t, owner)
	if err != nil {
		return err
	}
	s.remove(r)
	return nil
}

func check(t signaling.Ticket, by signaling.Side, d signaling.Description) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	return d.Check(by)
}
