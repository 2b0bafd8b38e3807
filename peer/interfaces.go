package peer

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/pion/transport/v5"
)

// These bound the addresses that a machine offers. Each pair of addresses costs a check.
const (
	firstInterfaces = 4  // whose addresses the other side is told at once; the others wait for farWait
	mostInterfaces  = 8  // that are used at all
	mostAddresses   = 16 // of those
)

// usable lists the interfaces that ICE should gather from, the one with the default route
// first. It leaves out loopback (RFC 8445, section 5.1.1.1), and the bridges of containers and
// virtual machines unless one carries the default route. A machine that has nothing else uses
// its bridges, and one without those loopback.
func usable(all []*transport.Interface, routed []netip.Addr) []*transport.Interface {
	var direct, bridges, loopback []*transport.Interface
	for _, i := range all {
		isDefault := slices.ContainsFunc(addressesOf(i), func(a netip.Addr) bool { return slices.Contains(routed, a) })
		switch {
		case i.Flags&net.FlagUp == 0:
		case i.Flags&net.FlagLoopback != 0:
			loopback = append(loopback, i)
		case i.Flags&net.FlagRunning == 0 || len(addressesOf(i)) == 0:
		case isDefault:
			direct = slices.Insert(direct, 0, i)
		case isBridge(i.Name):
			bridges = append(bridges, i)
		default:
			direct = append(direct, i)
		}
	}
	list := direct
	if list == nil {
		list = bridges
	}
	if list == nil {
		list = loopback
	}
	return bounded(list)
}

// bounded keeps the first of the interfaces, and of their addresses.
func bounded(list []*transport.Interface) []*transport.Interface {
	var kept []*transport.Interface
	left := mostAddresses
	for _, i := range list[:min(len(list), mostInterfaces)] {
		addresses, err := i.Addrs()
		if err != nil || left == 0 {
			continue
		}
		c := transport.NewInterface(i.Interface)
		addresses = slices.DeleteFunc(slices.Clone(addresses), func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err != nil || !isReachable(p.Addr())
		})
		for _, a := range addresses[:min(len(addresses), left)] {
			c.AddAddress(a)
			left--
		}
		kept = append(kept, c)
	}
	return kept
}

// addressesOf lists the addresses of an interface by which another machine, or this one, can
// reach it.
func addressesOf(i *transport.Interface) (list []netip.Addr) {
	all, _ := i.Addrs() // the error means that there are none
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && isReachable(p.Addr()) {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}

// isReachable tells whether another machine can send to an address. A link-local IPv6 address
// says nothing without the name of an interface (RFC 4007).
func isReachable(a netip.Addr) bool { return !a.Unmap().Is6() || !a.IsLinkLocalUnicast() }

// addressesBehind lists the addresses of the interfaces that come after the first few.
func addressesBehind(list []*transport.Interface) (behind []netip.Addr) {
	for _, i := range list[min(len(list), firstInterfaces):] {
		behind = append(behind, addressesOf(i)...)
	}
	return behind
}

// ownAddresses lists the addresses of a machine, except those of the first interface that it
// uses: programs on the same machine meet by these.
func ownAddresses(machine transport.Net, used []*transport.Interface) (list []netip.Addr) {
	all := used
	if m, ok := machine.(*machineNet); ok {
		all, _ = m.Net.Interfaces() // or else those that are used must do
	}
	for _, i := range all {
		if len(used) == 0 || i.Name != used[0].Name {
			list = append(list, addressesOf(i)...)
		}
	}
	return list
}

// defaultAddresses are this machine's on the interfaces that have the default routes. No packet
// is sent: connecting a UDP socket looks up the route (RFC 5737 and RFC 3849 have the addresses).
func defaultAddresses() (list []netip.Addr) {
	for _, somewhere := range []string{"198.51.100.1", "2001:db8::1"} {
		if a := sourceTo(netip.MustParseAddr(somewhere)); a.IsValid() {
			list = append(list, a)
		}
	}
	return list
}

// isBridge tells whether an interface leads to containers or virtual machines: by what Linux
// says of it, or by the names that their programs use.
func isBridge(name string) bool {
	if info, err := os.Stat("/sys/class/net/" + name + "/bridge"); err == nil && info.IsDir() {
		return true
	}
	return slices.ContainsFunc([]string{"docker", "br-", "veth", "virbr", "cni", "flannel", "vmnet", "vboxnet", "podman", "lxcbr", "lxdbr", "incusbr"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}
