package peer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A program that was started again without an outbox has nothing but the typed code. The one
// that it talked to meets it there, if its person says so, and guesses count as before.
func TestReopening(t *testing.T) {
	for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
		t.Run("lets a "+side.String()+" meet a program that was started again", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				dead := to
				if side == signaling.Callee {
					dead = from
				}
				n.outage(t, 5*time.Second, caller, callee)
				dead.Close()
				survivor := from
				if side == signaling.Caller {
					to = n.answers(t, store, right, quiet())
				} else {
					survivor, from = to, n.calls(t, store, right, quiet())
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if p, err := survivor.Pipe(ctx); p != nil {
					t.Fatalf("they meet though the code was not reopened: %v", err)
				}
				if err := survivor.Reopen(); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				caller, callee = both(t, from, to)
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("they meet after %v", took)
				}
				talk(t, caller, callee)
				agree(t, caller, callee)
				n.outage(t, 5*time.Second, caller, callee)
				caller, callee = both(t, from, to)
				talk(t, caller, callee)
			})
		})
	}

	t.Run("takes no more guesses than are left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			from, liar := n.calls(t, store, right, config), n.answers(t, store, wrong, quiet())
			_ = fails(t, liar, peer.ErrWrongCode)
			to := n.answers(t, store, right, quiet())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			n.outage(t, 5*time.Second, caller, callee)
			to.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			go func() { _, _ = from.Pipe(ctx) }()
			time.Sleep(time.Second)
			if err := from.Reopen(); err != nil {
				t.Fatal(err)
			}
			for left := peer.Guesses - 1; left > 0; left-- {
				if told := await[peer.WrongCode](t, events).Left; told != left {
					t.Errorf("it says that %d are left, not %d", told, left)
				}
				liar := n.answers(t, store, wrong, quiet())
				_ = fails(t, liar, peer.ErrWrongCode)
			}
			await[peer.Burnt](t, events)
			if err := from.Reopen(); !errors.Is(err, peer.ErrBurnt) {
				t.Errorf("a burnt code can be opened again: %v", err)
			}
			<-ctx.Done()
		})
	})
}

// A replaced Store is a server that may be down, and empty when it comes back.
type replaced struct {
	now  atomic.Pointer[memstore.Store]
	down atomic.Bool
}

// at waits for the server as a Client does.
func (r *replaced) at(ctx context.Context) (signaling.Store, error) {
	for r.down.Load() {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return r.now.Load(), nil
}

func (r *replaced) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	s, err := r.at(ctx)
	if err != nil {
		return "", err
	}
	return s.Offer(ctx, t, d)
}

func (r *replaced) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	s, err := r.at(ctx)
	if err != nil {
		return "", err
	}
	return s.Reoffer(ctx, t, d)
}

func (r *replaced) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	s, err := r.at(ctx)
	if err != nil {
		return "", err
	}
	return s.Answer(ctx, t, to, d)
}

func (r *replaced) Offers(ctx context.Context, wanted []signaling.WantedOffer, wait time.Duration) ([]signaling.Offered, error) {
	s, err := r.at(ctx)
	if err != nil {
		return nil, err
	}
	return s.Offers(ctx, wanted, wait)
}

func (r *replaced) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	s, err := r.at(ctx)
	if err != nil {
		return nil, "", err
	}
	return s.Description(ctx, t, of, known, wait)
}

func (r *replaced) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	s, err := r.at(ctx)
	if err != nil {
		return 0, err
	}
	return s.AddCandidates(ctx, t, at, c...)
}

func (r *replaced) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	s, err := r.at(ctx)
	if err != nil {
		return nil, err
	}
	return s.Candidates(ctx, t, of, after, wait)
}

func (r *replaced) Close(ctx context.Context, t signaling.Ticket) error {
	s, err := r.at(ctx)
	if err != nil {
		return err
	}
	return s.Close(ctx, t)
}
