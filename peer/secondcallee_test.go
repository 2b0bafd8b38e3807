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
			taken(t, events)
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
			taken(t, events)
			_ = fails(t, liar, peer.ErrWrongCode)
			talk(t, pipeOf(t, caller), pipeOf(t, second))
		})
	})
}

// A callee whose answer comes when the caller has just replaced its offer has answered the earlier one: the caller does not judge that answer, and
// counts no guess for it.
func TestAnAnswerToAnEarlierOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
		config, events := telling()
		caller := n.calls(t, store, right, config)
		await[peer.Waiting](t, events)
		callee := n.answers(t, lateAnswers{store}, right, quiet())
		synctest.Wait() // its answer is on its way
		told, theirs := telling()
		_ = fails(t, n.answers(t, store, wrong, told), peer.ErrWrongCode)
		from, to := both(t, caller, callee)
		talk(t, from, to)
		if spent := from.Resumption().Spent; spent != 1 {
			t.Errorf("the caller counts %d guesses", spent)
		}
		for len(theirs) > 0 {
			if e, ok := (<-theirs).(peer.Retrying); ok {
				t.Errorf("the callee with the wrong code is told besides: %v", e.Err)
			}
		}
	})
}

// A lateAnswers is a Store to which answers come late.
type lateAnswers struct{ signaling.Store }

func (l lateAnswers) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	time.Sleep(time.Second)
	return l.Store.Answer(ctx, t, to, d)
}

// A call that ended while its callee looked for a path says nothing of the next call with the same code.
func TestTheNextCallWithTheSameCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
		n.cut.Store(true)
		first, callee := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
		time.Sleep(time.Second) // both have proven that they know the code, and find no path
		first.Close()
		n.cut.Store(false)
		begun := time.Now()
		from, to := both(t, n.calls(t, store, right, quiet()), callee)
		talk(t, from, to)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("they meet after %v", took)
		}
	})
}

// taken waits until a callee is told that the call is taken. It is not told that the caller may have guessed.
func taken(t *testing.T, events <-chan peer.Event) {
	t.Helper()
	for {
		switch e := (<-events).(type) {
		case peer.Taken:
			return
		case peer.Retrying:
			t.Errorf("the second callee is told %v", e.Err)
		}
	}
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
