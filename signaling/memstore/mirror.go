package memstore

import (
	"context"
	"errors"
	"time"
)

// renewals is how many times a mirrored room in use is written again in the
// time after which the journal would drop it.
const renewals = 5

// ErrConflict is what a Journal answers if the room is not as the writer saw it.
var ErrConflict = errors.New("the room has changed")

// A Journal keeps rooms where several Stores share them. Each Store mirrors it: it is told
// of every change, also of other Stores, by Set.
type Journal interface {
	// Write keeps the state of a room if the one before is of that revision (0: there is no
	// room), and comes back once this Store has been told of it, by Set. A room without a
	// state is closed. Errors: ErrConflict, and what a Store may answer.
	Write(ctx context.Context, room string, revision uint64, state []byte) error
}

// Mirror returns a Store whose rooms are those of a journal. There a room must live for
// limits.Idle after each Write.
func Mirror(limits Limits, journal Journal) *Store {
	s := New(limits)
	s.journal = journal
	return s
}

// Set says how a room stands in the journal, and since when. The error says that state is
// none of a Store's.
func (s *Store) Set(room string, revision uint64, state []byte, since time.Time) error {
	next, err := decode(state)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.set(room, next); r != nil {
		r.revision, r.kept = revision, since
		s.place(r, since)
	}
	return nil
}

// Revision is the one that was Set last of a room that stands; 0 if none does.
func (s *Store) Revision(room string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.live(room); r != nil {
		return r.revision
	}
	return 0
}

// Forget says that the journal no longer has the room of that revision.
func (s *Store) Forget(room string, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[room]; r != nil && r.written() && r.revision == revision {
		s.remove(r)
	}
}

// Reset says that the journal has lost everything.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rooms {
		if r.written() {
			s.remove(r)
		}
	}
}

// Suspend answers everything with err, reads that wait at once, until it is nil.
func (s *Store) Suspend(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspended = err
	if err != nil {
		for _, r := range s.rooms {
			r.wakeAll(nil)
		}
	}
}

// Worn names the rooms that are in use and must be given to Renew.
func (s *Store) Worn() <-chan string { return s.worn }

// Renew writes a room to the journal as it is, if it still stands.
func (s *Store) Renew(ctx context.Context, room string) error {
	return s.change(ctx, room, func(r *state) error {
		if !r.open() {
			return errAsItIs
		}
		return nil
	})
}
