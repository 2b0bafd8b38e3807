package pionnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/pion/transport/v5"
)

// pion gathers from every interface that a filter lets pass, in the system's order, and asks every STUN and
// TURN server from each. It knows no default route, no bridges of containers and no bound, and each pair of
// addresses costs a check. A Net therefore lists few interfaces, the best first. An interface filter in
// pion that ranks and bounds would retire this file.

const (
	firstInterfaces = 4  // whose addresses are not in Addresses.Unlikely
	mostInterfaces  = 8  // that are used at all
	mostAddresses   = 16 // of those
)

// Addresses are what a machine knows of its own addresses.
type Addresses struct {
	Networks []netip.Prefix // that its interfaces are in
	Own      []netip.Addr   // all but those of the first interface that it uses
	Unlikely []netip.Addr   // of the interfaces after the first few
	Used     int            // from how many ICE gathers
}

// AddressesOf returns the addresses of a machine.
func AddressesOf(machine transport.Net) (Addresses, error) {
	used, err := machine.Interfaces()
	if err != nil {
		return Addresses{}, fmt.Errorf("looking at this machine's network: %w", err)
	}
	return Addresses{networksOf(used), ownAddresses(machine, used), unlikely(used), gathered(used)}, nil
}

// gathered returns from how many addresses of the interfaces ICE gathers: from those of loopback only where there is no other.
func gathered(used []*transport.Interface) (count int) {
	loopback := 0
	for _, i := range used {
		for _, a := range addressesOf(i) {
			if a.IsLoopback() {
				loopback++
			} else {
				count++
			}
		}
	}
	if count == 0 {
		return loopback
	}
	return count
}

// IsNear reports whether one of the machine's networks has an address.
func (a Addresses) IsNear(at netip.Addr) bool { return inNetworks(at, a.Networks) }

func inNetworks(at netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(at) })
}

// networksOf returns the networks that the interfaces are in.
func networksOf(interfaces []*transport.Interface) (list []netip.Prefix) {
	for _, i := range interfaces {
		all, _ := i.Addrs() // after an error there are none
		for _, a := range all {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, p.Masked())
			}
		}
	}
	return list
}

// usable returns the interfaces that ICE should gather from, the one with the default route
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

// bounded returns the first of the interfaces, with the first of their addresses.
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

// Without returns a machine's network without an address: ICE gathers from all others.
func Without(machine transport.Net, at netip.Addr) (transport.Net, error) {
	all, err := machine.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("looking at this machine's network: %w", err)
	}
	var left []*transport.Interface
	for _, i := range all {
		c := transport.NewInterface(i.Interface)
		addresses, _ := i.Addrs() // the error means that there are none
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err != nil || p.Addr().Unmap() != at {
				c.AddAddress(a)
			}
		}
		left = append(left, c)
	}
	if n, ok := machine.(*Net); ok {
		c := *n
		c.interfaces = left
		return &c, nil
	}
	return &partOf{machine, left}, nil
}

// A partOf is a network with some of its interfaces and addresses.
type partOf struct {
	transport.Net
	interfaces []*transport.Interface
}

// Interfaces returns the interfaces from which ICE gathers addresses.
func (p *partOf) Interfaces() ([]*transport.Interface, error) { return p.interfaces, nil }

// addressesOf returns the addresses of an interface by which another machine, or this one, can
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

// isReachable reports whether another machine can send to an address. A link-local IPv6 address
// says nothing without the name of an interface (RFC 4007).
func isReachable(a netip.Addr) bool { return !a.Unmap().Is6() || !a.IsLinkLocalUnicast() }

// unlikely returns the addresses of the interfaces after the first few.
func unlikely(list []*transport.Interface) (addresses []netip.Addr) {
	for _, i := range list[min(len(list), firstInterfaces):] {
		addresses = append(addresses, addressesOf(i)...)
	}
	return addresses
}

// ownAddresses returns the addresses of a machine, except those of the first interface that it
// uses: programs on the same machine meet by these.
func ownAddresses(machine transport.Net, used []*transport.Interface) (list []netip.Addr) {
	all := used
	if n, ok := machine.(*Net); ok {
		all, _ = n.Net.Interfaces() // after an error, those that are used must do
	}
	for _, i := range all {
		if len(used) == 0 || i.Name != used[0].Name {
			list = append(list, addressesOf(i)...)
		}
	}
	return list
}

// somewhere has addresses to which the default routes lead. They are for documentation (RFC 5737, RFC 3849).
var somewhere = []string{"198.51.100.1", "2001:db8::1"}

// DefaultAddresses returns this machine's addresses on the interfaces that have the default routes, one
// of each family at most, IPv4 first. A link that stands in for one without a carrier counts as that one.
func DefaultAddresses() []netip.Addr { return withStandIns(defaultSources(), machineLinks()) }

// defaultSources returns the addresses that the default routes lead from, one of each family at most, IPv4 first. No packet is
// sent: connecting a UDP socket looks up the route.
func defaultSources() (list []netip.Addr) {
	for _, at := range somewhere {
		if a := routeTo(netip.MustParseAddr(at)); a.IsValid() {
			list = append(list, a)
		}
	}
	return list
}

// isBridge reports whether an interface leads to containers or virtual machines: by what Linux
// says of it, or by the names that their programs use.
func isBridge(name string) bool {
	if info, err := os.Stat("/sys/class/net/" + name + "/bridge"); err == nil && info.IsDir() {
		return true
	}
	return slices.ContainsFunc([]string{"docker", "br-", "veth", "virbr", "cni", "flannel", "vmnet", "vboxnet", "podman", "lxcbr", "lxdbr", "incusbr"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}
