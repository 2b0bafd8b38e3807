package pionnet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"
)

func TestPrivateAddresses(t *testing.T) {
	for _, c := range []struct {
		server, peer string
		may          bool
	}{
		{"203.0.113.9", "198.51.100.7", true},
		{"203.0.113.9", "10.1.2.3", false},
		{"203.0.113.9", "172.31.0.1", false},
		{"203.0.113.9", "172.32.0.1", true},
		{"203.0.113.9", "192.168.1.2", false},
		{"203.0.113.9", "100.64.1.2", false}, // between a provider and its customers
		{"203.0.113.9", "100.128.1.2", true},
		{"203.0.113.9", "169.254.3.4", false},
		{"203.0.113.9", "127.0.0.1", false},
		{"203.0.113.9", "::ffff:10.1.2.3", false},
		{"203.0.113.9", "fd00:1:2::3", false},
		{"203.0.113.9", "fe80::1", false},
		{"203.0.113.9", "::1", false},
		{"2001:db8::9", "2001:db8:1::7", true},
		{"2001:db8::9", "fd00:1:2::3", false},
		{"10.9.9.9", "10.1.2.3", true}, // a relay of the same network
		{"10.9.9.9", "192.168.1.2", false},
		{"::ffff:10.9.9.9", "10.1.2.3", true},
		{"fd00:1:2::9", "fd00:1:2:7::3", true},
		{"fd00:1:2::9", "fd00:1:3::3", false},
		{"fe80::9%eth0", "fe80::1%eth1", true},
		{"127.0.0.1", "192.168.1.2", true}, // on this machine
		{"::1", "fd00:1:2::3", true},
		{"", "10.1.2.3", false},
	} {
		server := netip.Addr{}
		if c.server != "" {
			server = netip.MustParseAddr(c.server)
		}
		if got := mayLearn(server, netip.MustParseAddr(c.peer)); got != c.may {
			t.Errorf("a TURN server at %s hears of %s: %v", c.server, c.peer, got)
		}
	}
}

// A client may be made to name any address to its TURN server. Over UDP, TCP and TLS, no
// message with a private one goes out, unless the server is in the same network.
func TestPrivateAddressesAreKept(t *testing.T) {
	const private, public = "10.99.0.1:9", "198.51.100.7:9"
	for _, over := range []string{"udp", "tcp", "tls"} {
		for _, near := range []bool{false, true} {
			s, outside := newListener(t), &Outside{}
			network := NewTURNNet(t.Context(), elsewhere{mustNet(t), near}, []webrtc.ICEServer{{
				URLs: []string{"turns:127.0.0.1:" + s.port("tls")}, Username: "user", Credential: "password",
			}}, outside, nil, nil)
			network.roots = s.roots
			address := net.JoinHostPort("127.0.0.1", s.port(over))
			conn, err := network.reach(over, address)
			if err != nil {
				t.Fatal(err)
			}
			client, err := turn.NewClient(&turn.ClientConfig{
				TURNServerAddr: net.JoinHostPort(elsewhere{near: near}.address().String(), s.port(over)), Conn: conn, Username: "user", Password: "password",
				LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := client.Listen(); err != nil {
				t.Fatal(err)
			}
			mine, err := client.Allocate()
			if err != nil {
				t.Fatalf("over %s: %v", over, err)
			}
			for _, peer := range []string{private, public} {
				at := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer))
				for range 3 { // then it would bind a channel
					_, err = mine.WriteTo([]byte("is this heard?"), at)
				}
				if told := peer == public || near; (err == nil) != told {
					t.Errorf("over %s, near: %v: writing to %s says %v", over, near, peer, err)
				}
				_ = client.CreatePermission(at) // once more, and the server's answer comes after the first
			}
			// An address at which the other side says that it is reached from outside its network.
			outside.Add(netip.MustParseAddr("192.168.7.7"))
			if _, err := mine.WriteTo([]byte("is this heard?"), &net.UDPAddr{IP: net.IPv4(192, 168, 7, 7), Port: 9}); err != nil {
				t.Errorf("over %s, near: %v: %v", over, near, err)
			}
			_ = client.CreatePermission(net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.168.7.7:9")))
			want := []string{"192.168.7.7", "198.51.100.7"}
			if near {
				want = []string{"10.99.0.1", "192.168.7.7", "198.51.100.7"}
			}
			if got := s.told(); !slices.Equal(got, want) {
				t.Errorf("over %s, near: %v: the server was told of %v, want %v", over, near, got, want)
			}
			_ = mine.Close()
			client.Close()
			_ = conn.Close() // the client may have
		}
	}
}

// reach connects to a TURN server as pion does.
func (n *TURNNet) reach(over, address string) (net.PacketConn, error) {
	if over == "udp" {
		return n.ListenPacket("udp4", "127.0.0.1:0")
	}
	c, err := n.Dial("tcp4", address)
	if err != nil {
		return nil, err
	}
	return turn.NewSTUNConn(c), nil
}

func mustNet(t *testing.T) transport.Net {
	t.Helper()
	n, err := stdnet.NewNet()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// elsewhere is a network on which the server at 127.0.0.1 has another address: one of the
// Internet, or, if near, a private one.
type elsewhere struct {
	transport.Net
	near bool
}

func (e elsewhere) address() net.IP {
	if e.near {
		return net.IPv4(10, 0, 0, 9)
	}
	return net.IPv4(203, 0, 113, 9)
}

func (e elsewhere) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := e.Net.ListenPacket(network, address)
	return elsewherePackets{c, e.address()}, err
}

func (e elsewhere) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	at, err := e.Net.ResolveTCPAddr(network, address)
	if err == nil {
		at.IP = e.address()
	}
	return at, err
}

func (e elsewhere) DialTCP(network string, local, remote *net.TCPAddr) (transport.TCPConn, error) {
	return e.Net.DialTCP(network, local, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: remote.Port})
}

// elsewherePackets sends to the server at its other address.
type elsewherePackets struct {
	net.PacketConn
	at net.IP
}

func (c elsewherePackets) WriteTo(b []byte, to net.Addr) (int, error) {
	return c.PacketConn.WriteTo(b, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.(*net.UDPAddr).Port}) //nolint:forcetypeassert // what pion says
}

func (c elsewherePackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(b)
	if from, ok := from.(*net.UDPAddr); ok {
		return n, &net.UDPAddr{IP: c.at, Port: from.Port}, err
	}
	return n, from, err
}

// A listener is a TURN server that records which addresses it learns.
type listener struct {
	udp       net.PacketConn
	tcp, tls  net.Listener
	roots     *x509.CertPool
	mu        sync.Mutex // guards what follows
	addresses []string
}

func newListener(t *testing.T) *listener {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS() // for its certificate, which is for 127.0.0.1
	t.Cleanup(certified.Close)
	s := &listener{roots: x509.NewCertPool()}
	s.roots.AddCert(certified.Certificate())
	var err error
	if s.udp, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.tcp, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.tls, err = tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	generator := &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	server, err := turn.NewServer(turn.ServerConfig{
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		AuthHandler: func(r *turn.RequestAttributes) (string, []byte, bool) {
			return r.Username, turn.GenerateAuthKey(r.Username, r.Realm, "password"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: s.udp, RelayAddressGenerator: generator, PermissionHandler: s.permit}},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: s.tcp, RelayAddressGenerator: generator, PermissionHandler: s.permit},
			{Listener: s.tls, RelayAddressGenerator: generator, PermissionHandler: s.permit},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *listener) permit(_ net.Addr, peer net.IP) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.addresses, peer.String()) {
		s.addresses = append(s.addresses, peer.String())
	}
	return true
}

func (s *listener) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.addresses))
}

func (s *listener) port(over string) string {
	var at net.Addr
	switch over {
	case "udp":
		at = s.udp.LocalAddr()
	case "tcp":
		at = s.tcp.Addr()
	default:
		at = s.tls.Addr()
	}
	_, port, _ := net.SplitHostPort(at.String())
	return port
}

// A TURN server that takes no TLS does not delay the end.
func TestDialingEnds(t *testing.T) {
	silent, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // it has said nothing
	ctx, cancel := context.WithCancel(t.Context())
	network := NewTURNNet(ctx, mustNet(t), []webrtc.ICEServer{{URLs: []string{"turns:" + silent.Addr().String()}}}, nil, nil, nil)
	ended := make(chan error, 1)
	go func() {
		_, err := network.Dial("tcp4", silent.Addr().String())
		ended <- err
	}()
	c, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	cancel()
	if err := <-ended; err == nil || time.Since(begun) > lookupLimit/2 {
		t.Errorf("it ended after %v with %v", time.Since(begun), err)
	}
	_ = c.Close()
}
