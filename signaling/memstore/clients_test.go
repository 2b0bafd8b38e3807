package memstore

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

var secretOffer = signaling.Description(`{"type":"offer","sdp":"","p2pchat":{"v":1}}`)

// What one client has done is known wherever rooms are shared, and forgiven in time.
func TestClientsOfManyServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{revisions: map[string]uint64{}}
		limits := Limits{Client: 1}
		a, b := Mirror(limits, l), Mirror(limits, l)
		l.mirrors = []*Store{a, b}
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
		for range guesses {
			if err := guess(); err != nil {
				t.Fatal(err)
			}
		}
		later := (*signaling.Later)(nil)
		if err := guess(); !errors.Is(err, signaling.ErrGuesses) || !errors.As(err, &later) || later.After != guessesCount-guesses*time.Minute {
			t.Errorf("after %d guesses: %v, %+v", guesses, err, later)
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
		time.Sleep(10 * time.Minute) // nobody uses the first one
		a.Census()
		b.Census()
		if _, err := b.Offer(t.Context(), another, offer); err != nil {
			t.Errorf("a room after the first one has expired: %v", err)
		}
	})
}

// A client that answers in many rooms before a caller judges one has as many guesses. Ten may wait.
func TestAnswersThatWait(t *testing.T) {
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
		for n := range unjudged {
			if err := answers(n, "mallory"); err != nil {
				t.Fatal(err)
			}
		}
		later := (*signaling.Later)(nil)
		if err := answers(unjudged, "mallory"); !errors.Is(err, signaling.ErrTooMany) || !errors.As(err, &later) || later.After > time.Minute {
			t.Errorf("with %d answers that wait, one more is answered %v", unjudged, err)
		}
		for from, n := range map[string]int{"ben": unjudged, "caller": unjudged + 1} { // the latter is behind the same NAT as the caller
			if err := answers(n, from); err != nil {
				t.Errorf("an answer of %s is answered %v", from, err)
			}
		}
		// One is accepted, one turned down, one is in a room that the caller has closed.
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
				t.Errorf("answer %d after three were judged: %v", i, err)
			}
		}
		if err := answers(len(callers), "mallory"); !errors.Is(err, signaling.ErrTooMany) {
			t.Errorf("the next one is answered %v", err)
		}
		time.Sleep(time.Hour)
		s.Census() // all rooms have expired
		if n := len(s.clients.waiting); n > 0 {
			t.Errorf("%d clients are remembered", n)
		}
	})
}

// Callers of other WebRTC programs send no candidate after the answer. Nothing can be guessed in their
// rooms, so answers there are never guesses, on any server that shares the rooms.
func TestAnswersWithoutSecret(t *testing.T) {
	l := &ledger{revisions: map[string]uint64{}}
	a, b := Mirror(Limits{}, l), Mirror(Limits{}, l)
	l.mirrors = []*Store{a, b}
	for n := range 2 * unjudged {
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

// The memory for those who guess is bounded.
func TestManyGuessers(t *testing.T) {
	var c clients
	now := time.Now()
	for i := range mostGuessers + 10 {
		c.turnedDown(strconv.Itoa(i), now)
	}
	if n := len(c.guesses); n > mostGuessers {
		t.Errorf("%d are remembered", n)
	}
}
