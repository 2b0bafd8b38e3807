package memstore

import (
	"context"
	"time"

	"p2pchat/signaling"
)

// Offers implements [signaling.Store]. A reader waits as a watcher of names, and not in rooms: many of these
// rooms never come to be.
func (s *Store) Offers(ctx context.Context, wanted []signaling.WantedOffer, wait time.Duration) ([]signaling.Offered, error) {
	if err := signaling.CheckWanted(wanted); err != nil {
		return nil, err
	}
	if wait <= 0 {
		return s.currentOffers(wanted)
	}
	return await(ctx, wait, func(notify func(error)) (stop func()) { return s.WatchOffers(wanted, notify) },
		func() ([]signaling.Offered, error) { return s.currentOffers(wanted) })
}

// WatchOffers implements [signaling.Watcher].
func (s *Store) WatchOffers(wanted []signaling.WantedOffer, notify func(error)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := make([]string, len(wanted))
	for i, w := range wanted {
		rooms[i] = w.Room
	}
	remove := s.listeners.add(notify, rooms...)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		remove()
	}
}

// currentOffers returns the wanted offers that there are now.
func (s *Store) currentOffers(wanted []signaling.WantedOffer) (list []signaling.Offered, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspended != nil {
		return nil, s.suspended
	}
	now, size := time.Now(), 0
	for _, w := range wanted {
		r := s.live(w.Room, now)
		if r == nil || !r.hasOffer() || r.sides[signaling.Caller].version == w.Known {
			continue
		}
		caller := &r.sides[signaling.Caller]
		if size += len(caller.description); size > signaling.MaxOffersRead && len(list) > 0 {
			break
		}
		list = append(list, signaling.Offered{Room: w.Room, Version: caller.version, Offer: caller.description})
	}
	return list, nil
}
