package pionnet

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What leaves from an address goes on by its interface when the routes begin to lead by another one, from sockets with that address and
// without one; other sockets keep to theirs.
func TestStay(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func() error {
		ip := func(args string) error {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec,noctx // the test's own words
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
			return nil
		}
		for n := 1; n <= 2; n++ {
			for _, args := range []string{
				fmt.Sprintf("link add near%d type veth peer name far%d", n, n), fmt.Sprintf("link set far%d up", n), fmt.Sprintf("link set near%d up", n),
				fmt.Sprintf("addr add 10.0.%d.2/24 dev near%d", n, n), fmt.Sprintf("neigh add 10.0.%d.1 lladdr 02:00:00:00:00:0%d dev near%d", n, n, n),
			} {
				if err := ip(args); err != nil {
					return err
				}
			}
		}
		if err := ip("route add default via 10.0.1.1 dev near1 metric 600"); err != nil {
			return err
		}
		n, err := NewNet(t.Context())
		if err != nil {
			return err
		}
		old, cable := netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("10.0.2.2")
		unbound, err := n.ListenUDP("udp4", &net.UDPAddr{})
		if err != nil {
			return err
		}
		defer unbound.Close() //nolint:errcheck // nothing is on its way
		bound, err := n.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(old, 0)))
		if err != nil {
			return err
		}
		defer bound.Close() //nolint:errcheck // nothing is on its way
		turn, err := n.ListenPacket("udp4", "0.0.0.0:0")
		if err != nil {
			return err
		}
		defer turn.Close() //nolint:errcheck // nothing is on its way
		other, err := n.Net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(cable, 0)))
		if err != nil {
			return err
		}
		defer other.Close()    //nolint:errcheck // nothing is on its way
		n.routes.opened(other) // as if it had been worth offering
		wires, err := watchWires()
		if err != nil {
			return err
		}
		defer unix.Close(wires) //nolint:errcheck // it only reads
		check := func(c net.PacketConn, kind, by string) {
			t.Helper()
			if _, err := c.WriteTo([]byte("?"), &net.UDPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 9}); err != nil {
				t.Error(kind, err)
			} else if got := nextOnWire(t, wires); got != by {
				t.Errorf("what leaves from a socket %s arrives as %s, not as %s", kind, got, by)
			}
		}
		check(unbound, "without an address", "10.0.1.2 at far1")
		if err := ip("route add default via 10.0.2.1 dev near2 metric 100"); err != nil {
			return err
		}
		check(unbound, "without an address, by the routes", "10.0.2.2 at far2")
		check(bound, "with the address, by the routes", "10.0.1.2 at far2")
		vpn := netip.MustParseAddr("10.8.0.2")
		for _, args := range []string{"tuntap add dev vpn0 mode tap", "addr add 10.8.0.2/24 dev vpn0", "link set vpn0 up"} {
			if err := ip(args); err != nil {
				return err
			}
		}
		n.Stay(old, vpn)
		check(unbound, "without an address, by the routes into a tunnel", "10.0.2.2 at far2")
		n.Stay(old, cable)
		check(unbound, "without an address", "10.0.1.2 at far1")
		check(turn, "to a TURN server", "10.0.1.2 at far1")
		check(bound, "with the address", "10.0.1.2 at far1")
		check(other, "of the other interface", "10.0.2.2 at far2")
		return nil
	})
}

// watchWires returns a socket that receives what comes in by any interface.
func watchWires() (int, error) {
	const ipv4 = unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xff<<8 // in the network's order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ipv4)
	if err != nil {
		return fd, err
	}
	limit := unix.NsecToTimeval(int64(10 * time.Second))
	return fd, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
}

// nextOnWire returns the source and the interface of the next packet to 203.0.113.9.
func nextOnWire(t *testing.T, wires int) string {
	t.Helper()
	b := make([]byte, 1500)
	for {
		n, from, err := unix.Recvfrom(wires, b, 0)
		if err != nil {
			t.Error("nothing on the wire: ", err)
			return ""
		}
		at, ok := from.(*unix.SockaddrLinklayer)
		if !ok || n < 20 || net.IP(b[16:20]).String() != "203.0.113.9" {
			continue
		}
		i, err := net.InterfaceByIndex(at.Ifindex)
		if err != nil {
			t.Error(err)
			return ""
		}
		return net.IP(b[12:16]).String() + " at " + i.Name
	}
}
