package pionnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pion/transport/v5"
)

func TestDeadLinks(t *testing.T) {
	with := func(i *transport.Interface, flags net.Flags) *transport.Interface {
		i.Flags = flags
		return i
	}
	lo, wlan, docker := an("lo", "127.0.0.1/8"), an("wlan0", "fe80::7/64", "10.0.0.7/24"), an("docker0", "172.17.0.1/16")
	unplugged := with(an("eth0", "192.0.2.7/24", "2001:db8::7/64"), net.FlagUp)
	tunnel := with(an("tun0", "10.8.0.2/24"), net.FlagUp|net.FlagRunning|net.FlagPointToPoint)
	idleTunnel := with(an("tun1", "10.9.0.2/24"), net.FlagUp|net.FlagPointToPoint)
	all := []*transport.Interface{lo, docker, idleTunnel, tunnel, unplugged, wlan}
	for at, want := range map[string]string{
		"192.0.2.7":   "10.0.0.7",
		"2001:db8::7": "", // nothing else has such an address
		"10.0.0.7":    "",
		"10.9.0.2":    "",
		"127.0.0.1":   "",
		"203.0.113.7": "", // of no link
	} {
		link, got := standIn(netip.MustParseAddr(at), all)
		if (link != nil) != (want != "") || want != "" && (got.String() != want || link.Name != wlan.Name) {
			t.Errorf("%v stands in for %s, not %q", got, at, want)
		}
	}
	if link, _ := standIn(netip.MustParseAddr("192.0.2.7"), all[:5]); link != nil {
		t.Errorf("%s stands in for a cable", link.Name)
	}
	sources := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}
	if list := withStandIns(sources, all); list[0].String() != "10.0.0.7" || list[1] != sources[1] || sources[0] == list[0] {
		t.Errorf("packets from %v leave from %v", sources, list)
	}
	if list := withStandIns(sources, append(all, an("eth1", "192.0.2.7/24"))); list[0] != sources[0] {
		t.Errorf("packets leave from %v, though another link has %v and works", list, sources[0])
	}
	for _, one := range []struct {
		sources []netip.Addr
		avoids  bool
	}{{nil, false}, {sources[:1], true}, {sources, false}} {
		if got := avoidsDeadLink(one.sources, all); got != one.avoids {
			t.Errorf("sockets of packets from %v avoid a dead link: %t", one.sources, got)
		}
	}
}

// BenchmarkNewNet is what an attempt asks the system first.
func BenchmarkNewNet(b *testing.B) {
	for b.Loop() {
		if _, err := NewNet(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// A call that goes through a VPN does not leave beside it.
func TestElsewhereThanATunnel(t *testing.T) {
	tunnel := an("tun0", "10.8.0.2/24")
	machine := &partOf{interfaces: []*transport.Interface{tunnel, an("wlan0", "10.0.0.7/24")}}
	if _, err := Elsewhere(machine, netip.MustParseAddr("10.8.0.2")); err != nil {
		t.Error(err)
	}
	tunnel.Flags |= net.FlagPointToPoint
	if _, err := Elsewhere(machine, netip.MustParseAddr("10.8.0.2")); !errors.Is(err, errNowhereElse) {
		t.Error(err)
	}
}

// A tunnel that looks like Ethernet, as of OpenVPN or ZeroTier, is no other link: nothing leaves beside it, though its program has ended and
// it has no carrier, and no other link's packets go into it.
func TestTunnelsThatLookLikeEthernet(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func() error {
		for _, args := range []string{
			"tuntap add dev vpn0 mode tap", "addr add 10.8.0.2/24 dev vpn0", "link set vpn0 up",
			"link add name eth7 type veth peer name far", "addr add 192.0.2.7/24 dev eth7", "link set far up", "link set eth7 up",
		} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec,noctx // the test's own words
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		all := machineLinks()
		if link, at := standIn(netip.MustParseAddr("10.8.0.2"), all); link != nil {
			t.Errorf("%s with %v stands in for a tunnel", link.Name, at)
		}
		if _, err := Elsewhere(&partOf{interfaces: all}, netip.MustParseAddr("10.8.0.2")); !errors.Is(err, errNowhereElse) {
			t.Errorf("a call through it leaves beside it: %v", err)
		}
		for _, i := range all { // a cable that is unplugged, and a tunnel that works
			if i.Flags |= net.FlagRunning; i.Name == "eth7" {
				i.Flags &^= net.FlagRunning
			}
		}
		if link, at := standIn(netip.MustParseAddr("192.0.2.7"), all); link != nil {
			t.Errorf("%s with %v stands in for a cable", link.Name, at)
		}
		return nil
	})
}

// What goes to an address of this machine leaves by no link, though the one that has the address has no carrier and another one has.
func TestOwnAddressOfADeadLink(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func() error {
		for _, args := range []string{
			"link set lo up", "link add d0 type veth peer name far0", "link add d1 type veth peer name far1", "addr add 10.0.1.2/24 dev d0", "addr add 10.0.2.2/24 dev d1",
			"link set d0 up", "link set d1 up", "link set far1 up",
		} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec,noctx // the test's own words
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		dead, alive := netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("10.0.2.2")
		for begun := time.Now(); (HasAddress(dead) || !HasAddress(alive)) && time.Since(begun) < 10*time.Second; { // the kernel looks at carriers a moment later
			time.Sleep(time.Millisecond)
		}
		for neighbour, from := range map[string]string{"10.0.1.2": "10.0.1.2", "10.0.1.7": "10.0.2.2", "10.0.2.7": "10.0.2.2"} {
			if got := SourceTo(netip.MustParseAddr(neighbour)); got.String() != from {
				t.Errorf("packets to %s leave from %s, not %s", neighbour, got, from)
			}
		}
		l, err := net.Listen("tcp4", "10.0.1.2:0") //nolint:noctx // of a test
		if err != nil {
			return err
		}
		defer l.Close()                                                                                           //nolint:errcheck // nothing is on its way
		c, err := (&net.Dialer{Control: AvoidDeadLink, Timeout: 5 * time.Second}).Dial("tcp4", l.Addr().String()) //nolint:noctx // of a test
		if err != nil {
			t.Error(err)
			return nil
		}
		_ = c.Close() // it was only opened
		return nil
	})
}
