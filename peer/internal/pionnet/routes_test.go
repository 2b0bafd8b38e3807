package pionnet

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// The socket of a bridge sends where the routes lead by that bridge, and nowhere else.
func TestRoutes(t *testing.T) {
	machine, err := stdnet.NewNet()
	if err != nil {
		t.Skip("this system does not tell its interfaces: ", err)
	}
	all, err := machine.Interfaces()
	if err != nil {
		t.Skip("this system does not tell its interfaces: ", err)
	}
	here := netip.MustParseAddr("127.0.0.1")
	r := newRoutes(all)
	lo := r.to(here)
	if lo == "" || lo != r.to(here) {
		t.Fatalf("the route to loopback leads by %q", lo)
	}
	for name, x := range map[string]struct {
		by   string
		make func(transport.UDPConn) transport.UDPConn
		want bool
	}{
		"its own": {lo, batched, true}, "another": {"bridge0", batched, false},
		"its own, one packet at a time": {lo, single, true}, "another, one packet at a time": {"bridge0", single, false},
	} {
		t.Run("the route leads by "+name, func(t *testing.T) {
			far := listening(t, machine)
			raw := listening(t, machine)
			c := routed(x.make(raw), r, x.by)
			t.Cleanup(func() { _ = c.Close() }) // which ends its goroutine
			to := far.LocalAddr().(*net.UDPAddr)
			if n, err := c.WriteTo([]byte("one"), to); n != 3 || err != nil {
				t.Errorf("%d bytes were written: %v", n, err)
			}
			if p, ok := c.(packets); ok {
				if n, err := p.WriteToAddrPort([]byte("two"), to.AddrPort()); n != 3 || err != nil {
					t.Errorf("%d bytes were written: %v", n, err)
				}
			}
			if _, err := raw.WriteTo([]byte("end"), to); err != nil {
				t.Fatal(err)
			}
			if err := far.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 10)
			n, _, err := far.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			if arrived := string(b[:n]) != "end"; arrived != x.want {
				t.Errorf("%q came first", b[:n])
			}
		})
	}
}

// single hides that a socket is one of the system's.
func single(c transport.UDPConn) transport.UDPConn { return struct{ transport.UDPConn }{c} }

func listening(t *testing.T, machine transport.Net) transport.UDPConn {
	t.Helper()
	c, err := machine.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // nothing is on its way
	return c
}

// The sockets to STUN and TURN servers have the address from which packets to these leave, so that it stays theirs when routes change;
// they have none if it is not one, or reaches not all.
func TestSocketsKeepTheirSource(t *testing.T) {
	machine, err := NewNet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addresses := func() (all []netip.Addr) {
		for _, is := range []func() (transport.UDPConn, error){
			func() (transport.UDPConn, error) { return machine.ListenUDP("udp4", &net.UDPAddr{}) },
			func() (transport.UDPConn, error) { return machine.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero}) },
		} {
			c, err := is()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
			_ = c.Close() // nothing is on its way
		}
		c, err := machine.ListenPacket("udp4", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
		_ = c.Close() // nothing is on its way
		return all
	}
	check := func(when string, want netip.Addr) {
		t.Helper()
		for _, is := range addresses() {
			if is != want {
				t.Errorf("%s, a socket has the address %v, not %v", when, is, want)
			}
		}
	}
	own := firstOf(machine)
	if !own.IsValid() {
		t.Skip("this machine has no IPv4 address that others could use")
	}
	check("without servers", netip.IPv4Unspecified())
	for range 2 {
		if _, err := machine.ResolveUDPAddr("udp4", netip.AddrPortFrom(own, 3478).String()); err != nil {
			t.Fatal(err)
		}
		check("with servers by one address", own)
	}
	if _, err := machine.ResolveUDPAddr("udp4", "127.0.0.1:3478"); err != nil {
		t.Fatal(err)
	}
	check("with servers by two addresses", netip.IPv4Unspecified())
}

func firstOf(n *Net) netip.Addr {
	for _, i := range n.interfaces {
		for _, a := range addressesOf(i) {
			if a.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
				return a
			}
		}
	}
	return netip.Addr{}
}
