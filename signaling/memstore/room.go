package memstore

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strconv"
	"time"

	"p2pchat/signaling"
)

const remembered = 8 // of those who were turned down in a room

var nobody [sha256.Size]byte // owns nothing

// A room may exist before it has an offer, for as long as somebody waits in it.
type room struct {
	name    string
	sides   [2]side // by signaling.Side
	waiting int
	used    time.Time
	queued  *list.Element // in Store.idle
	closed  bool

	turnedDown [][sha256.Size]byte // the last owners of an answer that was replaced
}

type side struct {
	description signaling.Description // nil: none yet
	version     signaling.Version
	owner       [sha256.Size]byte // of the token
	candidates  []signaling.Candidate
	size        int // of the candidates, in bytes

	// What waiting readers sleep on, closed by the next change; nil while none does.
	newDescription, newCandidates chan struct{}
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
	r.turnDown()
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

// turnDown remembers whose answer is about to be replaced, and wakes whoever must
// hear of it.
func (r *room) turnDown() {
	if owner := r.sides[signaling.Callee].owner; owner != nobody {
		r.turnedDown = append(r.turnedDown, owner)
		r.turnedDown = r.turnedDown[max(0, len(r.turnedDown)-remembered):]
	}
	r.wakeAll()
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
	return s.owner != nobody && subtle.ConstantTimeCompare(s.owner[:], owner[:]) == 1
}

func (s *side) repeats(owner [sha256.Size]byte, d signaling.Description) bool {
	return s.ownedBy(owner) && bytes.Equal(s.description, d)
}

// hash of no token is nobody's.
func hash(token string) [sha256.Size]byte {
	if token == "" {
		return nobody
	}
	return sha256.Sum256([]byte(token))
}
