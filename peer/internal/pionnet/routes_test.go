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
