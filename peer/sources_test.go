package peer_test

import (
	"encoding/json"
	"net"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A server that lies reads the ICE password in an answer, learns a port of the callee by its own
// STUN server, and signs checks from many ports. The callee sends packets to few of them.
func TestChecksFromManyPorts(t *testing.T) {
	const most, ports, first, attacker = 8, 60, 10_000, "10.0.0.9"
	for name, text := range map[string]string{"with a secret": right, "without a secret": open} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
				from := machine(t, n.router, attacker)
				var mu sync.Mutex
				reached := map[int]bool{}
				n.router.AddChunkFilter(func(c vnet.Chunk) bool {
					if to, ok := c.DestinationAddr().(*net.UDPAddr); ok && to.IP.String() == attacker && to.Port >= first {
						mu.Lock()
						defer mu.Unlock()
						reached[to.Port] = true
					}
					return true
				})
				server := listensAt(t, from, 3478)
				guess := wrong
				if text == open {
					guess = open
				}
				sdp := sdpOf(t, string(stale(t, signaling.Caller)))
				_, offer, err := peer.Propose(code(guess), sdp)
				if err != nil {
					t.Fatal(err)
				}
				ticket := post(t, store, open, signaling.Caller, offer)
				config := quiet()
				config.ICEServers = []signaling.ICEServer{{URLs: []string{"stun:" + attacker + ":3478"}}}
				n.answers(t, store, text, config)
				callee := mapped(t, server)
				body, _, err := store.Description(soon(t), ticket, signaling.Callee, "", signaling.Forever)
				if err != nil {
					t.Fatal(err)
				}
				var answer struct{ SDP string }
				if err := json.Unmarshal(body, &answer); err != nil {
					t.Fatal(err)
				}
				user := attribute(t, answer.SDP, "ice-ufrag") + ":" + attribute(t, sdp, "ice-ufrag")
				for port := range ports {
					check, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(user),
						stun.NewShortTermIntegrity(attribute(t, answer.SDP, "ice-pwd")), stun.Fingerprint)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := listensAt(t, from, first+port).WriteTo(check.Raw, callee); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(peer.ConnectLimit / 2)
				mu.Lock()
				defer mu.Unlock()
				if len(reached) != most {
					t.Errorf("packets went to %d ports of another machine, want %d", len(reached), most)
				}
			})
		})
	}
}

func listensAt(t *testing.T, on *vnet.Net, port int) transport.UDPConn {
	t.Helper()
	c, err := on.ListenUDP("udp4", &net.UDPAddr{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // nothing is on its way
	return c
}

// mapped answers one request as a STUN server, and returns where it came from.
func mapped(t *testing.T, server net.PacketConn) *net.UDPAddr {
	t.Helper()
	b := make([]byte, 1500)
	n, from, err := server.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	at := from.(*net.UDPAddr)
	request := &stun.Message{Raw: b[:n]}
	if err := request.Decode(); err != nil {
		t.Fatal(err)
	}
	reply, err := stun.Build(stun.NewTransactionIDSetter(request.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: at.IP, Port: at.Port}, stun.Fingerprint)
	if err == nil {
		_, err = server.WriteTo(reply.Raw, from)
	}
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// attribute returns an attribute of an SDP.
func attribute(t *testing.T, sdp, name string) string {
	t.Helper()
	found := regexp.MustCompile("a=" + name + `:(\S+)`).FindStringSubmatch(sdp)
	if found == nil {
		t.Fatalf("the SDP has no %s:\n%s", name, sdp)
	}
	return found[1]
}
