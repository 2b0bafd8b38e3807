package peer_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// A traveller is a machine with two addresses, whose packets leave from one of them.
type traveller struct{ leaves atomic.Value }

func (m *traveller) use(address string)          { m.leaves.Store(netip.MustParseAddr(address)) }
func (m *traveller) route(netip.Addr) netip.Addr { return m.leaves.Load().(netip.Addr) }

func TestRoute(t *testing.T) {
	for _, side := range []string{"caller", "callee"} {
		t.Run("a connection follows the route to another address, of the "+side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store, at := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &traveller{}
				at.use(wifi)
				two := moving().Over(machine(t, n.router, wifi, cable)).Routed(at.route)
				configs := []peer.Config{two, moving().Over(n.callee)}
				if side == "callee" {
					configs = []peer.Config{moving().Over(n.caller), two}
				}
				from, to := calling(t, store, right, configs[0]), answering(t, store, right, configs[1])
				t.Cleanup(n.sever)
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				local := func() string {
					if side == "callee" {
						return callee.Local()
					}
					return caller.Local()
				}
				time.Sleep(5 * time.Second)
				if isOver(caller.Replaced()) || isOver(callee.Replaced()) {
					t.Fatal("it was moved without a reason")
				}
				for _, now := range []string{cable, wifi} {
					at.use(now)
					begun := time.Now()
					caller, callee = replacedBoth(t, from, to, caller, callee)
					if took := time.Since(begun); took > 1500*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					if local() != now {
						t.Errorf("the connection leaves from %s, want %s", local(), now)
					}
					talk(t, caller, callee)
					agree(t, caller, callee)
				}
			})
		})
	}

	t.Run("a later try to follow it says the same reason", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store, at := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &traveller{}
			var forwards atomic.Bool // the new network
			n.router.AddChunkFilter(func(c vnet.Chunk) bool {
				return forwards.Load() || hostOf(c.SourceAddr()) != cable && hostOf(c.DestinationAddr()) != cable
			})
			at.use(wifi)
			from := calling(t, store, right, moving().Over(machine(t, n.router, wifi, cable)).Routed(at.route))
			to := answering(t, store, right, moving().Over(n.callee))
			t.Cleanup(n.sever)
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			at.use(cable)
			time.Sleep(30 * time.Second) // the first try fails
			if isOver(caller.Replaced()) {
				t.Fatal("it was moved to a network that forwards nothing")
			}
			forwards.Store(true)
			caller, callee = replacedBoth(t, from, to, caller, callee)
			if caller.Reason != "address" || callee.Reason != "address" || caller.Local() != cable {
				t.Errorf("it was moved to %s, because of %q and %q", caller.Local(), caller.Reason, callee.Reason)
			}
			talk(t, caller, callee)
		})
	})

	t.Run("a route that goes to and fro costs few moves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store, at := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), &traveller{}
			at.use(wifi)
			from := calling(t, store, right, moving().Over(machine(t, n.router, wifi, cable)).Routed(at.route))
			to := answering(t, store, right, moving().Over(n.callee))
			t.Cleanup(n.sever)
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			moves := 0
			for i := range 100 {
				at.use([]string{cable, wifi}[i%2])
				time.Sleep(3 * time.Second)
				if isOver(caller.Replaced()) {
					caller, callee = replacedBoth(t, from, to, caller, callee)
					moves++
				}
				talk(t, caller, callee)
			}
			if moves == 0 || moves > peer.MovesMost {
				t.Errorf("%d moves", moves)
			}
		})
	})
}
