package survey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5/vnet"
	"go.uber.org/goleak"

	"p2pchat/signaling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a virtual network with this machine and a STUN server.
type world struct {
	prober
	server *server
}

// newWorld makes a world in a bubble of testing/synctest.
func newWorld(t *testing.T, s *server) *world {
	t.Helper()
	router, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: 5 * time.Millisecond, LoggerFactory: logging.NewDefaultLoggerFactory()})
	ok(t, err)
	near, far := addNet(t, router, "10.0.0.1"), addNet(t, router, "10.0.0.2", "10.0.0.3")
	ok(t, router.Start())
	t.Cleanup(func() { ok(t, router.Stop()) })
	s.serve(t, far)
	return &world{server: s, prober: prober{
		lookup:    noNames,
		listen:    func(family string) (net.PacketConn, error) { return near.ListenPacket(family, "10.0.0.1:0") },
		localAddr: func(netip.AddrPort) (netip.Addr, bool) { return netip.MustParseAddr("10.0.0.1"), true },
	}}
}

// noNames is a resolver that knows no name.
func noNames(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{a}, nil
}

func addNet(t *testing.T, router *vnet.Router, addresses ...string) *vnet.Net {
	t.Helper()
	n, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: addresses})
	ok(t, err)
	ok(t, router.AddNet(n))
	return n
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ice returns the STUN server's URL.
func (w *world) ice() signaling.ICEServer {
	return signaling.ICEServer{URLs: []string{"stun:10.0.0.2:3478"}}
}

// virtually runs a test in virtual time.
func virtually(t *testing.T, sentence string, test func(*testing.T)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { synctest.Test(t, test) })
}

// A server is a STUN server with two addresses and two ports at each (RFC 5780): sockets 0 and 1 are
// at the first address, 2 and 3 at the second; 0 and 2 have the first port.
type server struct {
	sockets  [4]net.PacketConn
	alone    bool                           // does not tell its other address
	seenPort func(socket int, port int) int // returns the mapped port of a client's port
	letsIn   func(socket, from int) bool    // reports whether a NAT lets the response in
	wg       sync.WaitGroup
}

// behindNAT returns a server that responds as if a NAT was in front of its clients.
func behindNAT(mapping, filtering Behaviour) *server {
	return &server{
		seenPort: func(socket, port int) int {
			switch mapping {
			case AddressDependent:
				return port/2 + socket/2
			case AddressAndPortDependent:
				return port/2 + socket
			default:
				return port / 2
			}
		},
		letsIn: func(asked, from int) bool {
			switch filtering {
			case AddressDependent:
				return asked/2 == from/2
			case AddressAndPortDependent:
				return asked == from
			default:
				return true
			}
		},
	}
}

func (s *server) serve(t *testing.T, n *vnet.Net) {
	t.Helper()
	for i := range s.sockets {
		c, err := n.ListenPacket("udp4", fmt.Sprintf("10.0.0.%d:%d", 2+i/2, 3478+i%2))
		ok(t, err)
		s.sockets[i] = c
		s.wg.Go(func() { s.respond(i) })
	}
	t.Cleanup(func() {
		for _, c := range s.sockets {
			_ = c.Close() // the responses were received
		}
		s.wg.Wait()
	})
}

func (s *server) respond(asked int) {
	b := make([]byte, 1500)
	for {
		n, from, err := s.sockets[asked].ReadFrom(b)
		if err != nil {
			return
		}
		m := &stun.Message{Raw: b[:n]}
		if m.Decode() != nil {
			continue
		}
		by := asked
		if wish, err := m.Get(stun.AttrChangeRequest); err == nil {
			if wish[3]&2 != 0 {
				by ^= 1
			}
			if wish[3]&4 != 0 {
				by ^= 2
			}
		}
		if !s.letsIn(asked, by) {
			continue
		}
		client := from.(*net.UDPAddr)
		setters := []stun.Setter{m, stun.BindingSuccess, &stun.XORMappedAddress{IP: client.IP, Port: s.seenPort(asked, client.Port)}}
		if !s.alone {
			other := s.sockets[asked^3].LocalAddr().(*net.UDPAddr)
			setters = append(setters, &stun.OtherAddress{IP: other.IP, Port: other.Port})
		}
		if reply, err := stun.Build(setters...); err == nil {
			_, _ = s.sockets[by].WriteTo(reply.Raw, from) // the client retransmits
		}
	}
}

func TestBehave(t *testing.T) {
	kinds := []Behaviour{EndpointIndependent, AddressDependent, AddressAndPortDependent}
	for _, mapping := range kinds {
		for _, filtering := range kinds {
			virtually(t, string(mapping)+" mapping and "+string(filtering)+" filtering are told apart", func(t *testing.T) {
				w := newWorld(t, behindNAT(mapping, filtering))
				n, err := w.behave(t.Context(), []signaling.ICEServer{w.ice()})
				if err != nil || n.Mapping != mapping || n.Filtering != filtering || n.None() {
					t.Errorf("it is %+v, %v", n, err)
				}
			})
		}
	}

	virtually(t, "no NAT is told from one", func(t *testing.T) {
		s := behindNAT(EndpointIndependent, EndpointIndependent)
		s.seenPort = func(_, port int) int { return port }
		w := newWorld(t, s)
		if n, err := w.behave(t.Context(), []signaling.ICEServer{w.ice()}); err != nil || !n.None() {
			t.Errorf("it is %+v, %v", n, err)
		}
	})

	virtually(t, "a server with one address cannot tell", func(t *testing.T) {
		s := behindNAT(EndpointIndependent, EndpointIndependent)
		s.alone = true
		w := newWorld(t, s)
		n, err := w.behave(t.Context(), []signaling.ICEServer{{URLs: []string{"nonsense", "stun:10.0.0.9:9"}}, w.ice()})
		if err != nil || n.Mapping != Unknown || n.Filtering != Unknown || !n.Mapped.IsValid() {
			t.Errorf("it is %+v, %v", n, err)
		}
	})

	for name, answers := range map[string]int{"once": 1, "at its first address": 2} {
		virtually(t, "a server that answers only "+name+" cannot tell", func(t *testing.T) {
			s := behindNAT(AddressAndPortDependent, EndpointIndependent)
			var count atomic.Int32
			s.letsIn = func(asked, from int) bool { return asked/2 == 0 && from/2 == 0 && (answers == 2 || count.Add(1) == 1) }
			w := newWorld(t, s)
			n, err := w.behave(t.Context(), []signaling.ICEServer{w.ice()})
			lets := Unknown
			if answers == 2 {
				lets = AddressDependent
			}
			if err != nil || n.Mapping != Unknown || n.Filtering != lets || !n.Mapped.IsValid() {
				t.Errorf("it is %+v, %v", n, err)
			}
		})
	}

	t.Run("without a server there is nothing to tell", func(t *testing.T) {
		if _, err := Behave(t.Context(), []signaling.ICEServer{{URLs: []string{"stuns:127.0.0.1:9"}}}); !errors.Is(err, ErrNoServer) {
			t.Error(err)
		}
	})

	virtually(t, "it ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		silent := behindNAT(EndpointIndependent, EndpointIndependent)
		silent.letsIn = func(int, int) bool { cancel(); return false }
		w := newWorld(t, silent)
		if _, err := w.behave(ctx, []signaling.ICEServer{w.ice()}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestProbe(t *testing.T) {
	t.Run("what cannot work is reported", func(t *testing.T) {
		for text, want := range map[string]string{
			"nonsense":                           "",
			"stuns:127.0.0.1:9":                  "not supported",
			"turns:127.0.0.1:9?transport=udp":    "not supported",
			"turn:127.0.0.1:9?transport=tcp":     "refused",
			"stun:unknown.invalid:3478":          "",
			"turn:unknown.invalid?transport=udp": "",
		} {
			list := Probe(t.Context(), []signaling.ICEServer{{URLs: []string{text}, Username: "u", Credential: "p"}}, nil)
			if len(list) != 1 || list[0].Err == nil || !strings.Contains(list[0].Err.Error(), want) {
				t.Errorf("%s: %v", text, list)
			}
		}
	})

	virtually(t, "a STUN server returns the address that it sees", func(t *testing.T) {
		w := newWorld(t, behindNAT(EndpointIndependent, EndpointIndependent))
		list := w.probe(t.Context(), []signaling.ICEServer{w.ice()})
		if len(list) != 1 || list[0].Err != nil || list[0].Over != "udp" || list[0].TURN || list[0].Address.Addr() != netip.MustParseAddr("10.0.0.1") || list[0].RTT <= 0 {
			t.Errorf("it says %+v", list)
		}
	})

	virtually(t, "a silent server does not take long", func(t *testing.T) {
		s := behindNAT(EndpointIndependent, EndpointIndependent)
		s.letsIn = func(int, int) bool { return false }
		w := newWorld(t, s)
		list := w.probe(t.Context(), []signaling.ICEServer{w.ice()})
		if len(list) != 1 || !errors.Is(list[0].Err, ErrSilent) || list[0].RTT > limit {
			t.Errorf("it says %+v", list)
		}
	})
}
