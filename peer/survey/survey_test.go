package survey

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"go.uber.org/goleak"

	"p2pchat/signaling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server is one of RFC 5780, with two addresses and two ports of each: sockets 0 and 1
// are at the first address, 2 and 3 at the other, 0 and 2 on the first port.
type server struct {
	sockets [4]*net.UDPConn
	alone   bool                           // it does not tell of the other address
	seen    func(socket int, port int) int // the port as which it sees the client's
	lets    func(socket, from int) bool    // whether a NAT lets its answer in
	wg      sync.WaitGroup
}

// isNAT makes a server look as if a NAT was in front of its clients.
func isNAT(mapping, filtering Behaviour) *server {
	return &server{
		seen: func(socket, port int) int {
			switch mapping {
			case AddressDependent:
				return port/2 + socket/2
			case AddressAndPortDependent:
				return port/2 + socket
			default:
				return port / 2
			}
		},
		lets: func(asked, from int) bool {
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

func (s *server) serve(t *testing.T) signaling.ICEServer {
	t.Helper()
	ports := [2]int{}
	for i := range s.sockets {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, byte(1+i/2)), Port: ports[i%2]})
		if err != nil {
			t.Skip("this machine has no second loopback address: ", err)
		}
		s.sockets[i] = c
		ports[i%2] = c.LocalAddr().(*net.UDPAddr).Port
		t.Cleanup(func() { _ = c.Close() }) // nothing is on its way
	}
	t.Cleanup(func() {
		for _, c := range s.sockets {
			_ = c.Close() // nothing is on its way
		}
		s.wg.Wait()
	})
	for i := range s.sockets {
		s.wg.Go(func() { s.answer(i) })
	}
	return signaling.ICEServer{URLs: []string{"stun:" + s.sockets[0].LocalAddr().String()}}
}

func (s *server) answer(asked int) {
	b := make([]byte, 1500)
	for {
		n, from, err := s.sockets[asked].ReadFromUDP(b)
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
		if !s.lets(asked, by) {
			continue
		}
		setters := []stun.Setter{m, stun.BindingSuccess, &stun.XORMappedAddress{IP: from.IP, Port: s.seen(asked, from.Port)}}
		if !s.alone {
			other := s.sockets[asked^3].LocalAddr().(*net.UDPAddr)
			setters = append(setters, &stun.OtherAddress{IP: other.IP, Port: other.Port})
		}
		if reply, err := stun.Build(setters...); err == nil {
			_, _ = s.sockets[by].WriteToUDP(reply.Raw, from) // a lost answer is asked for again
		}
	}
}

func TestBehave(t *testing.T) {
	kinds := []Behaviour{EndpointIndependent, AddressDependent, AddressAndPortDependent}
	for _, mapping := range kinds {
		for _, filtering := range kinds {
			t.Run(string(mapping)+" mapping and "+string(filtering)+" filtering are told apart", func(t *testing.T) {
				t.Parallel()
				n, err := Behave(t.Context(), []signaling.ICEServer{isNAT(mapping, filtering).serve(t)})
				if err != nil || n.Mapping != mapping || n.Filtering != filtering || n.None() {
					t.Errorf("it is %+v, %v", n, err)
				}
			})
		}
	}

	t.Run("no NAT is told from one", func(t *testing.T) {
		s := isNAT(EndpointIndependent, EndpointIndependent)
		s.seen = func(_, port int) int { return port }
		if n, err := Behave(t.Context(), []signaling.ICEServer{s.serve(t)}); err != nil || !n.None() {
			t.Errorf("it is %+v, %v", n, err)
		}
	})

	t.Run("a server with one address cannot tell", func(t *testing.T) {
		s := isNAT(EndpointIndependent, EndpointIndependent)
		s.alone = true
		n, err := Behave(t.Context(), []signaling.ICEServer{{URLs: []string{"nonsense", "stun:127.0.0.1:9"}}, s.serve(t)})
		if err != nil || n.Mapping != Unknown || n.Filtering != Unknown || !n.Mapped.IsValid() {
			t.Errorf("it is %+v, %v", n, err)
		}
	})

	t.Run("without a server there is nothing to tell", func(t *testing.T) {
		if _, err := Behave(t.Context(), []signaling.ICEServer{{URLs: []string{"stuns:127.0.0.1:9"}}}); !errors.Is(err, ErrNoServer) {
			t.Error(err)
		}
	})

	t.Run("it ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		silent := isNAT(EndpointIndependent, EndpointIndependent)
		silent.lets = func(int, int) bool { cancel(); return false }
		if _, err := Behave(ctx, []signaling.ICEServer{silent.serve(t)}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestProbe(t *testing.T) {
	t.Run("what cannot work is said", func(t *testing.T) {
		for text, want := range map[string]string{
			"nonsense":                          "",
			"stuns:127.0.0.1:9":                 "not supported",
			"turns:127.0.0.1:9?transport=udp":   "not supported",
			"turn:127.0.0.1:9?transport=tcp":    "refused",
			"stun:nobody.invalid:3478":          "",
			"turn:nobody.invalid?transport=udp": "",
		} {
			list := Probe(t.Context(), []signaling.ICEServer{{URLs: []string{text}, Username: "u", Credential: "p"}})
			if len(list) != 1 || list[0].Err == nil || !strings.Contains(list[0].Err.Error(), want) {
				t.Errorf("%s: %v", text, list)
			}
		}
	})

	t.Run("a STUN server says who one is", func(t *testing.T) {
		s := isNAT(EndpointIndependent, EndpointIndependent)
		list := Probe(t.Context(), []signaling.ICEServer{s.serve(t)})
		if len(list) != 1 || list[0].Err != nil || list[0].Over != "udp" || list[0].TURN || list[0].Address.Addr() != netip.MustParseAddr("127.0.0.1") || list[0].RTT <= 0 {
			t.Errorf("it says %+v", list)
		}
	})

	t.Run("silence does not take long", func(t *testing.T) {
		s := isNAT(EndpointIndependent, EndpointIndependent)
		s.lets = func(int, int) bool { return false }
		list := Probe(t.Context(), []signaling.ICEServer{s.serve(t)})
		if len(list) != 1 || !errors.Is(list[0].Err, ErrSilent) || list[0].RTT > limit+time.Second {
			t.Errorf("it says %+v", list)
		}
	})
}
