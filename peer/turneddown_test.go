package peer_test

import (
	"bytes"
	"context"
	"errors"
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

// A pardoner says of each offer that its caller's program was started again, and has not turned down an answer.
type pardoner struct{ signaling.Store }

func (p pardoner) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, v, err := p.Store.Description(ctx, t, of, known, wait)
	return bytes.Replace(d, []byte(`"p2pchat":{`), []byte(`"p2pchat":{"unread":true,`), 1), v, err
}

// A callee with a wrong code answers such offers, too. That is no more than the server could have answered itself: the caller counts each answer, the
// callee hears of each, and gives three in its life.
func TestAFalseRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
		config, events := telling()
		caller := n.calls(t, store, right, config)
		told, theirs := telling()
		callee := n.answers(t, pardoner{store}, wrong, told)
		for left := peer.Guesses - 1; left > 0; left-- {
			if got := await[peer.WrongCode](t, events).Left; got != left {
				t.Errorf("%d wrong codes are left, not %d", got, left)
			}
			if e := await[peer.Retrying](t, theirs); !errors.Is(e.Err, peer.ErrUnprovenCaller) {
				t.Errorf("the callee is told %v", e.Err)
			}
		}
		_ = fails(t, caller, peer.ErrBurnt)
		_ = fails(t, callee, peer.ErrWrongCode)
	})
}
