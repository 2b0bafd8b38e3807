package survey

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"
	"github.com/pion/turn/v5"

	"p2pchat/signaling"
)

// A relay's place in the virtual network, and outside of this machine's NAT.
const (
	relayHost = "10.0.0.2"
	natHost   = "10.0.0.9"
)

// relayTo returns the configuration of a TURN server, which lets in the user "u" with the password "p".
func relayTo() turn.ServerConfig {
	return turn.ServerConfig{
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) {
			return a.Username, turn.GenerateAuthKey(a.Username, a.Realm, "p"), a.Username == "u"
		},
	}
}

// behindRealNAT returns a prober on a machine whose NAT behaves as vnet makes it, and a STUN server with one address, which is a TURN server, too. The server
// does not relay to addresses that may not be reached.
func behindRealNAT(t *testing.T, nat vnet.NATType, mayReach func(net.IP) bool) (prober, signaling.ICEServer) {
	t.Helper()
	quiet := &logging.DefaultLoggerFactory{Writer: io.Discard}
	internet, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", MinDelay: 5 * time.Millisecond, LoggerFactory: quiet})
	ok(t, err)
	far := addNet(t, internet, relayHost)
	home, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "192.168.0.0/24", StaticIPs: []string{natHost}, NATType: &nat, LoggerFactory: quiet})
	ok(t, err)
	ok(t, internet.AddRouter(home))
	near := addNet(t, home, "192.168.0.5")
	ok(t, internet.Start())
	t.Cleanup(func() { ok(t, internet.Stop()) })
	conn, err := far.ListenPacket("udp4", relayHost+":3478")
	ok(t, err)
	config := relayTo()
	config.PacketConnConfigs = []turn.PacketConnConfig{{
		PacketConn: conn, PermissionHandler: func(_ net.Addr, ip net.IP) bool { return mayReach(ip) },
		RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(relayHost), Address: relayHost, Net: far},
	}}
	server, err := turn.NewServer(config)
	ok(t, err)
	t.Cleanup(func() { ok(t, server.Close()) })
	return prober{
		lookup:    noNames,
		listen:    func(family string) (net.PacketConn, error) { return near.ListenPacket(family, "192.168.0.5:0") },
		localAddr: func(netip.AddrPort) (netip.Addr, bool) { return netip.MustParseAddr("192.168.0.5"), true },
	}, signaling.ICEServer{URLs: []string{"stun:" + relayHost + ":3478", "turn:" + relayHost + ":3478"}, Username: "u", Credential: "p"}
}

func anywhere(net.IP) bool { return true }

func TestBehaveWithRelay(t *testing.T) {
	for _, c := range []struct {
		sentence           string
		mapping, filtering vnet.EndpointDependencyType
		wants, lets        Behaviour
	}{
		{"a NAT that no port matters to", vnet.EndpointIndependent, vnet.EndpointIndependent, PortIndependent, PortIndependent},
		{"a NAT that lets in the addresses that were sent to", vnet.EndpointIndependent, vnet.EndpointAddrDependent, PortIndependent, PortIndependent},
		{"a NAT that lets in the ports that were sent to", vnet.EndpointIndependent, vnet.EndpointAddrPortDependent, PortIndependent, AddressAndPortDependent},
		{"a NAT that maps for each address", vnet.EndpointAddrDependent, vnet.EndpointAddrDependent, PortIndependent, PortIndependent},
		{"a NAT that maps for each port", vnet.EndpointAddrPortDependent, vnet.EndpointAddrPortDependent, AddressAndPortDependent, AddressAndPortDependent},
	} {
		virtually(t, c.sentence+" is told by a relay", func(t *testing.T) {
			p, server := behindRealNAT(t, vnet.NATType{MappingBehavior: c.mapping, FilteringBehavior: c.filtering}, anywhere)
			n, err := p.behave(t.Context(), []signaling.ICEServer{server})
			if err != nil || n.Mapping != c.wants || n.Filtering != c.lets || n.Mapped.Addr() != netip.MustParseAddr(natHost) || n.None() {
				t.Errorf("it is %+v, %v", n, err)
			}
		})
	}

	virtually(t, "a relay that lets no one in, or sends nothing back, cannot tell", func(t *testing.T) {
		p, server := behindRealNAT(t, vnet.NATType{}, func(ip net.IP) bool { return !ip.Equal(net.ParseIP(natHost)) })
		stranger := server
		stranger.Username, stranger.URLs = "v", server.URLs[1:]
		elsewhere := signaling.ICEServer{URLs: []string{"nonsense", "stun:" + relayHost + ":3478"}}
		n, err := p.behave(t.Context(), []signaling.ICEServer{elsewhere, stranger, server})
		if err != nil || n.Mapping != Unknown || n.Filtering != Unknown || n.Mapped.Addr() != netip.MustParseAddr(natHost) {
			t.Errorf("it is %+v, %v", n, err)
		}
	})

	virtually(t, "it ends with its context before it asks a relay", func(t *testing.T) {
		p, server := behindRealNAT(t, vnet.NATType{}, anywhere)
		ctx, cancel := context.WithCancel(t.Context())
		var sockets atomic.Int32
		listen := p.listen
		p.listen = func(family string) (net.PacketConn, error) {
			if sockets.Add(1) > 1 { // it is for the allocation
				defer cancel()
			}
			return listen(family)
		}
		if n, err := p.behave(ctx, []signaling.ICEServer{server}); err != nil || n.Mapping != Unknown {
			t.Errorf("it is %+v, %v", n, err)
		}
	})

	virtually(t, "a machine without sockets says so", func(t *testing.T) {
		p, server := behindRealNAT(t, vnet.NATType{}, anywhere)
		none := errors.New("no sockets")
		p.listen = func(string) (net.PacketConn, error) { return nil, none }
		if _, err := p.behave(t.Context(), []signaling.ICEServer{server}); !errors.Is(err, none) {
			t.Error(err)
		}
		for _, r := range p.probe(t.Context(), []signaling.ICEServer{server}) {
			if !errors.Is(r.Err, none) {
				t.Errorf("%+v", r)
			}
		}
	})

	virtually(t, "a server whose name leads nowhere is told of, and the next one is asked", func(t *testing.T) {
		p, server := behindRealNAT(t, vnet.NATType{}, anywhere)
		unknown := signaling.ICEServer{URLs: []string{"stun:unknown.invalid:3478", "turn:unknown.invalid:3478"}, Username: "u", Credential: "p"}
		missing := func(err error) bool {
			var dns *net.DNSError
			return errors.As(err, &dns) && dns.IsNotFound
		}
		if n, err := p.behave(t.Context(), []signaling.ICEServer{unknown}); !missing(err) || n.Mapped.IsValid() {
			t.Errorf("it is %+v, %v", n, err)
		}
		if n, err := p.behave(t.Context(), []signaling.ICEServer{unknown, server}); err != nil || !n.Mapped.IsValid() {
			t.Errorf("with another server, it is %+v, %v", n, err)
		}
		for _, r := range p.probe(t.Context(), []signaling.ICEServer{unknown}) {
			if !missing(r.Err) || r.Address.IsValid() {
				t.Errorf("%+v", r)
			}
		}
	})
}

// onLoopback starts a TURN server at a UDP port, a TCP port and a port with TLS of this machine.
func onLoopback(t *testing.T) (udp, tcp, secure string) {
	t.Helper()
	var listen net.ListenConfig
	packets, err := listen.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	ok(t, err)
	plain, err := listen.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	ok(t, err)
	under, err := listen.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	ok(t, err)
	web := httptest.NewUnstartedServer(nil) // it has a certificate, of no authority
	web.StartTLS()
	certificates := web.TLS.Certificates
	web.Close()
	here := &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	config := relayTo()
	config.PacketConnConfigs = []turn.PacketConnConfig{{PacketConn: packets, RelayAddressGenerator: here, PermissionHandler: func(net.Addr, net.IP) bool { return true }}}
	config.ListenerConfigs = []turn.ListenerConfig{
		{Listener: plain, RelayAddressGenerator: here},
		{Listener: tls.NewListener(under, &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12}), RelayAddressGenerator: here},
	}
	server, err := turn.NewServer(config)
	ok(t, err)
	t.Cleanup(func() { ok(t, server.Close()) })
	return packets.LocalAddr().String(), plain.Addr().String(), under.Addr().String()
}

func TestProbeRelays(t *testing.T) {
	udp, tcp, secure := onLoopback(t)
	servers := []signaling.ICEServer{
		{URLs: []string{"turn:" + udp, "turn:" + tcp + "?transport=tcp", "turns:" + secure}, Username: "u", Credential: "p"},
		{URLs: []string{"turn:" + udp, "turn:" + tcp + "?transport=tcp"}, Username: "u", Credential: "wrong"},
		{URLs: []string{"turn:127.0.0.1:9?transport=tcp"}, Username: "u", Credential: "p"},
		{URLs: []string{"stun:" + udp}},
	}
	var mu sync.Mutex
	var through []string
	proxy := func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		through = append(through, address)
		mu.Unlock()
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	for name, by := range map[string]signaling.Dial{"directly": nil, "through a proxy": proxy} {
		t.Run(name, func(t *testing.T) {
			list := Probe(t.Context(), servers, by)
			for i, want := range []struct{ over, fault string }{
				{"udp", ""}, {"tcp", ""}, {"tls", "certificate"}, {"udp", "401"}, {"tcp", "401"}, {"tcp", "refused"}, {"udp", ""},
			} {
				r := list[i]
				works := r.Err == nil && r.Address.Addr() == netip.MustParseAddr("127.0.0.1") && r.RTT > 0
				if r.Over != want.over || r.TURN != (i < 6) || works != (want.fault == "") || !works && (r.Err == nil || !strings.Contains(r.Err.Error(), want.fault)) {
					t.Errorf("%d: %+v", i, r)
				}
			}
		})
	}
	if len(through) != 4 {
		t.Errorf("the proxy connected to %q", through)
	}
}

// This machine needs no relay to see that there is no NAT before itself; with one, it sees how it would behave.
func TestBehaveHere(t *testing.T) {
	udp, _, _ := onLoopback(t)
	n, err := Behave(t.Context(), []signaling.ICEServer{{URLs: []string{"stun:" + udp, "turn:" + udp}, Username: "u", Credential: "p"}})
	if err != nil || !n.None() || n.Mapping != PortIndependent || n.Filtering != PortIndependent {
		t.Errorf("it is %+v, %v", n, err)
	}
}
