package peer_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// An offered Store counts offers.
type offered struct {
	signaling.Store
	offers atomic.Int32
}

func (o *offered) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	o.offers.Add(1)
	return o.Store.Offer(ctx, t, d)
}

// An attended Store counts those who wait for a description.
type attended struct {
	signaling.Store
	waits atomic.Int32
}

func (a *attended) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	a.waits.Add(1)
	defer a.waits.Add(-1)
	return a.Store.Description(ctx, t, of, known, wait)
}

func TestDoubt(t *testing.T) {
	t.Run("makes the two meet before the connection is lost", func(t *testing.T) {
		for range 5 { // pion looks at another moment each time
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				old := &knownPorts{}
				n.router.AddChunkFilter(func(c vnet.Chunk) bool { return !old.freeze.Load() || !old.pass(c) })
				n.router.AddChunkFilter(func(c vnet.Chunk) bool { return old.freeze.Load() || old.pass(c) })
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				time.Sleep(3 * time.Second)
				old.freeze.Store(true)
				begun := time.Now()
				nextCaller, nextCallee := replacedBoth(t, from, to, caller, callee)
				if hasEnded(caller) || hasEnded(callee) {
					t.Error("a side has lost its connection first")
				}
				talk(t, nextCaller, nextCallee)
				agree(t, nextCaller, nextCallee)
				if took := time.Since(begun); took > 1500*time.Millisecond {
					t.Errorf("it took %s", took)
				}
			})
		}
	})

	t.Run("begins after a second, whenever pion looks", func(t *testing.T) {
		for after := time.Duration(0); after < peer.Heartbeat; after += peer.Heartbeat / 8 {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), &attended{Store: memstore.New(memstore.Limits{})}
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				time.Sleep(3*time.Second + after)
				n.cut.Store(true)
				time.Sleep(1150 * time.Millisecond) // and 0.1 s for more checks
				if store.waits.Load() == 0 {
					t.Errorf("no one waits at the server after 1.15 s of silence that began %v later", after)
				}
			})
		}
	})

	t.Run("of a moment makes no one meet", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), &offered{Store: memstore.New(memstore.Limits{})}
			from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			for range 30 {
				n.cut.Store(true)
				time.Sleep(350 * time.Millisecond)
				n.cut.Store(false)
				time.Sleep(1170 * time.Millisecond)
			}
			talk(t, caller, callee)
			if isOver(caller.Replaced()) || isOver(callee.Replaced()) || store.offers.Load() > 1 {
				t.Errorf("they have met again, with %d offers", store.offers.Load())
			}
		})
	})

	for _, side := range []string{"caller", "callee"} {
		t.Run("that ends before the other side meets ends the meeting, of the "+side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), &attended{Store: memstore.New(memstore.Limits{})}
				var mute atomic.Bool
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				hears := caller
				if side == "callee" {
					hears = callee
				}
				at := hears.Local()
				n.router.AddChunkFilter(func(c vnet.Chunk) bool { return !mute.Load() || hostOf(c.DestinationAddr()) != at })
				talk(t, caller, callee)
				time.Sleep(3 * time.Second)
				if store.waits.Load() != 0 {
					t.Fatal("a side waits at the server without a reason")
				}
				mute.Store(true) // the other side goes on to hear this one
				time.Sleep(1500 * time.Millisecond)
				if store.waits.Load() == 0 {
					t.Fatal("no one waits at the server after 1.5 s of silence")
				}
				mute.Store(false)
				time.Sleep(time.Second)
				if store.waits.Load() != 0 {
					t.Error("the meeting goes on though packets come again")
				}
				if isOver(caller.Replaced()) || isOver(callee.Replaced()) {
					t.Error("the connection was moved")
				}
				talk(t, caller, callee)
			})
		})
	}

	t.Run("in which the address goes begins the meeting once more, without that address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store, at := newNetwork(t, 5*time.Millisecond), &offered{Store: memstore.New(memstore.Limits{})}, &traveller{}
			var early, mute, gone atomic.Bool
			early.Store(true) // only the cable works
			at.use(cable)
			two := moving().Over(machine(t, n.router, cable, wifi)).Routed(at.route).Losing(func(a netip.Addr) bool { return gone.Load() && a.String() == cable })
			n.router.AddChunkFilter(func(c vnet.Chunk) bool {
				if early.Load() && (hostOf(c.SourceAddr()) == wifi || hostOf(c.DestinationAddr()) == wifi) {
					return false
				}
				return (!mute.Load() || hostOf(c.DestinationAddr()) != cable) && (!gone.Load() || hostOf(c.SourceAddr()) != cable)
			})
			from, to := calling(t, store, right, two), answering(t, store, right, moving().Over(n.callee))
			t.Cleanup(n.sever)
			caller, callee := both(t, from, to)
			if caller.Local() != cable {
				t.Fatalf("the connection is not over the cable, but over %s", caller.Local())
			}
			talk(t, caller, callee)
			early.Store(false)
			time.Sleep(3500 * time.Millisecond) // the Session looks at the route once a second
			before, begun := store.offers.Load(), time.Now()
			mute.Store(true) // the callee goes on to hear the caller
			time.Sleep(1300 * time.Millisecond)
			if n := store.offers.Load() - before; n != 1 {
				t.Fatalf("%d offers after 1.3 s of silence", n)
			}
			gone.Store(true)
			at.use(wifi)
			time.Sleep(400 * time.Millisecond)
			if n := store.offers.Load() - before; n != 2 {
				t.Errorf("%d offers once the address is gone: the meeting goes on from there", n)
			}
			caller, callee = both(t, from, to)
			if took := time.Since(begun); took > 3*time.Second || caller.Local() != wifi {
				t.Errorf("they meet after %v over %s", took, caller.Local())
			}
			talk(t, caller, callee)
		})
	})

	t.Run("for want of the address, though packets come and go, ends in a move to another one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store, at := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &traveller{}
			var early, gone atomic.Bool
			early.Store(true) // only the cable works
			at.use(cable)
			two := moving().Over(machine(t, n.router, cable, wifi)).Routed(at.route).Losing(func(a netip.Addr) bool { return gone.Load() && a.String() == cable })
			n.router.AddChunkFilter(func(c vnet.Chunk) bool {
				return !early.Load() || hostOf(c.SourceAddr()) != wifi && hostOf(c.DestinationAddr()) != wifi
			})
			from, to := calling(t, store, right, two), answering(t, store, right, moving().Over(n.callee))
			t.Cleanup(n.sever)
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			early.Store(false)
			time.Sleep(3500 * time.Millisecond) // the Session looks at the route once a second
			gone.Store(true)
			at.use(wifi)
			begun := time.Now()
			nextCaller, nextCallee := replacedBoth(t, from, to, caller, callee)
			if took := time.Since(begun); took > 5*time.Second || nextCaller.Local() != wifi || nextCaller.Reason != "gone" {
				t.Errorf("they moved after %v to %s: %q", took, nextCaller.Local(), nextCaller.Reason)
			}
			if hasEnded(caller) || hasEnded(callee) {
				t.Error("a side has lost its connection first")
			}
			talk(t, nextCaller, nextCallee)
		})
	})

	t.Run("that ends while the two meet loses nothing", func(t *testing.T) {
		for ms := 600; ms < 2400; ms += 150 {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 20*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				time.Sleep(3 * time.Second)
				n.cut.Store(true)
				time.Sleep(time.Duration(ms) * time.Millisecond)
				n.cut.Store(false)
				time.Sleep(5 * time.Second)
				if isOver(caller.Replaced()) != isOver(callee.Replaced()) {
					t.Fatalf("after %d ms, one side alone has moved", ms)
				}
				if isOver(caller.Replaced()) {
					caller, callee = pipeOf(t, from), pipeOf(t, to)
				}
				talk(t, caller, callee)
			})
		}
	})
}
