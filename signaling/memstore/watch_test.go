package memstore

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

func TestWatch(t *testing.T) {
	offer, candidate := signaling.Description(`{"type":"offer","sdp":"v=0"}`), signaling.Candidate(`{"candidate":"c"}`)
	caller := signaling.NewTicket("blue", signaling.Caller)
	watch := func(s *Store, what signaling.Document) (notified chan error, stop func()) {
		notified = make(chan error, 2)
		return notified, s.Watch(signaling.Ticket{Room: "blue"}, signaling.Caller, what, func(err error) { notified <- err })
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a watcher is notified once, of the document that it watches", func(t *testing.T) {
		s := New(Limits{})
		description, stop := watch(s, signaling.DocDescription)
		defer stop()
		_, err := s.Offer(t.Context(), caller, offer)
		must(t, err)
		candidates, stop2 := watch(s, signaling.DocCandidates)
		defer stop2()
		for range 2 {
			_, err = s.AddCandidates(t.Context(), caller, -1, candidate)
			must(t, err)
		}
		for name, notified := range map[string]chan error{"description": description, "candidates": candidates} {
			if n := len(notified); n != 1 || <-notified != nil {
				t.Errorf("the watcher of the %s was notified %d times", name, n)
			}
		}
	})

	t.Run("a watcher is notified when the room is closed", func(t *testing.T) {
		s := New(Limits{})
		_, err := s.Offer(t.Context(), caller, offer)
		must(t, err)
		notified, stop := watch(s, signaling.DocCandidates)
		defer stop()
		must(t, s.Close(t.Context(), caller))
		if err := <-notified; !errors.Is(err, signaling.ErrClosed) {
			t.Errorf("it was notified of %v", err)
		}
	})

	t.Run("a watcher that has stopped is not notified, and leaves no room", func(t *testing.T) {
		s := New(Limits{})
		var stops []func()
		notified, stop := watch(s, signaling.DocDescription)
		for range 3 {
			_, stop := watch(s, signaling.DocDescription)
			stops = append(stops, stop)
		}
		stop()
		for _, stop := range stops {
			stop()
		}
		if c := s.Counts(); c.Awaited != 0 {
			t.Errorf("%d rooms have waiters", c.Awaited)
		}
		_, err := s.Offer(t.Context(), caller, offer)
		must(t, err)
		if len(notified) > 0 {
			t.Error("it was notified")
		}
	})

	t.Run("a room that is watched does not expire", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Limits{Idle: time.Minute})
			_, err := s.Offer(t.Context(), caller, offer)
			must(t, err)
			_, stop := watch(s, signaling.DocCandidates)
			time.Sleep(time.Hour)
			if s.Rooms() != 1 {
				t.Error("it has expired")
			}
			stop()
			time.Sleep(time.Minute)
			if s.Rooms() != 0 {
				t.Error("it has not expired a minute after that")
			}
		})
	})
}

// A reader that has found the room does not wait in the place of one that is gone.
func TestMoreCandidates(t *testing.T) {
	s, caller := opened(t)
	read := func(wait time.Duration) error {
		_, err := s.MoreCandidates(t.Context(), signaling.Ticket{Room: "room"}, signaling.Caller, 0, wait)
		return err
	}
	if err := read(0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context(), caller); err != nil {
		t.Fatal(err)
	}
	if err := read(signaling.Forever); !errors.Is(err, signaling.ErrClosed) {
		t.Errorf("it is told: %v", err)
	}
	if c := s.Counts(); c != (Counts{}) {
		t.Errorf("it leaves %+v", c)
	}
}
