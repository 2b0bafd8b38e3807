package peer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// An answerer learns that no call is open, once, and only while that is so.
func TestNoCall(t *testing.T) {
	count := func(events <-chan peer.Event) (n int) {
		for {
			select {
			case e := <-events:
				if _, is := e.(peer.NoCall); is {
					n++
				}
			default:
				return n
			}
		}
	}

	t.Run("is told once in an empty room, and a call that comes is answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			to := n.answers(t, store, right, config)
			begun := time.Now()
			if got := await[peer.NoCall](t, events).Code; got != code(right) {
				t.Errorf("it is told of %v", got)
			}
			if took := time.Since(begun); took < time.Second || took > 2*time.Second {
				t.Errorf("it is told after %v", took)
			}
			time.Sleep(time.Hour)
			from := n.calls(t, store, right, quiet())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			if again := count(events); again != 0 {
				t.Errorf("it is told %d times more", again)
			}
		})
	})

	t.Run("is not told where the caller waits already, nor after a loss", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			from := n.calls(t, store, right, quiet())
			time.Sleep(time.Second)
			to := n.answers(t, store, right, config)
			caller, callee := both(t, from, to)
			n.outage(t, time.Minute, caller, callee)
			caller, callee = both(t, from, to)
			talk(t, caller, callee)
			if told := count(events); told != 0 {
				t.Errorf("it is told %d times", told)
			}
		})
	})
}
