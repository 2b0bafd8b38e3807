package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
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

func TestStrangers(t *testing.T) {
	for name, forge := range map[string]func(*Relay) []signaling.ICEServer{
		"without credentials": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Username, s[1].Credential = "", ""
			return s
		},
		"with a password of their own": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Credential = "password"
			return s
		},
		"with a time of their own": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Username = "9" + s[1].Username
			return s
		},
		"with a name without a time": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Username, s[1].Credential = "name", r.password("name")
			return s
		},
		"with another relay's": func(r *Relay) []signaling.ICEServer {
			other, err := New(Config{Addresses: []netip.Addr{loopback}})
			if err != nil {
				return nil
			}
			other.stun, other.turn = r.stun, r.turn
			return other.Credentials("a", nil)
		},
	} {
		t.Run(name+" get nothing", func(t *testing.T) {
			r := serving(t, Config{})
			if conn, err := client(t, forge(r), "udp").Allocate(); err == nil {
				t.Error("they are relayed at ", conn.LocalAddr())
			}
			if r.Stats().Allocations > 0 {
				t.Error("there is an allocation")
			}
		})
	}

	t.Run("with expired credentials get nothing, but keep their allocations", func(t *testing.T) {
		r := serving(t, Config{Quota: Quota{Lifetime: time.Nanosecond}})
		if _, err := client(t, r.Credentials("a", nil), "udp").Allocate(); err == nil {
			t.Error("they are relayed")
		}
		for age, keeps := range map[time.Duration]bool{time.Minute: true, maxOverrun - time.Minute: true, maxOverrun + time.Minute: false} {
			name := strconv.FormatInt(time.Now().Add(-age).Unix(), 10) + ":a"
			for _, method := range []stun.Method{stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission} {
				want := keeps && method != stun.MethodAllocate
				if _, _, ok := r.authenticate(&turn.RequestAttributes{Username: name, Realm: realm, Method: method}); ok != want {
					t.Errorf("%v after, %v: %v", age, method, ok)
				}
			}
		}
	})
}

func TestQuota(t *testing.T) {
	t.Run("of a user", func(t *testing.T) {
		r := serving(t, Config{Quota: Quota{User: 2}})
		allocate(t, client(t, r.Credentials("a", nil), "udp"))
		allocate(t, client(t, r.Credentials("a", nil), "tcp"))
		if _, err := client(t, r.Credentials("a", nil), "udp").Allocate(); err == nil {
			t.Error("there is a third allocation")
		}
		allocate(t, client(t, r.Credentials("b", nil), "udp"))
	})

	t.Run("of a user who asks for many at once", func(t *testing.T) {
		const most, asked = 3, 12
		r := serving(t, Config{Quota: Quota{User: most}})
		servers := r.Credentials("a", nil)
		var wg sync.WaitGroup
		var got atomic.Int32
		for range asked {
			c := client(t, servers, "udp")
			wg.Go(func() {
				if conn, err := c.Allocate(); err == nil {
					got.Add(1)
					t.Cleanup(func() { _ = conn.Close() }) // it may be closed
				}
			})
		}
		wg.Wait()
		if s := r.Stats(); got.Load() != most || s.Made != most || s.Refused[RefusedQuota] != asked-most {
			t.Errorf("%d got one; it has counted %+v", got.Load(), s)
		}
	})

	t.Run("of all users, and an allocation that has ended does not count", func(t *testing.T) {
		r := serving(t, Config{Quota: Quota{All: 1}})
		first := allocate(t, client(t, r.Credentials("a", nil), "udp"))
		if _, err := client(t, r.Credentials("b", nil), "udp").Allocate(); err == nil {
			t.Error("there is a second allocation")
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the allocation ends", func() bool { return r.Stats().Allocations == 0 })
		allocate(t, client(t, r.Credentials("b", nil), "udp"))
	})

	t.Run("of bandwidth drops packets over it", func(t *testing.T) {
		const limit, size, packets = 50_000, 1000, 500
		r := serving(t, Config{Quota: Quota{Bandwidth: limit}})
		a, b := allocate(t, client(t, r.Credentials("a", nil), "udp")), allocate(t, client(t, r.Credentials("b", nil), "udp"))
		if _, err := b.WriteTo([]byte("hello?"), a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for range packets {
			if _, err := a.WriteTo(make([]byte, size), b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		got := 0
		for {
			text, ok := receives(t, b, 300*time.Millisecond)
			if !ok {
				break
			}
			got += len(text)
		}
		if most := limit + int(time.Since(begun).Seconds()*limit); got == 0 || got > most {
			t.Errorf("%d bytes got through, at most %d should", got, most)
		}
	})
}

func TestWhereItCarries(t *testing.T) {
	own := netip.MustParseAddr("198.51.100.1")
	strict, err := New(Config{Addresses: []netip.Addr{own}, FirstPort: 50000, LastPort: 50010})
	if err != nil {
		t.Fatal(err)
	}
	lan, err := New(Config{Addresses: []netip.Addr{own}, FirstPort: 50000, LastPort: 50010, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Relay{strict, lan} {
		for _, port := range []uint16{50000, 50010} {
			r.allocations[netip.AddrPortFrom(own, port)] = &allocation{}
		}
	}
	for peer, want := range map[string]struct{ strict, lan bool }{
		"203.0.113.9:1":         {true, true},
		"[2001:db8::9]:1":       {true, true},
		"198.51.100.1:50000":    {true, true},
		"198.51.100.1:50010":    {true, true},
		"198.51.100.1:50011":    {false, false}, // another program of the relay's machine
		"198.51.100.1:22":       {false, false},
		"10.0.0.1:1":            {false, true},
		"172.16.0.1:1":          {false, true},
		"192.168.0.1:1":         {false, true},
		"100.64.0.1:1":          {false, true},
		"[fd00::1]:1":           {false, true},
		"127.0.0.1:1":           {false, false},
		"127.9.9.9:50000":       {false, false},
		"[::1]:1":               {false, false},
		"[::ffff:127.0.0.1]:1":  {false, false},
		"[::ffff:10.0.0.1]:1":   {false, true},
		"169.254.169.254:80":    {false, false},
		"[fe80::1]:1":           {false, false},
		"224.0.0.1:1":           {false, false},
		"[ff02::1]:1":           {false, false},
		"0.0.0.0:1":             {false, false},
		"[::]:1":                {false, false},
		"0.1.2.3:1":             {false, false},
		"255.255.255.255:1":     {false, false},
		"240.0.0.1:1":           {false, false},
		"192.0.0.8:1":           {false, false}, // IETF protocols
		"192.0.0.171:1":         {false, false},
		"192.0.1.1:1":           {true, true},
		"192.88.99.1:1":         {false, false}, // 6to4
		"198.18.0.1:1":          {false, false}, // benchmarks
		"198.19.255.254:1":      {false, false},
		"198.20.0.1:1":          {true, true},
		"[2001:2::1]:1":         {false, false}, // benchmarks
		"[2001::7f00:1]:1":      {false, false}, // Teredo
		"[2001:20::1]:1":        {false, false}, // ORCHID
		"[2001:200::1]:1":       {true, true},
		"[100::1]:1":            {false, false}, // discard
		"[5f00::1]:1":           {false, false}, // segment routing
		"[fec0::1]:1":           {false, false}, // site-local
		"[::7f00:1]:1":          {false, false}, // 127.0.0.1, in a form of old
		"[64:ff9b:1::7f00:1]:1": {false, false},
		"[64:ff9b::7f00:1]:1":   {false, false}, // 127.0.0.1, by NAT64
		"[2002:7f00:1::]:50000": {false, false}, // and by 6to4
		"198.51.100.1:50005":    {false, false}, // no allocation has it
	} {
		address := netip.MustParseAddrPort(peer)
		if got := strict.mayReach(address); got != want.strict {
			t.Errorf("to %s: %v", peer, got)
		}
		if got := lan.mayReach(address); got != want.lan {
			t.Errorf("to %s, on a network of one's own: %v", peer, got)
		}
		if strict.mayReach(address) && !strict.mayName(address.Addr().Unmap()) {
			t.Errorf("no permission for %s", peer)
		}
	}

	t.Run("nor to another address of this machine", func(t *testing.T) {
		machine := &Relay{own: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8:1::/64")}}
		for peer, want := range map[string]bool{"192.0.2.7:22": false, "192.0.2.8:22": true, "[2001:db8:1::99]:22": false, "[2001:db8:2::99]:22": true} {
			if got := machine.mayReach(netip.MustParseAddrPort(peer)); got != want {
				t.Errorf("to %s: %v", peer, got)
			}
		}
		found := ownNetworks()
		if !slices.ContainsFunc(found, func(p netip.Prefix) bool { return p.Contains(loopback) }) {
			t.Errorf("this machine has %v", found)
		}
	})

	t.Run("a client gets no permission for such a peer", func(t *testing.T) {
		r := serving(t, Config{FirstPort: 60000, LastPort: 60100})
		c := client(t, r.Credentials("a", nil), "udp")
		conn := allocate(t, c)
		for _, peer := range []string{"10.0.0.1:1", "127.0.0.2:1", "169.254.169.254:80"} {
			to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer))
			if err := c.CreatePermission(to); err == nil {
				t.Errorf("there is a permission for %s", peer)
			}
		}
		// It gets one for the relay's own address, where it reaches allocations only.
		secret, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = secret.Close() }()
		if _, err := conn.WriteTo([]byte("psst"), secret.LocalAddr()); err != nil && !errors.Is(err, errRefused) {
			t.Log(err)
		}
		if got, ok := receives(t, secret, 300*time.Millisecond); ok {
			t.Errorf("a program of this machine received %q", got)
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

// listening returns a tcpListener on loopback, and a function that connects to it.
func listening(t *testing.T, config *tls.Config) (g *tcpListener, dial func() (near *conn, far net.Conn)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{Addresses: []netip.Addr{loopback}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g = newTCPListener(l, config, r)
	t.Cleanup(func() { _ = g.Close() }) // a test may have closed it
	return g, func() (near *conn, far net.Conn) {
		t.Helper()
		far, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { far.Close() })
		c, err := g.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*conn), far
	}
}

func TestTCPListener(t *testing.T) {
	t.Run("a client that shows no credentials is disconnected, whatever it sends", func(t *testing.T) {
		secure := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
		for name, says := range map[string]string{"nothing": "", "half a request": "\x00\x01", "half of TLS": "\x16\x03\x01"} {
			_, dial := listening(t, secure)
			near, far := dial()
			near.until = time.Now().Add(100 * time.Millisecond)
			if _, err := io.WriteString(far, says); err != nil {
				t.Fatal(err)
			}
			var err error
			for err == nil {
				_, err = near.Read(make([]byte, 4))
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})

	t.Run("a client that has shown credentials is not", func(t *testing.T) {
		r := serving(t, Config{})
		allocate(t, client(t, r.Credentials("a", nil), "tcp"))
		if _, err := client(t, []signaling.ICEServer{{URLs: r.Credentials("b", nil)[1].URLs, Username: r.Credentials("b", nil)[1].Username, Credential: "wrong"}}, "tcp").Allocate(); err == nil {
			t.Error("a wrong password is accepted")
		}
		authenticated, g := 0, r.listeners[0]
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, c := range g.open {
			c.mu.Lock()
			if c.until.IsZero() {
				authenticated++
			}
			c.mu.Unlock()
		}
		if authenticated != 1 {
			t.Errorf("%d of %d connections have shown credentials", authenticated, len(g.open))
		}
	})

	t.Run("connections of one address are limited, and a closed one does not count", func(t *testing.T) {
		g, dial := listening(t, nil)
		for range 2 {
			var all []*conn
			for range maxConnectionsFrom {
				near, _ := dial()
				all = append(all, near)
			}
			one, err := net.Dial("tcp", g.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			accepted := make(chan net.Conn, 1)
			go func() {
				c, _ := g.Accept() // nil after Close
				accepted <- c
			}()
			if _, err := one.Read(make([]byte, 1)); err == nil {
				t.Error("one more is accepted")
			}
			one.Close()
			for _, c := range all {
				_ = c.Close() // nothing is on its way
			}
			last, err := net.Dial("tcp", g.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			(<-accepted).Close()
			last.Close()
		}
	})

	t.Run("a client that does not read delays a write for a limited time", func(t *testing.T) {
		_, dial := listening(t, nil)
		near, _ := dial()
		if _, err := near.Write(nil); err != nil {
			t.Fatal(err)
		}
		if err := near.SetWriteDeadline(time.Now()); err != nil { // as Write does, but sooner
			t.Fatal(err)
		}
		if _, err := near.Conn.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})

	t.Run("Close closes all connections", func(t *testing.T) {
		g, dial := listening(t, nil)
		_, far := dial()
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("one is still open")
		}
	})

	t.Run("bytes that are not a message end a connection, as does TLS without a certificate", func(t *testing.T) {
		for name, says := range map[string]string{
			"TLS": "\x16\x03\x01\x02\x00" + strings.Repeat("\x01", 40), "HTTP": "GET / HTTP/1.1\r\n", "a huge message": "\x00\x01\xff\xfc\x21\x12\xa4\x42" + strings.Repeat("\x01", 40), "huge data": "\x40\x00\xff\xff",
		} {
			_, dial := listening(t, nil)
			near, far := dial()
			if _, err := io.WriteString(far, says); err != nil {
				t.Fatal(err)
			}
			if n, err := near.Read(make([]byte, 2000)); !errors.Is(err, errMessage) {
				t.Error(name, n, err)
			}
		}
	})
}
