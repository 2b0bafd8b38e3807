package peer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A slanderer tells a callee that the caller has turned its answer down.
type slanderer struct{ signaling.Store }

func (s slanderer) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if of == signaling.Caller && t.Token != "" {
		if _, _, err := s.Description(ctx, signaling.Ticket{Room: t.Room}, signaling.Callee, "", signaling.Forever); err != nil {
			return nil, err
		}
		return nil, signaling.ErrTurnedDown
	}
	return s.Store.Candidates(ctx, t, of, after, wait)
}

// That callee gives up, which is a nuisance. The server gains no guess by it: the caller counts none,
// and the next callee with the right code is let in.
func TestAFalseTurnDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
		config, events := telling()
		caller := n.calls(t, store, right, config)
		_ = fails(t, n.answers(t, slanderer{store}, right, quiet()), peer.ErrWrongCode)
		second := n.answers(t, store, right, quiet())
		from, to := both(t, caller, second)
		talk(t, from, to)
		if !from.Verified || from.Resumption().Spent != 0 {
			t.Errorf("the caller is verified: %v, and counts %d wrong codes", from.Verified, from.Resumption().Spent)
		}
		for len(events) > 0 {
			if e, ok := (<-events).(peer.WrongCode); ok {
				t.Errorf("the caller is told of a wrong code, and that %d are left", e.Left)
			}
		}
	})
}
