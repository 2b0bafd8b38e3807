package memstore

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"p2pchat/signaling"
)

// A client may not answer while maxGuesses of its answers were turned down within guessWindow:
// they were guesses. It may still answer in rooms that were opened from its own address, so that
// two people behind one NAT with an attacker can talk.
const (
	maxGuesses   = 3
	guessWindow  = 10 * time.Minute
	maxGuessers  = 1 << 16
	maxPending   = 10          // answers of one client that no caller has accepted or turned down yet: each may be a guess
	pendingRetry = time.Second // a caller checks an answer in less
)

var errPending = signaling.Explain(signaling.ErrTooMany, fmt.Sprintf("%d answers from your network address wait until callers check them. Try again in a moment; or call, and let the other side answer.", maxPending))

// clients is what the Store counts of each client, by Ticket.From.
type clients struct {
	rooms     map[string]int         // that the client has opened, without the lobby
	guesses   map[string]*guessTimes // at most maxGuessers
	pending   map[string]int         // answers that no caller has accepted or turned down yet
	lastSweep time.Time
}

// guessTimes are the times at which a client's answers were turned down, the oldest first.
type guessTimes [maxGuesses]time.Time

// add adds to a client's count.
func add(counts *map[string]int, from string, by int) {
	if from == "" {
		return
	}
	if *counts == nil {
		*counts = map[string]int{}
	}
	if (*counts)[from] += by; (*counts)[from] <= 0 {
		delete(*counts, from)
	}
}

// maxClientRooms returns how many rooms a client may have: limits.Client if no other client has any, and less with the square of the
// share of the rooms that others leave free. So a crowd of clients that take all they can leaves rooms for others (dynamic
// thresholds, Choudhury and Hahne 1998): with the server's defaults, 200 clients leave 2,000 of 10,000 rooms, and the next may open 8.
func (s *Store) maxClientRooms(from string) int {
	others := s.offered - s.clients.rooms[from]
	free := float64(s.limits.Rooms-others) / float64(s.limits.Rooms)
	return int(math.Ceil(free * free * float64(s.limits.Client)))
}

// checkAnswer returns ErrGuesses if the client has guessed too often to answer that caller, or
// ErrTooMany if too many of its answers are pending.
func (c *clients) checkAnswer(t signaling.Ticket, caller string, now time.Time) error {
	if t.Room == signaling.Lobby || t.From == caller {
		return nil
	}
	if g := c.guesses[t.From]; g != nil {
		if left := guessWindow - now.Sub(g[0]); left > 0 {
			return &signaling.RetryError{Err: signaling.ErrGuesses, After: left}
		}
	}
	if c.pending[t.From] >= maxPending {
		return &signaling.RetryError{Err: errPending, After: pendingRetry}
	}
	return nil
}

// hasSecret reports whether an answer to an offer can be a guess at a secret: only p2pchat's offers
// begin such an exchange. Other WebRTC programs accept every answer, and send their candidates with
// the offer or before a person answers, so their rooms show nothing about guesses. An answering
// client cannot change the offer.
func hasSecret(offer signaling.Description) bool { return bytes.Contains(offer, []byte(`"p2pchat"`)) }

// pendingAnswer returns the client whose answer the caller has neither accepted nor turned down.
// It returns "" in the lobby, in a room that the client itself has opened, and if the offer has
// no secret.
func (r *state) pendingAnswer() string {
	caller, callee := &r.sides[signaling.Caller], &r.sides[signaling.Callee]
	if !r.hasSecret || callee.description == nil || caller.from == "" || callee.from == caller.from || len(caller.candidates) > r.beforeAnswer {
		return ""
	}
	return callee.from
}

// addGuess notes that an answer of a client was turned down.
func (c *clients) addGuess(from string, now time.Time) {
	g := c.guesses[from]
	if g == nil {
		if c.guesses == nil {
			c.guesses = map[string]*guessTimes{}
		}
		if len(c.guesses) >= maxGuessers {
			c.sweep(now)
		}
		g = &guessTimes{}
		c.guesses[from] = g
	}
	copy(g[:], g[1:])
	g[maxGuesses-1] = now
}

// sweep removes clients whose last guess is old, or any client if there are none. It walks all
// clients at most once a second, because its caller holds the Store's lock.
func (c *clients) sweep(now time.Time) {
	if now.Sub(c.lastSweep) >= time.Second {
		c.lastSweep = now
		for from, g := range c.guesses {
			if now.Sub(g[maxGuesses-1]) >= guessWindow {
				delete(c.guesses, from)
			}
		}
	}
	for from := range c.guesses {
		if len(c.guesses) < maxGuessers {
			break
		}
		delete(c.guesses, from)
	}
}

// countGuess counts an answer as a guess if the caller turned it down: the caller has replaced its
// offer, and sent no candidate after the answer. A caller sends its candidates once an answer has
// proven that the callee knows the code. Closing the room counts only after an offer was replaced:
// a caller may also leave before it has read the answer.
func (s *Store) countGuess(before, next *state) {
	if !before.hasSecret || !next.hasOffer() && len(before.turnedDown) == 0 {
		return
	}
	caller, callee := &before.sides[signaling.Caller], &before.sides[signaling.Callee]
	if callee.from != "" && caller.from != "" && next.sides[signaling.Caller].version != caller.version && len(caller.candidates) <= before.beforeAnswer {
		s.clients.addGuess(callee.from, time.Now())
	}
}
