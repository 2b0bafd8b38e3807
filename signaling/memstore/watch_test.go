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
	watch := func(s *Store, what signaling.Document) (told chan error, stop func()) {
		told = make(chan error, 2)
		return told, s.Watch(signaling.Ticket{Room: "blue"}, signaling.Caller, what, func(err error) { told <- err })
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	t.Run("who watches is told once, of what it watches", func(t *testing.T) {
		s := New(Limits{})
		description, stop := watch(s, signaling.TheDescription)
		defer stop()
		_, err := s.Offer(t.Context(), caller, offer)
		must(t, err)
		candidates, stop2 := watch(s, signaling.TheCandidates)
		defer stop2()
		for range 2 {
			_, err = s.AddCandidates(t.Context(), caller, -1, candidate)
			must(t, err)
		}
		for name, told := range map[string]chan error{"description": description, "candidates": candidates} {
			if n := len(told); n != 1 || <-told != nil {
				t.Errorf("who watches the %s was told %d times", name, n)
			}
		}
	})

	t.Run("who watches is told that the room was closed", func(t *testing.T) {
		s := New(Limits{})
		_, err := s.Offer(t.Context(), caller, offer)
		must(t, err)
		told, stop := watch(s, signaling.TheCandidates)
		defer stop()
		must(t, s.Close(t.Context(), caller))
		if err := <-told; !errors.Is(err, signaling.ErrClosed) {
			t.Errorf("it was told %v", err)
		}
	})

	t.Run("who has stopped is told nothing, and leaves nothing", func(t *testing.T) {
		s := New(Limits{})
		var stops []func()
		told, stop := watch(s, signaling.TheDescription)
		for range 3 {
			_, stop := watch(s, signaling.TheDescription)
			stops = append(stops, stop)
		}
		stop()
		for _, stop := range stops {
			stop()
		}
		if c := s.Census(); c.Awaited != 0 {
			t.Errorf("%d rooms are waited in", c.Awaited)
		}
		_, err := s.Offer(t.Context(), caller, offer)
		must(t, err)
		if len(told) > 0 {
			t.Error("it was told")
		}
	})

	t.Run("a room that is watched does not expire", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Limits{Idle: time.Minute})
			_, err := s.Offer(t.Context(), caller, offer)
			must(t, err)
			_, stop := watch(s, signaling.TheCandidates)
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
