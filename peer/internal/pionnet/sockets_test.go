package pionnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/vnet"
)

// A fork is two sockets that are shared, with two machines that send to them.
type fork struct {
	sockets     Sockets
	ice, second transport.UDPConn
	near, other net.PacketConn
}

func newFork(t *testing.T) *fork {
	t.Helper()
	router, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", QueueSize: 10_000, LoggerFactory: logging.NewDefaultLoggerFactory()})
	if err != nil {
		t.Fatal(err)
	}
	machine := func(address string) *vnet.Net {
		n, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{address}})
		if err = errors.Join(err, router.AddNet(n)); err != nil {
			t.Fatal(err)
		}
		return n
	}
	f := &fork{}
	shared := f.sockets.Share(machine("10.0.0.1"))
	for port, c := range map[int]*transport.UDPConn{5000: &f.ice, 5001: &f.second} {
		if *c, err = shared.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port}); err != nil {
			t.Fatal(err)
		}
	}
	for address, conn := range map[string]*net.PacketConn{"10.0.0.2:5000": &f.near, "10.0.0.3:5000": &f.other} {
		if *conn, err = machine(address[:8]).ListenPacket("udp4", address); err != nil {
			t.Fatal(err)
		}
	}
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = f.ice.Close(), f.second.Close() // a test may have closed one
		if err := router.Stop(); err != nil {
			t.Error(err)
		}
	})
	return f
}

var (
	forkAt   = netip.MustParseAddrPort("10.0.0.1:5000")
	secondAt = netip.MustParseAddrPort("10.0.0.1:5001")
	nearAt   = netip.MustParseAddrPort("10.0.0.2:5000")
	otherAt  = netip.MustParseAddrPort("10.0.0.3:5000")
)

// knows tells the sockets of a check from an address, at a candidate of a kind.
func (f *fork) knows(t *testing.T, from netip.AddrPort, preference uint32) {
	t.Helper()
	check, err := stun.Build(stun.BindingRequest, ice.PriorityAttr(preference<<8))
	if err != nil {
		t.Fatal(err)
	}
	candidate := func(at netip.AddrPort) ice.Candidate {
		c, err := ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: at.Addr().String(), Port: int(at.Port()), Component: 1})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	f.sockets.Know(check, candidate(forkAt), candidate(from))
}

func (f *fork) receives(t *testing.T, from net.PacketConn, packet ...byte) {
	t.Helper()
	if _, err := from.WriteTo(packet, net.UDPAddrFromAddrPort(forkAt)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func reads(t *testing.T, from net.PacketConn, first byte) {
	t.Helper()
	b := make([]byte, 1500)
	if n, _, err := from.ReadFrom(b); err != nil || n == 0 || b[0] != first {
		t.Errorf("the next packet begins with %d (%d bytes, %v), want %d", b[0], n, err, first)
	}
}

// hearing returns the first bytes of the packets that ICE reads, until the sockets are closed.
func (f *fork) hearing() <-chan byte {
	heard := make(chan byte, 100)
	for _, c := range []transport.UDPConn{f.ice, f.second} {
		go func() {
			b := make([]byte, 1500)
			for {
				n, _, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				heard <- b[:n][0]
			}
		}()
	}
	return heard
}

func hears(t *testing.T, from <-chan byte, firsts ...byte) {
	t.Helper()
	for _, want := range firsts {
		if got := <-from; got != want {
			t.Errorf("ICE has the packet %d, want %d", got, want)
		}
	}
	if len(from) > 0 {
		t.Errorf("ICE has %d packets more", len(from))
	}
}

func TestSharedSockets(t *testing.T) {
	t.Run("give QUIC its packets from where checks came, and ICE all others", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFork(t)
			heard := f.hearing()
			f.knows(t, nearAt, 9)
			f.receives(t, f.near, 200) // nothing is beside it yet
			quic := f.sockets.Beside()
			f.receives(t, f.other, 64)
			for _, first := range []byte{0, 1, 20, 22, 63, 64, 127, 192, 255} {
				f.receives(t, f.near, first)
			}
			hears(t, heard, 200, 64, 0, 1, 20, 22, 63)
			for _, first := range []byte{64, 127, 192, 255} {
				reads(t, quic, first)
			}
			f.knows(t, otherAt, relayPreference)
			f.receives(t, f.other, 64)
			hears(t, heard, 64)
			f.knows(t, otherAt, 9)
			f.receives(t, f.other, 65)
			reads(t, quic, 65)
			_ = quic.Close() // it never fails
			f.receives(t, f.near, 200)
			hears(t, heard, 200)
		})
	})

	t.Run("send QUIC's packets where they are told, and answers over the pair that the question came by", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFork(t)
			_ = f.hearing()
			f.knows(t, nearAt, 9)
			quic := f.sockets.Beside()
			for _, local := range []netip.AddrPort{secondAt, forkAt, secondAt} {
				to := quic.To(local, nearAt)
				if _, err := quic.WriteTo([]byte{99}, to); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 10)
				_, from, err := f.near.ReadFrom(b)
				if err != nil || addrPortOf(from) != local {
					t.Fatalf("a packet for %v left from %v (%v)", local, from, err)
				}
				if _, err := f.near.WriteTo([]byte{100}, from); err != nil {
					t.Fatal(err)
				}
				if _, answered, err := quic.ReadFrom(b); err != nil || answered.String() != to.String() {
					t.Errorf("the answer to %v is from %v (%v)", to, answered, err)
				}
			}
			if quic.To(otherAt, nearAt) != nil {
				t.Error("there is a pair from a socket that is not ICE's")
			}
			for _, to := range []net.Addr{&net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 5000}, &net.UDPAddr{}, &net.TCPAddr{}, nil} {
				if _, err := quic.WriteTo([]byte{99}, to); err == nil {
					t.Errorf("a packet goes to %v", to)
				}
			}
		})
	})

	t.Run("know a bounded number of pairs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFork(t)
			heard := f.hearing()
			quic := f.sockets.Beside()
			for port := range uint16(mostPairs) {
				if quic.To(forkAt, netip.AddrPortFrom(nearAt.Addr(), 6000+port)) == nil {
					t.Fatalf("there are %d pairs", port)
				}
			}
			if quic.To(forkAt, nearAt) != nil {
				t.Error("there is one more")
			}
			f.knows(t, nearAt, 9)
			f.receives(t, f.near, 64)
			hears(t, heard, 64)
		})
	})

	t.Run("keep a bounded number of packets that QUIC does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFork(t)
			heard := f.hearing()
			f.knows(t, nearAt, 9)
			quic := f.sockets.Beside()
			for range besideQueue + 500 {
				f.receives(t, f.near, 64)
			}
			f.receives(t, f.near, 1)
			hears(t, heard, 1)
			for range besideQueue {
				reads(t, quic, 64)
			}
			_ = quic.SetReadDeadline(time.Now()) // it never fails
			if _, _, err := quic.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("there is more: %v", err)
			}
		})
	})

	t.Run("end a read of QUIC with Close, and know no pair from a closed socket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFork(t)
			_ = f.hearing()
			quic, ended := f.sockets.Beside(), make(chan error)
			go func() {
				_, _, err := quic.ReadFrom(make([]byte, 10))
				ended <- err
			}()
			synctest.Wait()
			_ = f.ice.Close() // To says whether it is
			if quic.To(forkAt, nearAt) != nil {
				t.Error("there is a pair from a closed socket")
			}
			_ = quic.Close() // it never fails
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("it says %v", err)
			}
		})
	})
}
