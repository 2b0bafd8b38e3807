package peer

import (
	"fmt"
	"sync"
	"sync/atomic"

	"p2pchat/signaling"
)

// Guesses is how many wrong answers a typed code takes in its life, and how many answers a
// callee gives in its life to callers that do not prove that they know the code.
const Guesses = 3

// A guesses counts what may have been guesses at the secret of a Session's one typed code:
// a caller's wrong answers, and a callee's answers to callers without proof. It is the only
// count of them, for every attempt, reconnect and restart (Resumption.Spent), and nothing resets it.
type guesses struct {
	mu    sync.Mutex // guards what follows
	spent int
}

// left returns how many more guesses the code takes.
func (g *guesses) left() int { return max(0, Guesses-g.used()) }

func (g *guesses) burnt() bool { return g.left() == 0 }

func (g *guesses) used() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.spent
}

// spend counts a guess and calls save with the count, which must be on disk before the next
// guess is judged. If save fails, the code is burnt: a restart would forget the guess.
func (g *guesses) spend(save func(spent int) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent++
	if err := save(g.spent); err != nil {
		g.spent = max(g.spent, Guesses)
		return fmt.Errorf("%w: the count of wrong codes cannot be saved: %w", ErrBurnt, err)
	}
	return nil
}

// refund takes back one guess that turned out to be none, and calls save with the count. If
// save fails, a restart knows of one guess too many.
func (g *guesses) refund(save func(spent int) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent = max(0, g.spent-1)
	_ = save(g.spent)
}

// A guess is one answer of a callee, which lets the caller check one guess at the secret. So it counts before
// it goes out, and until the caller has proven that it knew the secret.
type guess struct {
	s      *Session
	now    Resumption
	counts bool
	count  func() error // counts the guess, once
	given  atomic.Bool
}

func (s *Session) newGuess(t signaling.Ticket, code Code) *guess {
	g := &guess{s: s, now: s.resumption(t, code), counts: s.countsGuesses(code)}
	g.count = sync.OnceValue(func() error {
		if !g.counts {
			return nil
		}
		return s.spend(g.now)
	})
	return g
}

// give counts the guess, because the answer goes out now. A malicious server may read the answer even if it
// returns an error.
func (g *guess) give() error {
	err := g.count()
	g.given.Store(err == nil)
	return err
}

// end takes the guess back if the answer did not go out, or if the caller has proven that it knew the secret.
func (g *guess) end(proven bool) {
	if g.counts && g.count() == nil && (!g.given.Load() || proven) {
		g.s.refund(g.now)
	}
}
