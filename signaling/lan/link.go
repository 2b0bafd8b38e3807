package lan

import (
	"net"
	"net/netip"
)

// Multicast DNS is for one link (RFC 6762, section 11). pion answers and believes whatever reaches its sockets, from wherever it was
// sent: the system must keep the rest away. On Linux, a program can give the system a filter: see keepToLink.

// oneHop is the time to live of what is sent: no router forwards it, nor an answer to a query from elsewhere.
const oneHop = 1

// links returns the networks on which neighbours may be: with a carrier, and no point-to-point links, as of most VPNs. A VPN that looks like
// Ethernet (ZeroTier, OpenVPN with --dev tap) is made to be one network of neighbours.
func links() (list []net.Interface) {
	all, _ := net.Interfaces() // none if it fails
	const want = net.FlagUp | net.FlagRunning | net.FlagMulticast
	for _, i := range all {
		if i.Flags&(want|net.FlagLoopback|net.FlagPointToPoint) == want {
			list = append(list, i)
		}
	}
	return list
}

// An Address is one of this machine's addresses on a network on which neighbours may be.
type Address struct {
	netip.Addr
	Bridge bool // of a bridge of this machine, as containers and virtual machines have
}

// Addresses returns this machine's addresses on the networks on which neighbours may be. None is one of a tunnel.
func Addresses() (all []Address) {
	for _, i := range links() {
		list, _ := i.Addrs() // none if it fails
		for _, one := range list {
			if p, err := netip.ParsePrefix(one.String()); err == nil {
				all = append(all, Address{p.Addr().Unmap(), isBridge(i.Name)})
			}
		}
	}
	return all
}
