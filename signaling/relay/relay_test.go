package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
	"go.uber.org/goleak"

	"p2pchat/signaling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

// serving runs a relay on loopback, over UDP, TCP and TLS.
func serving(t *testing.T, config Config) *Relay {
	t.Helper()
	return servingGuests(t, config, nil)
}

// servingGuests runs a relay that calls accepted for its guests.
func servingGuests(t *testing.T, config Config, accepted func(context.Context, signaling.Ticket) bool) *Relay {
	t.Helper()
	if config.Addresses == nil {
		config.Addresses = []netip.Addr{loopback}
	}
	config.Log = slog.New(slog.DiscardHandler)
	r, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	on := Listeners{Accepted: accepted, TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}}
	for _, a := range config.Addresses {
		udp, tcp := onePort(t, a)
		on.UDP, on.TCP = append(on.UDP, udp), append(on.TCP, tcp)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	ready := make(chan struct{})
	on.Ready = func() { close(ready) }
	go func() { ended <- r.Serve(ctx, on) }()
	<-ready
	t.Cleanup(func() {
		eventually(t, "all allocations end", func() bool { return r.Stats().Allocations == 0 })
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// onePort listens for UDP and TCP on a port that is free for both.
func onePort(t *testing.T, a netip.Addr) (net.PacketConn, net.Listener) {
	t.Helper()
	for tries := 0; ; tries++ {
		udp, err := net.ListenPacket("udp", netip.AddrPortFrom(a, 0).String())
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		_ = udp.Close() // it is not used
		if tries == 20 {
			t.Fatal(err)
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it did not happen within 10 s: ", what)
		}
	}
}

// client returns a TURN client of the relay in the list, over udp, tcp or tls.
func client(t *testing.T, servers []signaling.ICEServer, over string) *turn.Client {
	t.Helper()
	relay := servers[len(servers)-1]
	var address string
	for _, u := range relay.URLs {
		scheme, rest, _ := strings.Cut(u, ":")
		at, transport, _ := strings.Cut(rest, "?transport=")
		if scheme == "turns" {
			transport = "tls"
		}
		if transport == over {
			address = at
		}
	}
	var conn net.PacketConn
	var c net.Conn
	var err error
	switch over {
	case "tcp":
		c, err = net.Dial("tcp", address)
	case "tls":
		c, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test has made it
	default:
		conn, err = net.ListenPacket("udp", net.JoinHostPort(strings.Trim(address[:strings.LastIndex(address, ":")], "[]"), "0"))
	}
	if over != "udp" && err == nil {
		conn = turn.NewSTUNConn(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	family := turn.RequestedAddressFamilyIPv4
	if strings.HasPrefix(address, "[") {
		family = turn.RequestedAddressFamilyIPv6
	}
	user, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: address, TURNServerAddr: address, Conn: conn, RequestedAddressFamily: family,
		Username: relay.Username, Password: relay.Credential, LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
	})
	if err == nil {
		err = user.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		user.Close()
		_ = conn.Close() // it may be closed
	})
	return user
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func allocate(t *testing.T, c *turn.Client) net.PacketConn {
	t.Helper()
	conn, err := c.Allocate()
	if err != nil {
		t.Fatal("no allocation: ", err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed
	return conn
}

// receives reads the next packet.
func receives(t *testing.T, conn net.PacketConn, within time.Duration) (string, bool) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, _, err := conn.ReadFrom(b)
	return string(b[:n]), err == nil
}

func TestRelaying(t *testing.T) {
	for _, over := range []string{"udp", "tcp", "tls", "udp and IPv6", "tcp and IPv6"} {
		t.Run("two clients reach each other over "+over, func(t *testing.T) {
			var config Config
			over, _, isIPv6 := strings.Cut(over, " and ")
			if isIPv6 {
				config.Addresses = []netip.Addr{netip.IPv6Loopback()}
			}
			r := serving(t, config)
			a, b := allocate(t, client(t, r.Credentials("a", nil), over)), allocate(t, client(t, r.Credentials("b", nil), over))
			if r.Stats().Allocations != 2 {
				t.Errorf("%d allocations", r.Stats().Allocations)
			}
			// Permissions (RFC 8656, section 9) in both directions.
			if _, err := b.WriteTo([]byte("hello?"), a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, err := a.WriteTo([]byte("hello"), b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if got, ok := receives(t, b, 10*time.Second); got != "hello" || !ok {
				t.Errorf("it received %q", got)
			}
			if _, err := b.WriteTo([]byte("yes, I can"), a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			for got, ok := receives(t, a, 10*time.Second); got != "yes, I can"; got, ok = receives(t, a, 10*time.Second) {
				if !ok {
					t.Fatalf("it received %q", got)
				}
			}
			if s := r.Stats(); s.Made != 2 || s.Sent < uint64(len("hello")) || s.Received < uint64(len("hello")) || s.Dropped > 0 {
				t.Errorf("it has counted %+v", s)
			}
		})
	}

	t.Run("a relay with addresses of both families has URLs for both", func(t *testing.T) {
		r := serving(t, Config{Addresses: []netip.Addr{loopback, netip.IPv6Loopback()}, Name: "relay.example"})
		list := r.Credentials("a", nil)
		var hosts []string
		for _, u := range append(list[0].URLs, list[1].URLs...) {
			hosts = append(hosts, regexp.MustCompile(`:\d+(\?|$)`).ReplaceAllString(u, "$1"))
		}
		want := "stun:127.0.0.1 stun:[::1] turn:127.0.0.1?transport=udp turn:[::1]?transport=udp turn:127.0.0.1?transport=tcp turn:[::1]?transport=tcp turns:relay.example?transport=tcp"
		if got := strings.Join(hosts, " "); got != want {
			t.Errorf("it is at %s\nwant     %s", got, want)
		}
	})

	t.Run("the URLs have the relay's name if it resolves", func(t *testing.T) {
		r := serving(t, Config{Name: "localhost", Named: true})
		list := r.Credentials("a", nil)
		for _, u := range append(list[0].URLs, list[1].URLs...) {
			if !regexp.MustCompile(`^(stun|turns?):localhost:`).MatchString(u) {
				t.Errorf("it is at %s", u)
			}
		}
		c := client(t, list, "udp")
		if address, err := c.SendBindingRequest(); err != nil {
			t.Errorf("it is %v, %v", address, err)
		}
	})

	t.Run("a client without credentials gets its address", func(t *testing.T) {
		r := serving(t, Config{})
		c := client(t, r.Credentials("a", nil), "udp")
		address, err := c.SendBindingRequest()
		if err != nil || !strings.HasPrefix(address.String(), "127.0.0.1:") {
			t.Errorf("it is %v, %v", address, err)
		}
	})
}

func TestNew(t *testing.T) {
	for name, bad := range map[string]Config{
		"without an address":    {},
		"of any address":        {Addresses: []netip.Addr{netip.IPv4Unspecified()}},
		"of a group of them":    {Addresses: []netip.Addr{netip.MustParseAddr("224.0.0.1")}},
		"with ports backwards":  {Addresses: []netip.Addr{loopback}, FirstPort: 2, LastPort: 1},
		"with the last but one": {Addresses: []netip.Addr{loopback}, LastPort: 1},
	} {
		if _, err := New(bad); err == nil {
			t.Errorf("a relay %s is one", name)
		}
	}
}
