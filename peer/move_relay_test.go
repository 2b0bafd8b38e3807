package peer_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// relayedCall joins two machines through a relay. While blocked, no packet goes from one to the other directly.
func relayedCall(t *testing.T, blocked *atomic.Bool, book *logbook, only bool) (from, to *peer.Session) {
	t.Helper()
	n := newNetwork(t, 10*time.Millisecond)
	store := memstore.New(memstore.Limits{})
	config := moving()
	config.ICEServers = []signaling.ICEServer{relayed(t, n)}
	config.Log = book.logger()
	blocked.Store(true)
	two := map[string]bool{"10.0.0.1": true, "10.0.0.2": true}
	n.router.AddChunkFilter(func(c vnet.Chunk) bool {
		return !blocked.Load() || !two[hostOf(c.SourceAddr())] || !two[hostOf(c.DestinationAddr())]
	})
	config.RelayOnly = only
	from = n.calls(t, store, right, config)
	config.RelayOnly = false
	return from, n.answers(t, store, right, config)
}

func TestMoveFromRelay(t *testing.T) {
	t.Parallel()
	t.Run("to the direct path, once there is one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var blocked atomic.Bool
			from, to := relayedCall(t, &blocked, &logbook{}, false)
			caller, callee := both(t, from, to)
			begun := time.Now()
			talk(t, caller, callee)
			if caller.Path != "relay" || callee.Path != "relay" {
				t.Fatalf("the paths are %s and %s", caller.Path, callee.Path)
			}
			time.Sleep(time.Second)
			blocked.Store(false)
			caller, callee = replacedBoth(t, from, to, caller, callee)
			if took := time.Since(begun); took > 5500*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			if caller.Path != "host" || callee.Path != "host" {
				t.Errorf("the paths are %s and %s", caller.Path, callee.Path)
			}
			talk(t, caller, callee)
			time.Sleep(peer.Long(time.Hour, 10*time.Minute))
			if isOver(caller.Replaced()) || isOver(callee.Replaced()) {
				t.Error("a direct path was left")
			}
		})
	})

	t.Run("is tried ever more rarely where there is no other path", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var blocked atomic.Bool
			book := &logbook{}
			from, to := relayedCall(t, &blocked, book, false)
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			time.Sleep(peer.Long(time.Hour, 15*time.Minute))
			if n := book.count("the connection stays as it is") / 2; n < 5 || n > 11 { // after 5, 20, 65, 200 and 605 s, then every 10 min
				t.Errorf("it was tried %d times", n)
			}
			talk(t, caller, callee)
		})
	})

	t.Run("does not happen where a side shows no address of its own", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var blocked atomic.Bool
			book := &logbook{}
			from, to := relayedCall(t, &blocked, book, true)
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			blocked.Store(false)
			time.Sleep(time.Minute)
			if isOver(caller.Replaced()) || book.count("the connection stays as it is") > 0 {
				t.Error("it was tried")
			}
			talk(t, caller, callee)
		})
	})
}
