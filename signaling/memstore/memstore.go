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
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strconv"
	"sync"
	"time"

	"p2pchat/signaling"
)

// Limits bound what a Store keeps.
type Limits struct {
	Rooms      int           // rooms in all; 10,000 if zero
	Candidates int           // candidates a side; 100 if zero
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

// A room may exist before it has an offer, for as long as somebody waits in it.
type room struct {
	name    string
	sides   [2]side // by signaling.Side
	waiting int
	used    time.Time
	queued  *list.Element // in Store.idle
	closed  bool
}

type side struct {
	description signaling.Description // nil: none yet
	version     signaling.Version
	owner       [sha256.Size]byte // of the token; zero: nobody's
	candidates  []signaling.Candidate

	// What waiting readers sleep on, closed by the next change; nil while none does.
	newDescription, newCandidates chan struct{}
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
	if callee.description != nil { // the Lobby's: whoever holds the old token must hear of it
		r.wakeAll()
		callee.candidates = nil
	}
	callee.description, callee.version, callee.owner = bytes.Clone(d), s.version(), owner
	wake(&callee.newDescription)
	s.touch(r)
	return callee.version, nil
}

// Description implements signaling.Store.
func (s *Store) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	var d signaling.Description
	var v signaling.Version
	err := s.read(ctx, t, wait, func(r *room) (*chan struct{}, error) {
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
	if n+len(c) > s.limits.Candidates {
		return 0, signaling.ErrListFull
	}
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
	err := s.read(ctx, t, wait, func(r *room) (*chan struct{}, error) {
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

// read asks look until it has what it wants (a nil error), sleeping in between on
// the channel that look names.
func (s *Store) read(ctx context.Context, t signaling.Ticket, wait time.Duration, look func(*room) (*chan struct{}, error)) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	var over <-chan time.Time
	if 0 < wait && wait < signaling.Forever {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		r := s.live(t.Room)
		if t.Token != "" {
			if r == nil {
				return signaling.ErrClosed
			}
			if owner := hash(t.Token); !r.sides[signaling.Caller].ownedBy(owner) && !r.sides[signaling.Callee].ownedBy(owner) {
				return signaling.ErrTurnedDown
			}
		}
		if r == nil && wait > 0 {
			r = s.room(t.Room)
		} else if r == nil {
			r = &room{} // looks like any room that has nothing in it yet
		}
		changed, err := look(r)
		if err == nil || wait <= 0 {
			return err
		}
		if *changed == nil {
			*changed = make(chan struct{})
		}
		s.enter(r)
		more, err := s.sleep(ctx, *changed, over)
		s.leave(r)
		switch {
		case err != nil:
			return err
		case r.closed:
			return signaling.ErrClosed
		case !more:
			wait = 0 // look once more: something may have come at the last moment
		}
	}
}

// sleep waits, unlocked, for changed; more is false when the time is over.
func (s *Store) sleep(ctx context.Context, changed <-chan struct{}, over <-chan time.Time) (more bool, err error) {
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
		return true, nil
	case <-over:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (s *Store) enter(r *room) {
	r.waiting++
	if r.queued != nil {
		s.idle.Remove(r.queued)
		r.queued = nil
	}
}

func (s *Store) leave(r *room) {
	r.waiting--
	switch {
	case r.closed:
	case r.open():
		s.touch(r)
	case r.waiting == 0:
		delete(s.rooms, r.name)
	}
}

// touch counts as use of a room that has an offer.
func (s *Store) touch(r *room) {
	r.used = time.Now()
	switch {
	case r.waiting > 0:
	case r.queued != nil:
		s.idle.MoveToBack(r.queued)
	default:
		r.queued = s.idle.PushBack(r)
	}
}

// expire removes the rooms that are due; it looks at one more at most.
func (s *Store) expire() {
	now := time.Now()
	for e := s.idle.Front(); e != nil && s.due(e.Value.(*room), now); e = s.idle.Front() {
		s.remove(e.Value.(*room))
	}
}

func (s *Store) due(r *room, now time.Time) bool {
	return r.waiting == 0 && now.Sub(r.used) >= s.limits.Idle
}

func (s *Store) remove(r *room) {
	if r.queued != nil {
		s.idle.Remove(r.queued)
	}
	delete(s.rooms, r.name)
	s.open--
	r.closed = true
	r.wakeAll()
}

// room finds the room of that name, with an offer or without, or makes it.
func (s *Store) room(name string) *room {
	r := s.rooms[name]
	if r == nil {
		r = &room{name: name}
		s.rooms[name] = r
	}
	return r
}

// live is the room of that name if it has an offer and is not due, else nil.
func (s *Store) live(name string) *room {
	r := s.rooms[name]
	if r == nil || !r.open() {
		return nil
	}
	if s.due(r, time.Now()) {
		s.remove(r)
		return nil
	}
	return r
}

// owned is the live room that t may write to on its side.
func (s *Store) owned(t signaling.Ticket, owner [sha256.Size]byte) (*room, error) {
	r := s.live(t.Room)
	switch {
	case r == nil:
		return nil, signaling.ErrNoRoom
	case t.Room == signaling.Lobby && t.Token == "":
		return r, nil
	case !r.sides[t.Side].ownedBy(owner):
		return nil, signaling.ErrWrongToken
	}
	return r, nil
}

// offer makes d the offer of r and empties the rest.
func (s *Store) offer(r *room, owner [sha256.Size]byte, d signaling.Description) signaling.Version {
	r.wakeAll()
	v := s.version()
	r.sides = [2]side{signaling.Caller: {description: bytes.Clone(d), version: v, owner: owner}}
	s.touch(r)
	return v
}

func (s *Store) version() signaling.Version {
	s.written++
	return signaling.Version(s.epoch + strconv.FormatUint(s.written, 36))
}

func (r *room) open() bool { return r.sides[signaling.Caller].description != nil }

func (r *room) wakeAll() {
	for i := range r.sides {
		wake(&r.sides[i].newDescription)
		wake(&r.sides[i].newCandidates)
	}
}

func wake(changed *chan struct{}) {
	if *changed != nil {
		close(*changed)
		*changed = nil
	}
}

func (s *side) ownedBy(owner [sha256.Size]byte) bool {
	return s.owner != [sha256.Size]byte{} && subtle.ConstantTimeCompare(s.owner[:], owner[:]) == 1
}

func (s *side) repeats(owner [sha256.Size]byte, d signaling.Description) bool {
	return s.ownedBy(owner) && bytes.Equal(s.description, d)
}

// hash of no token is nobody's.
func hash(token string) [sha256.Size]byte {
	if token == "" {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256([]byte(token))
}

func check(t signaling.Ticket, by signaling.Side, d signaling.Description) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	return d.Check(by)
}
