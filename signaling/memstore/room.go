package memstore

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"crypto/subtle"
	"strconv"
	"time"

	"p2pchat/signaling"
)

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
