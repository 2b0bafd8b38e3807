package memstore

import (
	"context"
	"time"

	"p2pchat/signaling"
)

// A waiter is notified once, when the document that it waits for may have changed. It keeps its
// room from expiring.
type waiter struct {
	room    *room
	list    *waiters
	index   int         // in list; -1 once it was notified
	notify  func(error) // is called under Store.mu
	renewal *time.Timer // makes the waiter renew the room; nil without a primary
}

// waiters are the waiters for one document of one side.
type waiters []*waiter

// read calls look until look returns a nil error: then look has what its caller asked for of a
// side. Between two calls read sleeps as one of the waiters in the list that look returns. found: the reader
// has found the room before, so that one which is gone was closed.
func (s *Store) read(ctx context.Context, t signaling.Ticket, of signaling.Side, wait time.Duration, found bool, look func(*room) (*waiters, error)) error {
	if err := signaling.CheckRoom(t.Room); err != nil {
		return err
	}
	owner := hashToken(t.Token)
	var over <-chan time.Time // once this sleeps
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		r, err := s.readable(t.Room, owner, of, wait > 0 && !found)
		if err != nil {
			return err
		}
		if found && !r.hasOffer() {
			return signaling.ErrClosed
		}
		list, err := look(r)
		if err == nil || wait <= 0 {
			return err
		}
		if over == nil && wait < signaling.Forever {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			over = timer.C
		}
		notified, err := s.sleep(ctx, r, list, over)
		switch {
		case err != nil:
			return err
		case r.closed: // after another change, which has woken this read
			return signaling.ErrClosed
		}
		if !notified {
			wait = 0 // look once more: the document may have changed at the last moment
		}
	}
}

// readable returns the room that a read looks at: a new one if it does not exist and the read
// may wait in it.
func (s *Store) readable(name string, owner tokenHash, of signaling.Side, waits bool) (*room, error) {
	if s.suspended != nil {
		return nil, s.suspended
	}
	r := s.live(name, time.Now())
	if r != nil && !r.hasOffer() {
		r = nil
	}
	err := r.checkReader(owner, of)
	switch {
	case err != nil:
		return nil, err
	case r != nil:
		return r, nil
	case waits:
		return s.findOrAdd(name), nil
	}
	return &room{}, nil // looks like a room in which nothing is written
}

// sleep waits as a waiter in list, without holding s.mu. It returns false when the time is over.
func (s *Store) sleep(ctx context.Context, r *room, list *waiters, over <-chan time.Time) (notified bool, err error) {
	changed := make(chan error, 1)
	w := s.addWaiter(r, list, func(err error) { changed <- err })
	defer s.removeWaiter(w)
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case err := <-changed:
		return true, err
	case <-over:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// Watch implements [signaling.Watcher].
func (s *Store) Watch(t signaling.Ticket, of signaling.Side, what signaling.Document, notify func(error)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.findOrAdd(t.Room)
	w := s.addWaiter(r, &r.waiters[of][what], notify)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.removeWaiter(w)
	}
}

func (s *Store) addWaiter(r *room, list *waiters, notify func(error)) *waiter {
	w := &waiter{room: r, list: list, index: len(*list), notify: notify}
	*list = append(*list, w)
	if s.primary != nil { // removeWaiter renews the room
		w.renewal = time.AfterFunc(s.limits.Idle/renewals, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if w.unlink() {
				w.notify(nil)
			}
		})
	}
	r.waiting++
	s.unqueueIdle(r)
	return w
}

// unlink removes w from its list, and returns false if w was notified before.
func (w *waiter) unlink() bool {
	if w.index < 0 {
		return false
	}
	list := *w.list
	last := list[len(list)-1]
	list[w.index], last.index, list[len(list)-1] = last, w.index, nil
	*w.list, w.index = list[:len(list)-1], -1
	if len(*w.list) == 0 {
		*w.list = nil
	}
	return true
}

// wake notifies all waiters: with nil if they should look again, or with the error that ends
// their wait.
func (l *waiters) wake(err error) {
	woken := *l
	*l = nil
	for _, w := range woken {
		w.index = -1
		w.notify(err)
	}
}

func (s *Store) removeWaiter(w *waiter) {
	w.unlink()
	if w.renewal != nil {
		w.renewal.Stop()
	}
	r := w.room
	r.waiting--
	switch {
	case r.closed:
	case r.hasOffer():
		s.use(r, time.Now())
	case r.hasContent():
		s.queueIdle(r, r.lastUse)
	case r.waiting == 0:
		delete(s.rooms, r.name)
	}
}

// use starts the idle time of a room that has an offer again, and asks for its renewal if the
// last one is long ago.
func (s *Store) use(r *room, now time.Time) {
	if s.primary != nil && now.Sub(r.renewed) >= s.limits.Idle/renewals {
		select {
		case s.renewalsDue <- r.name:
			r.renewed = now
		default: // the next use asks again
		}
	}
	s.queueIdle(r, now)
}

// queueIdle moves a room to the end of the queue of rooms without waiting reads.
func (s *Store) queueIdle(r *room, lastUse time.Time) {
	r.lastUse = lastUse
	switch {
	case r.waiting > 0:
	case r.queued != nil:
		s.idle.MoveToBack(r.queued)
	default:
		r.queued = s.idle.PushBack(r)
	}
}

func (s *Store) unqueueIdle(r *room) {
	if r.queued != nil {
		s.idle.Remove(r.queued)
		r.queued = nil
	}
}

// expire removes expired rooms. It looks at one room more than it removes.
func (s *Store) expire(now time.Time) {
	for e := s.idle.Front(); e != nil && s.expired(e.Value.(*room), now); e = s.idle.Front() {
		s.remove(e.Value.(*room))
	}
}

func (s *Store) expired(r *room, now time.Time) bool {
	life := s.limits.Idle
	if !r.hasOffer() {
		life = signaling.EarlyWait
	}
	return r.waiting == 0 && now.Sub(r.lastUse) >= life
}

func (s *Store) remove(r *room) {
	s.unqueueIdle(r)
	if !r.hasOffer() && r.waiting > 0 { // its readers still wait for an offer
		r.state, r.revision = state{}, 0
		return
	}
	delete(s.rooms, r.name)
	s.tally(&r.state, -1)
	r.closed = true
	r.wakeAll(signaling.ErrClosed)
}
