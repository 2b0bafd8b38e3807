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

func TestASecondCallee(t *testing.T) {
	t.Run("with the code is told that the call is taken, and that it went to the first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 50*time.Millisecond), memstore.New(memstore.Limits{})
			caller, callee := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
			answered(t, store)
			config, events := telling()
			second := n.answers(t, store, right, config)
			await[peer.Taken](t, events)
			from, to := pipeOf(t, caller), pipeOf(t, callee)
			talk(t, from, to)
			_ = fails(t, second, peer.ErrTaken)
			if !from.Verified || !to.Verified {
				t.Error("the first is not verified")
			}
		})
	})

	t.Run("whose answer comes when the room is gone is told so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), late{memstore.New(memstore.Limits{})}
			n.calls(t, store.Store, right, quiet())
			_ = fails(t, n.answers(t, store, right, quiet()), peer.ErrTaken)
		})
	})

	t.Run("has its turn when the first one's code was wrong", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const rtt = 100 * time.Millisecond
			n, store := newNetwork(t, rtt/2), memstore.New(memstore.Limits{})
			told, telling0 := telling()
			caller := n.calls(t, distant{store, rtt}, right, told)
			await[peer.Waiting](t, telling0)
			liar := answering(t, store, wrong, quiet().Over(n.callee))
			answered(t, store)
			config, events := telling()
			second := n.answers(t, store, right, config)
			await[peer.Taken](t, events)
			_ = fails(t, liar, peer.ErrWrongCode)
			talk(t, pipeOf(t, caller), pipeOf(t, second))
		})
	})
}

// A late Store takes no answer: the room has gone.
type late struct{ signaling.Store }

func (late) Answer(context.Context, signaling.Ticket, signaling.Version, signaling.Description) (signaling.Version, error) {
	return "", signaling.ErrNoOffer
}

// answered waits for an answer in the room of the codes.
func answered(t *testing.T, store signaling.Store) {
	t.Helper()
	if _, _, err := store.Description(soon(t), signaling.Ticket{Room: open}, signaling.Callee, "", signaling.Forever); err != nil {
		t.Fatal("no answer: ", err)
	}
}
