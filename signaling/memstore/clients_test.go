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
			if _, err := a.Offer(t.Context(), caller, offer); err != nil {
				t.Fatal(err)
			}
			callee := signaling.NewTicket(caller.Room, signaling.Callee)
			callee.From = "mallory"
			if _, err := b.Answer(t.Context(), callee, "", answer); err != nil {
				return err
			}
			if _, err := a.Reoffer(t.Context(), caller, append(signaling.Description(" "), offer...)); err != nil {
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
