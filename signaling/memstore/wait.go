package memstore

import (
	"context"
	"time"

	"p2pchat/signaling"
)

// A waiter is told once that what it waits for may have come. It keeps its room from
// expiring.
type waiter struct {
	room  *room
	among *waiters
	at    int         // there; -1 once it was told
	tell  func(error) // under Store.mu
	worn  *time.Timer // renews the room in the journal; nil without one
}

// Waiters are those for one document of one side.
type waiters []*waiter

// read asks look until it has what it wants of a side (a nil error), sleeping in
// between as one of the waiters that look names.
func (s *Store) read(ctx context.Context, t signaling.Ticket, of signaling.Side, wait time.Duration, look func(*room) (*waiters, error)) error {
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
		if r != nil && !r.open() {
			r = nil
		}
		if err := r.admits(owner, of); err != nil {
			return err
		}
		if r == nil && wait > 0 {
			r = s.room(t.Room)
		} else if r == nil {
			r = &room{} // looks like any room that has nothing in it yet
		}
		among, err := look(r)
		if err == nil || wait <= 0 {
			return err
		}
		told := make(chan error, 1)
		w := s.enter(r, among, func(err error) { told <- err })
		more, err := s.sleep(ctx, told, over)
		s.leave(w)
		switch {
		case err != nil:
			return err
		case !more:
			wait = 0 // look once more: something may have come at the last moment
		}
	}
}

// sleep waits, unlocked, to be told; more is false when the time is over.
func (s *Store) sleep(ctx context.Context, told <-chan error, over <-chan time.Time) (more bool, err error) {
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case err := <-told:
		return true, err
	case <-over:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// Watch implements signaling.Watcher.
func (s *Store) Watch(t signaling.Ticket, of signaling.Side, what signaling.Document, tell func(error)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(t.Room)
	w := s.enter(r, &r.news[of][what], tell)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leave(w)
	}
}

func (s *Store) enter(r *room, among *waiters, tell func(error)) *waiter {
	w := &waiter{room: r, among: among, at: len(*among), tell: tell}
	*among = append(*among, w)
	if s.journal != nil { // leaving renews the room
		w.worn = time.AfterFunc(s.limits.Idle/renewals, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if w.forget() {
				w.tell(nil)
			}
		})
	}
	r.waiting++
	if r.queued != nil {
		s.idle.Remove(r.queued)
		r.queued = nil
	}
	return w
}

// forget takes w from among the others, if it was not told.
func (w *waiter) forget() bool {
	if w.at < 0 {
		return false
	}
	all := *w.among
	last := all[len(all)-1]
	all[w.at], last.at, all[len(all)-1] = last, w.at, nil
	*w.among, w.at = all[:len(all)-1], -1
	if len(*w.among) == 0 {
		*w.among = nil
	}
	return true
}

// wake tells all of them to look again, or why there is no use in that.
func (all *waiters) wake(err error) {
	told := *all
	*all = nil
	for _, w := range told {
		w.at = -1
		w.tell(err)
	}
}

func (s *Store) leave(w *waiter) {
	w.forget()
	if w.worn != nil {
		w.worn.Stop()
	}
	r := w.room
	r.waiting--
	switch {
	case r.closed:
	case r.open():
		s.touch(r)
	case r.written():
		s.place(r, r.used)
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

// place puts a room into the queue of rooms without waiting reads.
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
	life := s.limits.Idle
	if !r.open() {
		life = signaling.Early
	}
	return r.waiting == 0 && now.Sub(r.used) >= life
}

func (s *Store) remove(r *room) {
	if r.queued != nil {
		s.idle.Remove(r.queued)
		r.queued = nil
	}
	if !r.open() && r.waiting > 0 { // its readers wait for an offer as before
		r.state, r.revision = state{}, 0
		return
	}
	delete(s.rooms, r.name)
	s.count(&r.state, -1)
	r.closed = true
	r.wakeAll(signaling.ErrClosed)
}
