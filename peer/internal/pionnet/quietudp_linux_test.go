package pionnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// quietSocket returns a socket at an address, or skips the test if this machine has none of the family.
func quietSocket(t *testing.T, network, address string) *quietUDP {
	t.Helper()
	a, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenUDP(network, a)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	c, err := newQuietUDP(u)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestQuietUDP(t *testing.T) {
	for _, test := range []struct{ network, from, to, seen string }{
		{"udp4", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"udp4", "0.0.0.0:0", "::ffff:127.0.0.1", "127.0.0.1"},
		{"udp6", "[::1]:0", "::1", "::1"},
		{"udp", ":0", "::1", "::1"},
		{"udp", ":0", "127.0.0.1", "::ffff:127.0.0.1"},
	} {
		t.Run(test.network+" "+test.from+" reaches "+test.to+" as package net does", func(t *testing.T) {
			from, to := quietSocket(t, test.network, test.from), quietSocket(t, test.network, test.from)
			port := func(c *quietUDP) uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }
			want := netip.AddrPortFrom(netip.MustParseAddr(test.seen), port(from))
			for _, message := range []string{"first", "", "a longer one"} {
				for name, write := range map[string]func([]byte, netip.AddrPort) (int, error){"quiet": from.WriteToUDPAddrPort, "net": from.UDPConn.WriteToUDPAddrPort} {
					n, err := write([]byte(message), netip.AddrPortFrom(netip.MustParseAddr(test.to), port(to)))
					if err != nil || n != len(message) {
						t.Fatalf("%s: %d bytes, %v", name, n, err)
					}
					b := make([]byte, 100)
					for name, read := range map[string]func() (int, netip.AddrPort, error){
						"quiet": func() (int, netip.AddrPort, error) {
							n, _, _, from, err := to.ReadMsgUDPAddrPort(b, nil)
							return n, from, err
						},
						"net": func() (int, netip.AddrPort, error) { return to.ReadFromUDPAddrPort(b) },
					} {
						n, from, err := read()
						if err != nil || string(b[:n]) != message || from != want {
							t.Errorf("%s reads %q from %v (%v), want %q from %v", name, b[:n], from, err, message, want)
						}
						if _, err := write([]byte(message), netip.AddrPortFrom(netip.MustParseAddr(test.to), port(to))); err != nil {
							t.Fatal(err)
						}
					}
					if _, err := to.Read(b); err != nil { // the last one was for no reader
						t.Fatal(err)
					}
				}
			}
		})
	}

	t.Run("errors and deadlines are those of package net", func(t *testing.T) {
		c := quietSocket(t, "udp4", "127.0.0.1:0")
		if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.0.0.1:0")); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("to port 0: %v", err)
		}
		if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("[::1]:9")); err == nil {
			t.Error("an IPv4 socket takes an address of IPv6")
		}
		if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.AddrPort{}); err == nil {
			t.Error("it takes no address")
		}
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if _, _, _, _, err := c.ReadMsgUDPAddrPort(make([]byte, 10), nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, _, _, err := c.ReadMsgUDPAddrPort(make([]byte, 10), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.0.0.1:9")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})

	t.Run("a deadline, and Close, end a read that waits", func(t *testing.T) {
		for _, test := range []struct {
			end  func(*quietUDP) error
			want error
		}{
			{func(c *quietUDP) error { return c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
			{(*quietUDP).Close, net.ErrClosed},
		} {
			c, ended := quietSocket(t, "udp4", "127.0.0.1:0"), make(chan error)
			own, b := c.LocalAddr().(*net.UDPAddr).AddrPort(), make([]byte, 10)
			go func() {
				for {
					if _, _, _, _, err := c.ReadMsgUDPAddrPort(b, nil); err != nil {
						ended <- err
						return
					}
					ended <- nil
				}
			}()
			if _, err := c.WriteToUDPAddrPort([]byte("x"), own); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil { // the next read waits, or is about to
				t.Fatal(err)
			}
			if err := test.end(c); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, test.want) {
				t.Errorf("it says %v, want %v", err, test.want)
			}
		}
	})

	t.Run("a packet allocates nothing", func(t *testing.T) {
		c := quietSocket(t, "udp4", "127.0.0.1:0")
		own, b := c.LocalAddr().(*net.UDPAddr).AddrPort(), make([]byte, 100)
		if n := testing.AllocsPerRun(100, func() {
			_, _ = c.WriteToUDPAddrPort(b, own)
			_, _, _, _, _ = c.ReadMsgUDPAddrPort(b, nil)
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// A link-local address has the name of its interface, as in package net: ICE compares the addresses of both.
func TestQuietZones(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil || len(all) == 0 {
		t.Skip("no interfaces: ", err)
	}
	var p packetCall
	for _, c := range []struct {
		scope int
		zone  string
	}{{all[0].Index, all[0].Name}, {1 << 30, "1073741824"}, {all[0].Index, all[0].Name}, {0, ""}} {
		p.at = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Addr: netip.MustParseAddr("fe80::1").As16(), Scope_id: uint32(c.scope)} //nolint:gosec // a small number
		want := netip.MustParseAddr("fe80::1").WithZone(c.zone)
		if got := p.address().Addr(); got != want {
			t.Errorf("the interface with number %d is %v, want %v", c.scope, got, want)
		}
	}
}
