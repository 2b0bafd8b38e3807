package peer_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// Lines that are said faster than datagrams go out share them.
func TestDatagrams(t *testing.T) {
	const lines = 5000
	spend := func(t *testing.T) (datagrams int64) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			var count atomic.Int64
			n.router.AddChunkFilter(func(vnet.Chunk) bool {
				count.Add(1)
				return true
			})
			from, to := n.connect(t, store)
			var wg sync.WaitGroup
			a, b := newPorter(&wg, from, chat.Config{}), newPorter(&wg, to, chat.Config{})
			awaitEvents[chat.Connected](t, a, 1)
			synctest.Wait()
			before := count.Load()
			text := strings.Repeat("x", 64)
			for range lines {
				if _, err := a.Say(context.Background(), text); err != nil {
					t.Fatal(err)
				}
			}
			awaitEvents[chat.Delivered](t, a, lines)
			datagrams = count.Load() - before
			a.Leave()
			for range b.events { // until its Events end, too
			}
			wg.Wait()
		})
		return datagrams
	}
	// Each line in a datagram of its own would take more than 5,000.
	if got := spend(t); got > lines/4 {
		t.Errorf("%d datagrams for %d lines, want %d at most", got, lines, lines/4)
	}
}

// Two sides that say nothing let each other know each 0.75 s that they are there, and get a reply. Every further packet
// would wake both machines.
func TestIdleDatagrams(t *testing.T) {
	const watched = time.Minute
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 5*time.Millisecond)
		var count atomic.Int64
		n.router.AddChunkFilter(func(vnet.Chunk) bool {
			count.Add(1)
			return true
		})
		from, to := n.connect(t, memstore.New(memstore.Limits{}))
		talk(t, pipeOf(t, from), pipeOf(t, to))
		time.Sleep(5 * time.Second) // what is left of connecting
		before := count.Load()
		time.Sleep(watched)
		want := int64(2 * 2 * watched / peer.Heartbeat)
		if got := count.Load() - before; got > want+4 || got < want/2 {
			t.Errorf("%d datagrams in %v, want %d", got, watched, want)
		}
	})
}

// awaitEvents reads what a side is told until it has been told n events of type E.
func awaitEvents[E chat.Event](t *testing.T, p *porter, n int) {
	t.Helper()
	for e := range p.events {
		if _, ok := e.(E); ok {
			n--
		}
		if n == 0 {
			return
		}
	}
	t.Fatalf("%d of %T are missing", n, *new(E))
}
