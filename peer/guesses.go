package peer

import (
	"fmt"
	"sync"
)

// Guesses is how many wrong answers a typed code takes in its life, and how many answers a
// callee gives in its life to callers that do not prove that they know it.
const Guesses = 3

// A guesses counts what may have been guesses at the secret of a Session's one typed code:
// a caller's wrong answers, and a callee's answers to callers without proof. It is the only
// count of them, for every attempt, reconnect and restart (Again.Spent), and nothing resets it.
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

// spend counts a guess and calls keep with the count, which must be on disk before the next
// guess is judged. If keep fails, the code is burnt: a restart would forget the guess.
func (g *guesses) spend(keep func(spent int) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent++
	if err := keep(g.spent); err != nil {
		g.spent = max(g.spent, Guesses)
		return fmt.Errorf("%w: the count of wrong codes cannot be saved: %w", ErrBurnt, err)
	}
	return nil
}

// refund takes back one guess that turned out to be none, and calls keep with the count. If
// keep fails, a restart knows of one guess too many.
func (g *guesses) refund(keep func(spent int) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent = max(0, g.spent-1)
	_ = keep(g.spent)
}
