package main

import (
	"context"
	"sync"
	"time"

	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer/contact"
	"p2pchat/signaling/lan"
)

// lanFailed is how long listen leaves a server of the local network alone at which a contact did not prove that it calls.
const lanFailed = time.Minute

// A lanWatch looks for calls of contacts on the local network while their servers do not answer.
type lanWatch struct {
	found   func(id, server string) // must not wait
	proving chan struct{}           // a place for each contact that is to prove at a server of the local network who it is

	// owned by the switchboard's loop:
	fails map[string]bool    // by server: it does not answer
	stop  context.CancelFunc // nil while no one is looked for

	mu      sync.Mutex // guards what follows
	sought  map[string]contact.Keys
	beacons map[string]string // ID of the contact, by beacon
	refuted serverLog         // servers at which a contact did not prove that it calls
}

// watchLAN looks on the local network for those contacts who may call and whose servers do not answer.
func (s *switchboard) watchLAN(ctx context.Context) {
	if s.o.lan == never {
		return
	}
	sought := map[string]contact.Keys{}
	for id, l := range s.lines {
		if l.Ring != contacts.RingRefuse && (s.o.lan == always || s.lan.fails[l.Server]) {
			sought[id] = l.Keys
		}
	}
	s.lan.set(sought)
	switch looks := len(sought) > 0; {
	case looks && s.lan.stop == nil:
		looking, stop := context.WithCancel(ctx)
		s.lan.stop = stop
		s.wg.Go(func() { lan.Find(looking, s.lan.wanted, s.o.logger, s.lan.hear) })
	case !looks && s.lan.stop != nil:
		s.lan.stop()
		s.lan.stop = nil
	}
}

// seeksOnLAN reports whether a contact with that server is looked for on the local network.
func (s *switchboard) seeksOnLAN(server string) bool {
	s.lan.mu.Lock()
	defer s.lan.mu.Unlock()
	for id := range s.lan.sought {
		if l := s.lines[id]; l != nil && l.Server == server {
			return true
		}
	}
	return false
}

func (w *lanWatch) set(sought map[string]contact.Keys) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sought = sought
}

// wanted returns the beacons of all contacts who are looked for.
func (w *lanWatch) wanted() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beacons = map[string]string{}
	for id, keys := range w.sought {
		for _, b := range keys.Beacons(time.Now()) {
			w.beacons[b] = id
			all = append(all, b)
		}
	}
	return all
}

// hear notes that a server announces a beacon.
func (w *lanWatch) hear(beacon, server string) {
	w.mu.Lock()
	id, refuted := w.beacons[beacon], time.Since(w.refuted.last(server)) < lanFailed
	w.mu.Unlock()
	if id != "" && !refuted {
		w.found(id, server)
	}
}

// refute notes that a contact did not prove at a server that it calls: a neighbour may repeat what the contact announces.
func (w *lanWatch) refute(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuted.note(server)
}
