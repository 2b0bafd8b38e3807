package memstore

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

var secretOffer = signaling.Description(`{"type":"offer","sdp":"","p2pchat":{"v":2}}`)

// Guesses of a client count on every server that shares the rooms, and expire.
func TestClientsOfManyServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePrimary{revisions: map[string]uint64{}}
		limits := Limits{Client: 1}
		a, b := NewReplica(limits, p), NewReplica(limits, p)
		p.replicas = []*Store{a, b}
		n := 0
		guess := func() error {
			n++
			caller := signaling.NewTicket(fmt.Sprint("room", n), signaling.Caller)
			caller.From = fmt.Sprint("caller ", n)
			if _, err := a.Offer(t.Context(), caller, secretOffer); err != nil {
				t.Fatal(err)
			}
			callee := signaling.NewTicket(caller.Room, signaling.Callee)
			callee.From = "mallory"
			if _, err := b.Answer(t.Context(), callee, "", answer); err != nil {
				return err
			}
			if _, err := a.Reoffer(t.Context(), caller, append(signaling.Description(" "), secretOffer...)); err != nil {
				t.Fatal(err)
			}
			if err := a.Close(t.Context(), caller); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			return nil
		}
		for range maxGuesses {
			if err := guess(); err != nil {
				t.Fatal(err)
			}
		}
		later := (*signaling.RetryError)(nil)
		if err := guess(); !errors.Is(err, signaling.ErrGuesses) || !errors.As(err, &later) || later.After != guessWindow-maxGuesses*time.Minute {
			t.Errorf("after %d guesses: %v, %+v", maxGuesses, err, later)
		}
		time.Sleep(later.After)
		if err := guess(); err != nil {
			t.Errorf("ten minutes after the first one: %v", err)
		}
		held := signaling.NewTicket("held", signaling.Caller)
		held.From = "anna"
		if _, err := a.Offer(t.Context(), held, offer); err != nil {
			t.Fatal(err)
		}
		another := signaling.NewTicket("another", signaling.Caller)
		another.From = "anna"
		if _, err := b.Offer(t.Context(), another, offer); !errors.Is(err, signaling.ErrTooManyRooms) {
			t.Errorf("a second room is answered %v", err)
		}
		time.Sleep(10 * time.Minute) // the first room expires
		a.Counts()
		b.Counts()
		if _, err := b.Offer(t.Context(), another, offer); err != nil {
			t.Errorf("a room after the first one has expired: %v", err)
		}
	})
}

// A client that answers in many rooms before any caller checks its answer has as many guesses, so
// only ten answers may be pending.
func TestPendingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Limits{})
		var callers []signaling.Ticket
		answers := func(n int, from string) error {
			if n == len(callers) {
				caller := signaling.NewTicket(fmt.Sprint("room", n), signaling.Caller)
				caller.From = "caller"
				if _, err := s.Offer(t.Context(), caller, secretOffer); err != nil {
					t.Fatal(err)
				}
				callers = append(callers, caller)
			}
			callee := signaling.NewTicket(callers[n].Room, signaling.Callee)
			callee.From = from
			_, err := s.Answer(t.Context(), callee, "", answer)
			return err
		}
		for n := range maxPending {
			if err := answers(n, "mallory"); err != nil {
				t.Fatal(err)
			}
		}
		later := (*signaling.RetryError)(nil)
		if err := answers(maxPending, "mallory"); !errors.Is(err, signaling.ErrTooMany) || !errors.As(err, &later) || later.After > time.Minute {
			t.Errorf("with %d pending answers, one more is answered %v", maxPending, err)
		}
		for from, n := range map[string]int{"ben": maxPending, "caller": maxPending + 1} { // caller is behind the same NAT as the caller
			if err := answers(n, from); err != nil {
				t.Errorf("an answer of %s is answered %v", from, err)
			}
		}
		// One answer is accepted, one is turned down, and one caller closes the room.
		if _, err := s.AddCandidates(t.Context(), callers[0], 0, signaling.Candidate(`{}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reoffer(t.Context(), callers[1], append(signaling.Description(" "), secretOffer...)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context(), callers[2]); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := answers(len(callers), "mallory"); err != nil {
				t.Errorf("answer %d after three were checked: %v", i, err)
			}
		}
		if err := answers(len(callers), "mallory"); !errors.Is(err, signaling.ErrTooMany) {
			t.Errorf("the next one is answered %v", err)
		}
		time.Sleep(time.Hour)
		s.Counts() // all rooms have expired
		if n := len(s.clients.pending); n > 0 {
			t.Errorf("%d clients have pending answers", n)
		}
	})
}

// Callers of other WebRTC programs send no candidate after the answer. Nothing can be guessed in their
// rooms, so answers there are never guesses, on any server that shares the rooms.
func TestAnswersWithoutSecret(t *testing.T) {
	p := &fakePrimary{revisions: map[string]uint64{}}
	a, b := NewReplica(Limits{}, p), NewReplica(Limits{}, p)
	p.replicas = []*Store{a, b}
	for n := range 2 * maxPending {
		caller := signaling.NewTicket(fmt.Sprint("room", n), signaling.Caller)
		caller.From = "caller"
		if _, err := a.Offer(t.Context(), caller, offer); err != nil {
			t.Fatal(err)
		}
		callee := signaling.NewTicket(caller.Room, signaling.Callee)
		callee.From = "ben"
		if _, err := b.Answer(t.Context(), callee, "", answer); err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		if n%2 == 0 {
			if _, err := a.Reoffer(t.Context(), caller, append(signaling.Description(" "), offer...)); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Answer(t.Context(), callee, "", answer); err != nil {
				t.Fatalf("answer %d after the offer was replaced: %v", n, err)
			}
		}
	}
}

// Clients that take all the rooms they can, however many there are, leave rooms for a client that has none.
func TestRoomsThatACrowdLeaves(t *testing.T) {
	s := New(Limits{Rooms: 10_000, Client: 200})
	taken := func(from string) (n int) {
		for {
			ticket := signaling.NewTicket(fmt.Sprintf("%s.%d", from, n), signaling.Caller)
			ticket.From = from
			if _, err := s.Offer(t.Context(), ticket, offer); errors.Is(err, signaling.ErrTooManyRooms) {
				return n
			} else if err != nil {
				t.Fatalf("room %d of %s: %v", n, from, err)
			}
			n++
		}
	}
	if n := taken("first"); n != 200 {
		t.Errorf("one client alone has %d rooms", n)
	}
	for n := range 200 { // four times as many as would fill the store with 200 each
		taken(fmt.Sprint("mallory", n))
	}
	if n := taken("anna"); n < 5 || s.Rooms() > 8100 {
		t.Errorf("a client that comes later has %d rooms, and %d of 10,000 are taken", n, s.Rooms())
	}
}
