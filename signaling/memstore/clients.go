package memstore

import (
	"bytes"
	"fmt"
	"time"

	"p2pchat/signaling"
)

// A client with this many answers turned down in this time may not answer: the answers were
// guesses. It may still answer in rooms that were opened from its own address, so that two people
// behind one NAT with an attacker can talk.
const (
	guesses      = 3
	guessesCount = 10 * time.Minute
	mostGuessers = 1 << 16
	unjudged     = 10          // answers of a client at once that no caller has accepted or turned down: each may become a guess
	judging      = time.Second // a caller takes less
)

var errUnjudged = signaling.Explain(signaling.ErrTooMany, fmt.Sprintf("%d answers from your network address wait until callers check them. Try again in a moment; or call, and let the other side answer.", unjudged))

// clients hold what the Store knows of each client, by Ticket.From.
type clients struct {
	held    map[string]int       // rooms, without the lobby
	guesses map[string]*guessing // at most mostGuessers
	waiting map[string]int       // answers that no caller has judged yet, in rooms that are there
	swept   time.Time            // last
}

// guessing has the times at which answers were turned down, the oldest first.
type guessing [guesses]time.Time

// count adds to what a client has.
func count(of *map[string]int, from string, by int) {
	if from == "" {
		return
	}
	if *of == nil {
		*of = map[string]int{}
	}
	if (*of)[from] += by; (*of)[from] <= 0 {
		delete(*of, from)
	}
}

// mayAnswer returns ErrGuesses if the client has guessed too often to answer that caller, and
// ErrTooMany if too many of its answers wait to be judged: they could all be guesses.
func (c *clients) mayAnswer(t signaling.Ticket, caller string, now time.Time) error {
	if t.Room == signaling.Lobby || t.From == caller {
		return nil
	}
	if g := c.guesses[t.From]; g != nil {
		if left := guessesCount - now.Sub(g[0]); left > 0 {
			return &signaling.Later{Err: signaling.ErrGuesses, After: left}
		}
	}
	if c.waiting[t.From] >= unjudged {
		return &signaling.Later{Err: errUnjudged, After: judging}
	}
	return nil
}

// hasSecret reports whether an answer to this offer can be a guess at a secret: only p2pchat's offers
// begin such an exchange. Other WebRTC programs accept every answer, and send their candidates with
// the offer or before a person answers, so their rooms show nothing about guesses. An answering
// client cannot change the offer.
func hasSecret(offer signaling.Description) bool { return bytes.Contains(offer, []byte(`"p2pchat"`)) }

// unjudged returns the client whose answer the caller has neither accepted nor turned down, or
// empty. In the lobby, in a room of the client's own, and where there is no secret, none counts.
func (r *state) unjudged() string {
	caller, callee := &r.sides[signaling.Caller], &r.sides[signaling.Callee]
	if !r.secrets || callee.description == nil || caller.from == "" || callee.from == caller.from || len(caller.candidates) > r.heard {
		return ""
	}
	return callee.from
}

// turnedDown notes that an answer of a client was turned down.
func (c *clients) turnedDown(from string, now time.Time) {
	g := c.guesses[from]
	if g == nil {
		if c.guesses == nil {
			c.guesses = map[string]*guessing{}
		}
		if len(c.guesses) >= mostGuessers {
			c.sweep(now)
		}
		g = &guessing{}
		c.guesses[from] = g
	}
	copy(g[:], g[1:])
	g[guesses-1] = now
}

// sweep forgets clients whose last guess is old, and if there are none any client. It looks at
// all clients at most once a second, because it holds the Store's lock.
func (c *clients) sweep(now time.Time) {
	if now.Sub(c.swept) >= time.Second {
		c.swept = now
		for from, g := range c.guesses {
			if now.Sub(g[guesses-1]) >= guessesCount {
				delete(c.guesses, from)
			}
		}
	}
	for from := range c.guesses {
		if len(c.guesses) < mostGuessers {
			break
		}
		delete(c.guesses, from)
	}
}

// judge notes an answer that the caller turned down: the caller has replaced its offer, and sent
// no candidate after the answer. A caller sends its candidates once an answer has proven that
// it knows the code. Closing the room counts only after an offer was replaced: a caller may also
// leave before it has read the answer.
func (s *Store) judge(before, next *state) {
	if !before.secrets || !next.open() && len(before.turnedDown) == 0 {
		return
	}
	caller, callee := &before.sides[signaling.Caller], &before.sides[signaling.Callee]
	if callee.from != "" && caller.from != "" && next.sides[signaling.Caller].version != caller.version && len(caller.candidates) <= before.heard {
		s.clients.turnedDown(callee.from, time.Now())
	}
}
