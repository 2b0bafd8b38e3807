package lan

import "net"

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
