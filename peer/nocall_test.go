package peer_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
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

	for _, secret := range []string{right, open} {
		t.Run("is not told where the caller has died, as long as its room stays, with "+secret, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				n.cut.Store(true)
				config, events := telling()
				caller := n.calls(t, unclosing{store}, secret, quiet())
				synctest.Wait() // its offer is there
				_ = n.answers(t, store, secret, config)
				if secret == right {
					time.Sleep(100 * time.Millisecond) // they have proven that they know the code
				}
				caller.Close()
				if e := await[peer.Retrying](t, events); !errors.Is(e.Err, peer.ErrNoPath) {
					t.Errorf("first it is told %v", e.Err)
				}
				time.Sleep(time.Minute)
				if told := count(events); told != 0 {
					t.Errorf("it is told %d times", told)
				}
			})
		})
	}

	t.Run("is not told to a program that was started again after a meeting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			from := n.calls(t, store, right, quiet())
			to := n.answers(t, store, right, quiet())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			config, events := telling()
			again := callee.Resumption()
			config.Resume = &again
			from.Close()
			to.Close()
			_ = n.answers(t, store, right, config)
			time.Sleep(time.Minute)
			if told := count(events); told != 0 {
				t.Errorf("it is told %d times", told)
			}
		})
	})
}

// Calls whose programs die before they connect, and whose rooms end then, do not count for the next call with the same code, of which there may be any number.
// In between the answerer is told each time that nobody calls.
func TestCallsThatDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
		n.cut.Store(true)
		config, events := telling()
		callee := n.answers(t, store, right, config)
		await[peer.NoCall](t, events)
		for _, attempts := range []int{1, 1, peer.Attempts - 1, 1} {
			told, theirs := telling()
			caller := n.calls(t, unclosing{store}, right, told)
			token := await[peer.Waiting](t, theirs).Resumption.Token
			for left := attempts; left > 0; left-- {
				time.Sleep(time.Second) // both have proven that they know the code, and find no path
				if left == 1 {
					caller.Close() // as if it was killed
				}
				if e := await[peer.Retrying](t, events); !errors.Is(e.Err, peer.ErrNoPath) {
					t.Fatalf("it tries again because of %v", e.Err)
				}
			}
			if err := store.Close(soon(t), signaling.Ticket{Room: code(right).Room, Side: signaling.Caller, Token: token}); err != nil {
				t.Fatal(err)
			}
			await[peer.NoCall](t, events)
			time.Sleep(time.Hour)
			if len(events) > 0 {
				t.Errorf("in an empty room it is told %#v", <-events)
			}
		}
		n.cut.Store(false)
		from, to := both(t, n.calls(t, store, right, quiet()), callee)
		talk(t, from, to)
	})
}
