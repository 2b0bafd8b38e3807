package memstore

import (
	"context"
	"time"

	"p2pchat/signaling"
)

// read asks look until it has what it wants of a side (a nil error), sleeping in
// between on the channel that look names.
func (s *Store) read(ctx context.Context, t signaling.Ticket, of signaling.Side, wait time.Duration, look func(*room) (*chan struct{}, error)) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	owner := hash(t.Token)
	var over <-chan time.Time
	if 0 < wait && wait < signaling.Forever {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.suspended != nil {
			return s.suspended
		}
		r := s.live(t.Room)
		if err := r.admits(owner, of); err != nil {
			return err
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
	var worn <-chan time.Time
	if s.journal != nil {
		timer := time.NewTimer(s.limits.Idle / renewals)
		defer timer.Stop()
		worn = timer.C
	}
	select {
	case <-changed:
		return true, nil
	case <-worn: // whoever leaves has the room renewed
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
	now := time.Now()
	if s.journal != nil && now.Sub(r.kept) >= s.limits.Idle/renewals {
		select {
		case s.worn <- r.name:
			r.kept = now
		default: // the next use asks again
		}
	}
	s.place(r, now)
}

// place puts a room where it belongs in the queue of those that nobody waits in.
func (s *Store) place(r *room, used time.Time) {
	r.used = used
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
	s.count(&r.state, -1)
	r.closed = true
	r.wakeAll()
}
