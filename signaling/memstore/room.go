package memstore

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strconv"
	"time"

	"p2pchat/signaling"
)

const remembered = 8 // of those who were turned down in a room

var nobody [sha256.Size]byte // owns nothing

// A room may exist before it has an offer, while reads wait in it.
type room struct {
	state
	name    string
	waiting int
	used    time.Time
	queued  *list.Element // in Store.idle
	closed  bool
	news    [2][2]waiters // by signaling.Side and signaling.Document

	// Where there is a journal: the state's revision there, and since when it is kept.
	revision uint64
	kept     time.Time
}

// A state is all that has been written in a room; nothing, if it is not open.
type state struct {
	sides      [2]side             // by signaling.Side
	turnedDown [][sha256.Size]byte // the last owners of an answer that was replaced

	heard   int  // how many candidates the caller had when it was answered
	secrets bool // whether the offer can have a secret: see hasSecret

	// Of the Lobby alone:
	since int64   // when the newest description came: Unix time in ms
	early []early // candidates that may precede their offer
}

type side struct {
	description signaling.Description // nil: none yet
	version     signaling.Version
	owner       [sha256.Size]byte // of the token
	candidates  []signaling.Candidate
	size        int    // of the candidates, in bytes
	from        string // whose description it is: see signaling.Ticket
}

var errAsItIs = errors.New("the room is as it should be")

// change has edit make something else of a room, which counts as use. edit changes
// nothing if it returns an error; errAsItIs is none to the caller.
func (s *Store) change(ctx context.Context, name string, edit func(*state) error) error {
	for {
		next, revision, err := s.try(name, edit)
		if errors.Is(err, errAsItIs) {
			return nil
		}
		if err != nil || s.journal == nil {
			return err
		}
		if err = s.journal.Write(ctx, name, revision, next.encode()); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// try edits a room; what becomes of it stands at once, unless a journal comes first.
func (s *Store) try(name string, edit func(*state) error) (next state, revision uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspended != nil {
		return next, 0, s.suspended
	}
	s.expire()
	r := s.live(name)
	if r != nil {
		next, revision = r.state, r.revision
	}
	if s.journal != nil {
		next.clip()
	}
	switch err = edit(&next); {
	case errors.Is(err, errAsItIs):
		s.touch(r)
	case err == nil && s.journal == nil:
		if r = s.set(name, next); r != nil {
			s.touch(r)
		}
	}
	return next, revision, err
}

// set makes next the state of a room, and wakes the reads that wait for the change. It returns
// nil if that ends the room.
func (s *Store) set(name string, next state) *room {
	r := s.rooms[name]
	if r != nil && (!next.written() || r.open() && !next.open()) {
		s.judge(&r.state, &next)
		s.remove(r)
		r = s.rooms[name]
	}
	if !next.written() {
		return nil
	}
	if r == nil {
		r = s.room(name)
	}
	before := r.state
	s.judge(&before, &next)
	s.count(&before, -1)
	r.state = next
	s.count(&next, 1)
	r.tell(&before)
	return r
}

// count adds a room, or takes it away.
func (s *Store) count(r *state, by int) {
	if r.open() {
		s.open += by
		count(&s.clients.held, r.sides[signaling.Caller].from, by)
	}
	if r.sides[signaling.Callee].description != nil {
		s.answered += by
	}
	count(&s.clients.waiting, r.unjudged(), by)
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

// live returns the room of that name if something is written in it and it is not due, else nil.
func (s *Store) live(name string) *room {
	r := s.rooms[name]
	if r == nil || !r.written() {
		return nil
	}
	if s.due(r, time.Now()) {
		s.remove(r)
		return nil
	}
	return r
}

func (s *Store) version() signaling.Version {
	s.written++
	return signaling.Version(s.epoch + strconv.FormatUint(s.written, 36))
}

func (r *state) open() bool { return r.sides[signaling.Caller].description != nil }

// written reports whether there is anything to keep.
func (r *state) written() bool { return r.open() || len(r.early) > 0 }

// owned is nil if t may write to the room on its side.
func (r *state) owned(t signaling.Ticket, owner [sha256.Size]byte) error {
	switch {
	case !r.open():
		return signaling.ErrNoRoom
	case t.Room == signaling.Lobby && t.Token == "":
		return nil
	case !r.sides[t.Side].ownedBy(owner):
		return signaling.ErrWrongToken
	}
	return nil
}

// offer makes d the offer and empties the rest, but for d's early candidates.
func (r *state) offer(t signaling.Ticket, owner [sha256.Size]byte, d signaling.Description, v signaling.Version) {
	now := time.Now()
	if t.Room == signaling.Lobby { // any client may replace its documents, so they are no client's
		t.From = ""
	}
	r.heard, r.secrets = 0, hasSecret(d)
	r.turnDown()
	r.sides = [2]side{signaling.Caller: {description: bytes.Clone(d), version: v, owner: owner, from: t.From, candidates: r.claim(d, now)}}
	for _, c := range r.sides[signaling.Caller].candidates {
		r.sides[signaling.Caller].size += len(c)
	}
	r.describe(t.Room, now)
}

// describe notes that the room has a new description.
func (r *state) describe(room string, now time.Time) {
	if room == signaling.Lobby {
		r.since = now.UnixMilli()
	}
}

// turnDown remembers whose answer is about to be replaced.
func (r *state) turnDown() {
	if owner := r.sides[signaling.Callee].owner; owner != nobody {
		r.turnedDown = append(r.turnedDown, owner)
		r.turnedDown = r.turnedDown[max(0, len(r.turnedDown)-remembered):]
	}
}

// add adds to the list: see signaling.Store. It returns the list's length.
func (s *side) add(at int, c []signaling.Candidate, limits Limits) (int, error) {
	n := len(s.candidates)
	switch {
	case at < 0:
	case at > n:
		return 0, signaling.ErrGap
	default:
		c = c[min(n-at, len(c)):]
	}
	size := s.size
	for _, one := range c {
		size += len(one)
	}
	switch {
	case n+len(c) > limits.Candidates, size > limits.ListBytes:
		return 0, signaling.ErrListFull
	case len(c) == 0:
		return n, errAsItIs
	}
	s.size = size
	for _, one := range c {
		s.candidates = append(s.candidates, bytes.Clone(one))
	}
	return len(s.candidates), nil
}

// clip makes append copy the lists, so that it does not write into the arrays of another state.
func (r *state) clip() {
	r.turnedDown = slices.Clip(r.turnedDown)
	for i := range r.sides {
		r.sides[i].candidates = slices.Clip(r.sides[i].candidates)
	}
}

// admits says whether a read of what side of writes may go on with the token of
// owner: see signaling.Store. The room is nil if it is gone.
func (r *room) admits(owner [sha256.Size]byte, of signaling.Side) error {
	switch {
	case owner == nobody:
		return nil
	case r == nil && of == signaling.Callee:
		return signaling.ErrClosed
	case r == nil, r.sides[signaling.Caller].ownedBy(owner), r.sides[signaling.Callee].ownedBy(owner):
		return nil
	case of == signaling.Callee, slices.Contains(r.turnedDown, owner):
		return signaling.ErrTurnedDown
	}
	return nil
}

// tell wakes the reads of documents that have changed since before.
func (r *room) tell(before *state) {
	then, now := &before.sides, &r.sides
	if then[signaling.Caller].version != now[signaling.Caller].version ||
		then[signaling.Callee].owner != nobody && then[signaling.Callee].owner != now[signaling.Callee].owner {
		r.wakeAll(nil) // the token of a waiting read may be dead
		return
	}
	for i := range r.sides {
		if then[i].version != now[i].version {
			r.news[i][signaling.TheDescription].wake(nil)
		}
		if len(then[i].candidates) != len(now[i].candidates) {
			r.news[i][signaling.TheCandidates].wake(nil)
		}
	}
}

func (r *room) wakeAll(err error) {
	for i := range r.news {
		for j := range r.news[i] {
			r.news[i][j].wake(err)
		}
	}
}

func (s *side) ownedBy(owner [sha256.Size]byte) bool {
	return s.owner != nobody && subtle.ConstantTimeCompare(s.owner[:], owner[:]) == 1
}

func (s *side) repeats(owner [sha256.Size]byte, d signaling.Description) bool {
	return s.ownedBy(owner) && bytes.Equal(s.description, d)
}

// hash returns nobody for an empty token.
func hash(token string) [sha256.Size]byte {
	if token == "" {
		return nobody
	}
	return sha256.Sum256([]byte(token))
}
