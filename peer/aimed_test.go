package peer_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// Without a secret, any program may name candidates, and each has a peer send packets somewhere: those
// of the description and of the list are few together.
func TestFewCandidatesOfStrangers(t *testing.T) {
	const victim, most = "10.0.0.9", 20
	aimed := func(from, to int) (list []string) {
		for port := from; port < to; port++ {
			list = append(list, fmt.Sprintf("candidate:%d 1 udp 2130706431 %s %d typ host", port, victim, port))
		}
		return list
	}
	for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			var mu sync.Mutex
			ports := map[int]bool{}
			n.router.AddChunkFilter(func(c vnet.Chunk) bool {
				if to, ok := c.DestinationAddr().(*net.UDPAddr); ok && to.IP.String() == victim {
					mu.Lock()
					ports[to.Port] = true
					mu.Unlock()
				}
				return true
			})
			var sdp strings.Builder
			sdp.WriteString(sdpOf(t, string(stale(t, side))))
			for _, c := range aimed(1000, 1015) {
				sdp.WriteString("a=" + c + "\r\n")
			}
			if side == signaling.Callee {
				n.calls(t, store, room, quiet())
				awaitOffer(t, store)
			}
			ticket := post(t, store, room, side, describing(t, side, sdp.String()))
			var list []signaling.Candidate
			for _, c := range append(aimed(1000, 1015), aimed(2000, 2060)...) { // some programs name theirs twice
				list = append(list, asJSON(t, map[string]any{"candidate": c, "sdpMLineIndex": 0}))
			}
			if _, err := store.AddCandidates(t.Context(), ticket, 0, list...); err != nil {
				t.Fatal(err)
			}
			if side == signaling.Caller {
				n.answers(t, store, room, quiet())
			}
			time.Sleep(peer.ConnectLimit / 2)
			mu.Lock()
			defer mu.Unlock()
			if len(ports) > most || len(ports) < most-5 {
				t.Errorf("packets of the %s went to %d ports of another machine, want %d", side.Other(), len(ports), most)
			}
		})
	}
}

// A description is bounded before it is parsed: parsing takes many times its size.
func TestLongDescriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store, log := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{}), &logbook{}
		offer := describing(t, signaling.Caller, sdpOf(t, string(stale(t, signaling.Caller)))+strings.Repeat("a=x:y\r\n", 1<<16))
		post(t, store, room, signaling.Caller, offer)
		config, events := telling()
		config.Log = log.logger()
		n.answers(t, store, room, config)
		if e := await[peer.Retrying](t, events); !strings.Contains(e.Err.Error(), "longer than 256 KiB") {
			t.Errorf("it says %v", e.Err)
		}
	})
}
