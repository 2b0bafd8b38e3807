package peer_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"github.com/pion/turn/v5"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// The kinds of NAT by what they map and what they let in (RFC 4787).
var nats = []struct {
	name string
	kind vnet.NATType
}{
	{"a full cone", vnet.NATType{MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointIndependent}},
	{"an address-restricted cone", vnet.NATType{MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointAddrDependent}},
	{"a port-restricted cone", vnet.NATType{MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointAddrPortDependent}},
	{"a symmetric NAT", vnet.NATType{MappingBehavior: vnet.EndpointAddrPortDependent, FilteringBehavior: vnet.EndpointAddrPortDependent}},
}

// The harder two of the kinds, and then those that only a relay can join.
const portRestricted, symmetric = 2, 3

func relayNeeded(a, b int) bool {
	return a == symmetric && b >= portRestricted || b == symmetric && a >= portRestricted
}

// behind returns a machine behind a NAT of its own.
func behind(t *testing.T, wan *vnet.Router, kind vnet.NATType, outside string, inside int) *vnet.Net {
	t.Helper()
	lan, err := newRouter(&vnet.RouterConfig{
		CIDR: fmt.Sprintf("192.168.%d.0/24", inside), StaticIPs: []string{outside}, NATType: &kind, LoggerFactory: logging.NewDefaultLoggerFactory(),
	})
	if err != nil {
		t.Fatal(err)
	}
	n := machine(t, lan, fmt.Sprintf("192.168.%d.2", inside))
	if err := wan.AddRouter(lan); err != nil {
		t.Fatal(err)
	}
	return n
}

// A natted network has each machine behind a NAT of its own, and a relay beside them.
type natted struct {
	network
	turn signaling.ICEServer
}

func newNATs(t *testing.T, a, b int, delay time.Duration) *natted {
	t.Helper()
	n, third, conn := behindNATs(t, a, b, delay)
	n.turn = relaying(t, conn, &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(thirdHost), Address: thirdHost, Net: third})
	return n
}

const thirdHost = "203.0.113.3"

// behindNATs returns that network without a relay, the machine beside the NATs, and a socket there for one.
func behindNATs(t *testing.T, a, b int, delay time.Duration) (*natted, *vnet.Net, net.PacketConn) {
	t.Helper()
	wan, err := newRouter(&vnet.RouterConfig{CIDR: "203.0.113.0/24", MinDelay: delay, LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	n := &natted{network: network{router: wan}}
	n.caller, n.callee = behind(t, wan, nats[a].kind, "203.0.113.1", 1), behind(t, wan, nats[b].kind, "203.0.113.2", 2)
	third := machine(t, wan, thirdHost)
	wan.AddChunkFilter(func(vnet.Chunk) bool { return !n.cut.Load() })
	if err := wan.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := wan.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := third.ListenPacket("udp4", thirdHost+":3478")
	if err != nil {
		t.Fatal(err)
	}
	return n, third, conn
}

// stun returns the relay as a STUN server.
func (n *natted) stun(t *testing.T) signaling.ICEServer {
	t.Helper()
	return signaling.ICEServer{URLs: []string{strings.Replace(n.turn.URLs[0], "turn:", "stun:", 1)}}
}

// Each kind of NAT against each: the two connect, and by the best path that there is, whether they wait for nominations
// or not.
func TestNATs(t *testing.T) {
	t.Parallel()
	t.Run("first checks", func(t *testing.T) { natsWith(t, quiet(), 5*time.Millisecond, 0) })
	if testing.Short() {
		return // the long form shows the other two
	}
	t.Run("nominations", func(t *testing.T) { natsWith(t, quiet().Patient(), 5*time.Millisecond, 0) })
	// The answer takes the callee's public address along, and checks by way of a relay come before the caller's candidates.
	t.Run("first checks, and a server that is far", func(t *testing.T) { natsWith(t, quiet(), time.Millisecond, 100*time.Millisecond) })
}

// natsWith connects two machines, with a delay between them, at a Store that is a round trip away.
func natsWith(t *testing.T, config peer.Config, delay, rtt time.Duration) {
	t.Helper()
	for a := range nats {
		for b := range nats {
			if testing.Short() && a > b {
				continue
			}
			for _, relay := range []bool{true, false} {
				name := fmt.Sprintf("%s and %s, with a relay: %v", nats[a].name, nats[b].name, relay)
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := newNATs(t, a, b, delay)
						config := config
						config.ICEServers = []signaling.ICEServer{n.stun(t)}
						if relay {
							config.ICEServers = append(config.ICEServers, n.turn)
						}
						store := distant{memstore.New(memstore.Limits{}), rtt}
						from := n.calls(t, store, right, config)
						synctest.Wait()
						begun := time.Now()
						to := n.answers(t, store, right, config)
						if !relay && relayNeeded(a, b) {
							_ = fails(t, from, peer.ErrNoPath)
							return
						}
						caller, callee := both(t, from, to)
						took := time.Since(begun)
						talk(t, caller, callee)
						for _, p := range []*peer.Pipe{caller, callee} {
							if relayed := p.Path == "relay"; relayed != relayNeeded(a, b) || p.Path == "host" {
								t.Errorf("the path is %s", p.Path)
							}
						}
						if took > 600*time.Millisecond+4*rtt {
							t.Errorf("it took %v", took)
						}
						for _, ends := range [][2]*peer.Pipe{{caller, callee}, {callee, caller}} {
							ends[1].Expect(true)
							c, err := ends[0].OpenApart(soon(t))
							if opened := err == nil; opened == relayNeeded(a, b) {
								t.Errorf("there is a connection beside it: %v (%v)", opened, err)
							}
							if err == nil {
								c.Close()
							}
						}
					})
				})
			}
		}
	}
}
