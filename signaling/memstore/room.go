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

const maxTurnedDown = 8 // callees that a room remembers

// A tokenHash identifies the owner of a description. The zero tokenHash owns nothing.
type tokenHash [sha256.Size]byte

// A room may exist before it has an offer, while reads wait in it.
type room struct {
	state
	name    string
	waiting int // reads
	lastUse time.Time
	queued  *list.Element // in Store.idle; nil if it is not there
	closed  bool
	waiters [2][2]waiters // by signaling.Side and signaling.Document

	// With a primary:
	revision uint64
	renewed  time.Time // the last write to the primary
}

// A state is all that was written in a room.
type state struct {
	sides      [2]side     // by signaling.Side
	turnedDown []tokenHash // owners of answers that were replaced, the latest last

	beforeAnswer int  // how many candidates the caller had when it was answered
	hasSecret    bool // see hasSecret

	// In the lobby only:
	describedAt int64            // time of the latest description, Unix ms
	early       []earlyCandidate // candidates that may precede their offer
}

type side struct {
	description signaling.Description // nil: none yet
	version     signaling.Version
	owner       tokenHash
	candidates  []signaling.Candidate
	size        int    // bytes of the candidates
	from        string // the client that wrote the description: see signaling.Ticket
}

// errNoChange is returned by an edit that leaves a room as it is. It counts as use of the room.
var errNoChange = errors.New("the room is as it should be")

// update applies edit to a room, which counts as use. A room is not changed if edit returns an
// error; update returns that error unless it is errNoChange.
func (s *Store) update(ctx context.Context, name string, edit func(r *state, now time.Time) error) error {
	for {
		next, revision, err := s.edit(name, edit)
		if errors.Is(err, errNoChange) {
			return nil
		}
		if err != nil || s.primary == nil {
			return err
		}
		if err = s.primary.Write(ctx, name, revision, next.encode()); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// edit returns what edit makes of a room. Without a primary it applies that at once.
func (s *Store) edit(name string, edit func(r *state, now time.Time) error) (_ state, revision uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspended != nil {
		return state{}, 0, s.suspended
	}
	now := time.Now()
	s.expire(now)
	r, next := s.live(name, now), &s.draft
	if *next = (state{}); r != nil {
		*next, revision = r.state, r.revision
	}
	if s.primary != nil {
		next.turnedDown = slices.Clip(next.turnedDown) // or append would write into the room's array, though the primary may refuse the edit
	}
	switch err = edit(next, now); {
	case errors.Is(err, errNoChange) && r != nil: // nil: Renew found that the room is gone
		s.use(r, now)
	case err == nil && s.primary == nil:
		if r = s.apply(name, *next); r != nil {
			s.use(r, now)
		}
	}
	return *next, revision, err
}

// apply makes next the state of a room, and wakes the reads that wait for the change. It returns
// nil if that closes the room.
func (s *Store) apply(name string, next state) *room {
	r := s.rooms[name]
	if r != nil && (!next.hasContent() || r.hasOffer() && !next.hasOffer()) {
		s.countGuess(&r.state, &next)
		s.remove(r)
		r = s.rooms[name]
	}
	if !next.hasContent() {
		return nil
	}
	if r == nil {
		r = s.findOrAdd(name)
	}
	before := r.state
	s.countGuess(&before, &next)
	s.tally(&before, -1)
	r.state = next
	s.tally(&next, 1)
	r.wakeChanged(&before)
	if before.sides[signaling.Caller].version != r.sides[signaling.Caller].version {
		s.listeners.wake(name)
	}
	return r
}

// tally adds a room to the Store's counts, or takes it off them.
func (s *Store) tally(r *state, by int) {
	if r.hasOffer() {
		s.offered += by
		add(&s.clients.rooms, r.sides[signaling.Caller].from, by)
	}
	if r.sides[signaling.Callee].description != nil {
		s.answered += by
	}
	add(&s.clients.pending, r.pendingAnswer(), by)
}

func (s *Store) findOrAdd(name string) *room {
	r := s.rooms[name]
	if r == nil {
		r = &room{name: name}
		s.rooms[name] = r
	}
	return r
}

// live returns a room, or nil if nothing is written in it or it has expired.
func (s *Store) live(name string, now time.Time) *room {
	r := s.rooms[name]
	if r == nil || !r.hasContent() {
		return nil
	}
	if s.expired(r, now) {
		s.remove(r)
		return nil
	}
	return r
}

func (s *Store) nextVersion() signaling.Version {
	s.versions++
	return signaling.Version(s.versionPrefix + strconv.FormatUint(s.versions, 36))
}

func (r *state) hasOffer() bool { return r.sides[signaling.Caller].description != nil }

func (r *state) hasContent() bool { return r.hasOffer() || len(r.early) > 0 }

// checkWriter returns ErrNoRoom or ErrWrongToken if t may not write on its side.
func (r *state) checkWriter(t signaling.Ticket, owner tokenHash) error {
	switch {
	case !r.hasOffer():
		return signaling.ErrNoRoom
	case t.Room == signaling.Lobby && t.Token == "":
		return nil
	case !r.sides[t.Side].ownedBy(owner):
		return signaling.ErrWrongToken
	}
	return nil
}

// replaceOffer makes d the offer, and removes everything else but d's early candidates.
func (r *state) replaceOffer(t signaling.Ticket, owner tokenHash, d signaling.Description, v signaling.Version, now time.Time) {
	if t.Room == signaling.Lobby { // any client may replace its documents, so they belong to no client
		t.From = ""
	}
	r.beforeAnswer, r.hasSecret = 0, hasSecret(d)
	r.rememberCallee()
	r.sides = [2]side{signaling.Caller: {description: bytes.Clone(d), version: v, owner: owner, from: t.From, candidates: r.claimEarly(d, now)}}
	for _, c := range r.sides[signaling.Caller].candidates {
		r.sides[signaling.Caller].size += len(c)
	}
	r.stampDescription(t.Room, now)
}

// stampDescription notes the time of a new description in the lobby.
func (r *state) stampDescription(room string, now time.Time) {
	if room == signaling.Lobby {
		r.describedAt = now.UnixMilli()
	}
}

// rememberCallee notes the owner of an answer that is about to be replaced.
func (r *state) rememberCallee() {
	if owner := r.sides[signaling.Callee].owner; owner != (tokenHash{}) {
		r.turnedDown = append(r.turnedDown, owner)
		r.turnedDown = r.turnedDown[max(0, len(r.turnedDown)-maxTurnedDown):]
	}
}

// add implements [signaling.Store.AddCandidates] for a list.
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
		return n, errNoChange
	}
	// Exact arrays: most rooms get a few candidates and live for minutes. The new candidates share one copy.
	list, text := make([]signaling.Candidate, n, n+len(c)), make([]byte, 0, size-s.size)
	copy(list, s.candidates)
	for _, one := range c {
		text = append(text, one...)
		list = append(list, text[len(text)-len(one):len(text):len(text)])
	}
	s.candidates, s.size = list, size
	return len(list), nil
}

// checkReader returns ErrClosed or ErrTurnedDown if the owner of a token may not read what side
// of writes: see signaling.Store. The room is nil if it does not exist.
func (r *room) checkReader(owner tokenHash, of signaling.Side) error {
	switch {
	case owner == tokenHash{}:
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

// wakeChanged wakes the reads of documents that are not as they were before.
func (r *room) wakeChanged(before *state) {
	then, now := &before.sides, &r.sides
	if then[signaling.Caller].version != now[signaling.Caller].version ||
		then[signaling.Callee].owner != (tokenHash{}) && then[signaling.Callee].owner != now[signaling.Callee].owner {
		r.wakeAll(nil) // the token of a waiting read may no longer be valid
		return
	}
	for i := range r.sides {
		if then[i].version != now[i].version {
			r.waiters[i][signaling.DocDescription].wake(nil)
		}
		if len(then[i].candidates) != len(now[i].candidates) {
			r.waiters[i][signaling.DocCandidates].wake(nil)
		}
	}
}

func (r *room) wakeAll(err error) {
	for i := range r.waiters {
		for j := range r.waiters[i] {
			r.waiters[i][j].wake(err)
		}
	}
}

func (s *side) ownedBy(owner tokenHash) bool {
	return s.owner != tokenHash{} && subtle.ConstantTimeCompare(s.owner[:], owner[:]) == 1
}

// repeats reports whether d is the owner's description already.
func (s *side) repeats(owner tokenHash, d signaling.Description) bool {
	return s.ownedBy(owner) && bytes.Equal(s.description, d)
}

// hashToken returns the zero hash for an empty token.
func hashToken(token string) tokenHash {
	if token == "" {
		return tokenHash{}
	}
	return sha256.Sum256([]byte(token))
}
