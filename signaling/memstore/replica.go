package memstore

import (
	"context"
	"errors"
	"time"
)

// renewals is how many times a replica writes a room in use again within the idle time after
// which the primary would drop it.
const renewals = 5

// ErrConflict is returned by [Primary.Write] if the room is not as the writer saw it.
var ErrConflict = errors.New("the room has changed")

// A Primary keeps the authoritative state of rooms that several Stores replicate. It reports
// every change to every Store, the writer's own included, with [Store.Set].
type Primary interface {
	// Write stores the state of a room if the room's current revision is the given one (0: the
	// room does not exist), and returns once this Store has received the change by Set. An empty
	// state closes the room. It returns ErrConflict if the revision is another one, or any
	// error that a [signaling.Store] may return.
	Write(ctx context.Context, room string, revision uint64, state []byte) error
}

// NewReplica returns a Store whose rooms are copies of those of a primary. The primary has to
// keep a room for limits.Idle after each Write.
func NewReplica(limits Limits, primary Primary) *Store {
	s := New(limits)
	s.primary = primary
	return s
}

// Set applies the primary's state of a room, which was written at that time. It returns an error
// if no Store has encoded that state.
func (s *Store) Set(room string, revision uint64, state []byte, written time.Time) error {
	next, err := decode(state)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.apply(room, next); r != nil {
		r.revision, r.renewed = revision, written
		s.queueIdle(r, written)
	}
	return nil
}

// Revision returns the revision of the last Set of a room, or 0 if the room does not exist.
func (s *Store) Revision(room string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.live(room, time.Now()); r != nil {
		return r.revision
	}
	return 0
}

// Forget removes a room that the primary no longer has, unless its revision is another one.
func (s *Store) Forget(room string, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[room]; r != nil && r.hasContent() && r.revision == revision {
		s.remove(r)
	}
}

// Reset removes all rooms, because the primary has lost them.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rooms {
		if r.hasContent() {
			s.remove(r)
		}
	}
}

// Suspend makes all methods return err, the reads that wait now included, until it is called
// with nil.
func (s *Store) Suspend(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspended = err
	if err != nil {
		for _, r := range s.rooms {
			r.wakeAll(nil)
		}
		s.listeners.wakeAll()
	}
}

// RenewalsDue returns a channel of names of rooms that are in use and have to be renewed with
// [Store.Renew].
func (s *Store) RenewalsDue() <-chan string { return s.renewalsDue }

// Renew writes a room to the primary again, unchanged, if the room still has an offer.
func (s *Store) Renew(ctx context.Context, room string) error {
	return s.update(ctx, room, func(r *state, _ time.Time) error {
		if !r.hasOffer() {
			return errNoChange
		}
		return nil
	})
}
