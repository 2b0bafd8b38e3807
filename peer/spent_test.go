package peer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A ledger is a Config's Save that notes how many guesses are on disk.
type ledger struct {
	mu    sync.Mutex // guards what follows
	spent []int
}

func (l *ledger) save(r peer.Resumption) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent = append(l.spent, r.Spent)
	return nil
}

// A callee's answer counts as a guess, on disk, before it goes out, and no longer once the caller has proven that it knows the code.
// Without a secret nothing counts.
func TestAProvenCallerCostsNoGuess(t *testing.T) {
	for _, c := range []struct {
		secret string
		before int // guesses, in earlier lives
		want   []int
	}{{right, 0, []int{1, 0}}, {right, 2, []int{3, 2}}, {open, 0, nil}} {
		synctest.Test(t, func(t *testing.T) {
			n, store, disk := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{}), &ledger{}
			config := quiet()
			config.Save, config.Resume = disk.save, &peer.Resumption{Side: signaling.Callee, Typed: code(c.secret), Spent: c.before}
			from, to := both(t, n.calls(t, store, c.secret, quiet()), n.answers(t, store, c.secret, config))
			talk(t, from, to)
			disk.mu.Lock()
			defer disk.mu.Unlock()
			if !slices.Equal(disk.spent, c.want) || to.Resumption().Spent != c.before {
				t.Errorf("%+v: guesses on disk: %d; %d after meeting", c, disk.spent, to.Resumption().Spent)
			}
		})
	}
}

// A guess that cannot be saved would be forgotten by a restart: the caller judges none after it, and the callee gives no answer.
func TestAGuessThatCannotBeSaved(t *testing.T) {
	full := errors.New("the disk is full")
	config := quiet()
	config.Save = func(peer.Resumption) error { return full }
	ends := func(t *testing.T, s *peer.Session) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := s.Pipe(ctx); !errors.Is(err, peer.ErrBurnt) || !errors.Is(err, full) {
			t.Errorf("it ends with %v", err)
		}
	}
	t.Run("at the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			caller := n.calls(t, store, right, config)
			_ = n.answers(t, store, wrong, quiet())
			ends(t, caller)
		})
	})
	t.Run("at the callee", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			caller := n.calls(t, store, right, quiet())
			ends(t, n.answers(t, store, right, config))
			if d, _, err := store.Description(t.Context(), signaling.Ticket{Room: code(right).Room}, signaling.Callee, "", 0); !errors.Is(err, signaling.ErrNoAnswer) {
				t.Errorf("the answer %s, %v", d, err)
			}
			caller.Close()
		})
	})
}
