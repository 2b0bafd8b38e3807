package peer_test

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/turn/v5"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// told writes down which addresses a TURN server is asked for permissions for.
type told struct {
	mu        sync.Mutex // guards what follows
	addresses []netip.Addr
	asked     int // permissions, the same ones again included
}

func (h *told) permit(_ net.Addr, peer net.IP) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if a, _ := netip.AddrFromSlice(peer); !slices.Contains(h.addresses, a.Unmap()) {
		h.addresses = append(h.addresses, a.Unmap())
	}
	return true
}

func (h *told) permissions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

func (h *told) private() (list []netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.addresses {
		if a.IsPrivate() {
			list = append(list, a)
		}
	}
	return list
}

// The server chooses the TURN server, and so could learn from it what the seals keep from it.
func TestTURNServersLearnNoPrivateAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, third, conn := behindNATs(t, symmetric, symmetric, 5*time.Millisecond)
		hears := &told{}
		config := quiet()
		config.ICEServers = []signaling.ICEServer{permitting(t, conn, &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(thirdHost), Address: thirdHost, Net: third}, hears.permit)}
		store := memstore.New(memstore.Limits{})
		caller, callee := both(t, n.calls(t, store, right, config), n.answers(t, store, right, config))
		talk(t, caller, callee)
		before := hears.permissions()
		time.Sleep(10 * time.Minute) // pion asks for its permissions again every 2 minutes
		talk(t, caller, callee)
		if hears.permissions() == before {
			t.Error("no permission was asked for again")
		}
		if list := hears.private(); len(list) > 0 || len(hears.addresses) == 0 {
			t.Errorf("the TURN server was told of %v, of which %v are private", hears.addresses, list)
		}
	})
}

// In a network without the Internet a relay works as before: it is told of that network's addresses.
func TestRelayOfAPrivateNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, hears := newNetwork(t, 10*time.Millisecond), &told{}
		third := machine(t, n.router, relayAddress)
		conn, err := third.ListenPacket("udp4", relayAddress+":3478")
		if err != nil {
			t.Fatal(err)
		}
		detour := &detour{senders: map[string]bool{}}
		n.router.AddChunkFilter(detour.pass)
		config := quiet()
		config.ICEServers = []signaling.ICEServer{permitting(t, conn, &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(relayAddress), Address: relayAddress, Net: third}, hears.permit)}
		store := memstore.New(memstore.Limits{})
		callee := n.answers(t, store, right, quiet()) // it has no relay, so that the other one must reach its address
		caller := n.calls(t, store, right, config)
		from, to := both(t, caller, callee)
		talk(t, from, to)
		if from.Path != "relay" || len(hears.private()) == 0 {
			t.Errorf("the path is %s; the relay was told of %v", from.Path, hears.addresses)
		}
	})
}
