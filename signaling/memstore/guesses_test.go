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

// guessing is a store in which clients open rooms and answer there.
type guessing struct {
	*Store
	t     *testing.T
	rooms int
}

// open opens a room for a client.
func (g *guessing) open(from string) signaling.Ticket {
	g.t.Helper()
	g.rooms++
	caller := signaling.NewTicket(fmt.Sprint("room", g.rooms), signaling.Caller)
	caller.From = from
	if _, err := g.Offer(g.t.Context(), caller, secretOffer); err != nil {
		g.t.Fatal(err)
	}
	return caller
}

// answer answers in the room of a caller.
func (g *guessing) answer(caller signaling.Ticket, from string) error {
	_, err := g.Answer(g.t.Context(), signaling.Ticket{Room: caller.Room, Side: signaling.Callee, Token: "callee of " + from, From: from}, "", answer)
	return err
}

// turnDown replaces the offer of a caller.
func (g *guessing) turnDown(caller signaling.Ticket) {
	g.t.Helper()
	g.rooms++
	if _, err := g.Reoffer(g.t.Context(), caller, append(signaling.Description(fmt.Sprintf("%*s", g.rooms, "")), secretOffer...)); err != nil {
		g.t.Fatal(err)
	}
}

// add adds a candidate of a caller.
func (g *guessing) add(caller signaling.Ticket, at int) {
	g.t.Helper()
	if _, err := g.AddCandidates(g.t.Context(), caller, at, signaling.Candidate(`{"at":`+strconv.Itoa(at)+`}`)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guessing) close(caller signaling.Ticket) {
	g.t.Helper()
	if err := g.Close(g.t.Context(), caller); err != nil {
		g.t.Fatal(err)
	}
}

// Which ends of an answer are guesses: after three of them its client may not answer.
func TestWhatIsAGuess(t *testing.T) {
	turnedDown := func(g *guessing, caller signaling.Ticket, answer func()) {
		answer()
		g.turnDown(caller)
	}
	for name, c := range map[string]struct {
		rounds  int
		refused bool // a further answer
		round   func(g *guessing, caller signaling.Ticket, answer func())
	}{
		"two answers are turned down":   {2, false, turnedDown},
		"three answers are turned down": {3, true, turnedDown},
		"the caller had sent candidates before the answer": {3, true, func(g *guessing, caller signaling.Ticket, answer func()) {
			g.add(caller, 0)
			answer()
			g.turnDown(caller)
		}},
		"the caller accepts the answer, and calls again": {9, false, func(g *guessing, caller signaling.Ticket, answer func()) {
			g.add(caller, 0)
			answer()
			g.add(caller, 1)
			g.turnDown(caller)
		}},
		"the caller leaves before it reads the answer": {9, false, func(g *guessing, caller signaling.Ticket, answer func()) {
			answer()
			g.close(caller)
		}},
		"the caller turns two answers down, and leaves after the third": {1, true, func(g *guessing, caller signaling.Ticket, answer func()) {
			turnedDown(g, caller, answer)
			turnedDown(g, caller, answer)
			answer()
			g.close(caller)
		}},
		"no client has answered": {9, false, func(g *guessing, caller signaling.Ticket, _ func()) { g.turnDown(caller) }},
		"the callee adds candidates": {9, false, func(g *guessing, caller signaling.Ticket, answer func()) {
			answer()
			callee := signaling.Ticket{Room: caller.Room, Side: signaling.Callee, Token: "callee of mallory"} //nolint:gosec // a test's
			if _, err := g.AddCandidates(g.t.Context(), callee, 0, signaling.Candidate(`{}`)); err != nil {
				g.t.Fatal(err)
			}
			g.close(caller)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guessing{Store: New(Limits{}), t: t}
			for range c.rounds {
				caller := g.open("caller")
				c.round(g, caller, func() {
					if err := g.answer(caller, "mallory"); err != nil {
						t.Fatal(err)
					}
				})
			}
			if err := g.answer(g.open("caller"), "mallory"); errors.Is(err, signaling.ErrGuesses) != c.refused {
				t.Errorf("a further answer: %v", err)
			}
		})
	}
}

// A client that has guessed is kept from the rooms of others, and no other client is: not even one that guesses at the same time.
func TestWhomGuessesKeepOut(t *testing.T) {
	g := &guessing{Store: New(Limits{}), t: t}
	for range maxGuesses {
		caller := g.open("caller")
		if err := g.answer(caller, "mallory"); err != nil {
			t.Fatal(err)
		}
		g.turnDown(caller)
		if err := g.answer(caller, "eve"+strconv.Itoa(g.rooms)); err != nil {
			t.Fatal(err)
		}
		g.turnDown(caller)
	}
	if err := g.answer(g.open("caller"), "mallory"); !errors.Is(err, signaling.ErrGuesses) {
		t.Errorf("the room of another: %v", err)
	}
	if err := g.answer(g.open("mallory"), "mallory"); err != nil {
		t.Errorf("a room of its own address: %v", err)
	}
	if err := g.answer(g.open("caller"), "ben"); err != nil {
		t.Errorf("another client: %v", err)
	}
	lobby := signaling.Ticket{Room: signaling.Lobby, From: "caller"}
	if _, err := g.Offer(t.Context(), lobby, secretOffer); err != nil {
		t.Fatal(err)
	}
	if err := g.answer(lobby, "mallory"); err != nil {
		t.Errorf("the lobby: %v", err)
	}
}

// Two people behind one NAT may answer each other as often as they like.
func TestAnswersToTheOwnAddressAreNotPending(t *testing.T) {
	g := &guessing{Store: New(Limits{}), t: t}
	for n := range 2 * maxPending {
		if err := g.answer(g.open("home"), "home"); err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
	}
	if err := g.answer(g.open("caller"), "home"); err != nil {
		t.Errorf("then, in the room of another: %v", err)
	}
}

// Clients without an address, those of a Store that no server fills in Ticket.From for, are not one client.
func TestClientsWithoutAddress(t *testing.T) {
	for _, c := range []struct{ caller, callee string }{{"", ""}, {"caller", ""}, {"", "callee"}} {
		g := &guessing{Store: New(Limits{}), t: t}
		if c.caller == "" {
			g.Store = New(Limits{Client: 1})
		}
		for n := range maxGuesses + 1 {
			caller := g.open(c.caller)
			if err := g.answer(caller, c.callee); err != nil {
				t.Fatalf("%+v: answer %d: %v", c, n, err)
			}
			g.turnDown(caller)
		}
		for n := range maxPending + 1 {
			if err := g.answer(g.open(c.caller), c.callee); err != nil {
				t.Fatalf("%+v: pending answer %d: %v", c, n, err)
			}
		}
	}
}

// Where more clients guess than can be remembered, those whose guesses are old are forgotten first, and of the others no
// more than needed.
func TestManyGuessers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clients
		for i := range maxGuessers {
			c.addGuess(strconv.Itoa(i), time.Now())
		}
		for i := range 10 {
			c.addGuess(strconv.Itoa(maxGuessers+i), time.Now())
			if n := len(c.guesses); n != maxGuessers {
				t.Fatalf("%d of %d are remembered", n, maxGuessers)
			}
		}
		time.Sleep(guessWindow - time.Second)
		for range maxGuesses {
			c.addGuess("mallory", time.Now())
		}
		time.Sleep(time.Second) // the others' guesses are old
		for i := range maxGuessers {
			c.addGuess("late "+strconv.Itoa(i), time.Now())
			if i == 0 && len(c.guesses) != 2 {
				t.Errorf("%d are remembered, and all but two are old", len(c.guesses))
			}
			if i < maxGuessers-10 && c.checkAnswer(signaling.Ticket{Room: "room", From: "mallory"}, "caller", time.Now()) == nil {
				t.Fatalf("mallory is forgotten after %d others", i)
			}
		}
	})
}
