package relay

import (
	"net/netip"
	"slices"
)

// The relay sends to the Internet, not to private networks. These are the entries of IANA's
// registries of special-purpose addresses (RFC 6890) that are not globally reachable and that
// net/netip has no method for, except the networks for documentation: they have no machines, and
// tests use them as the Internet.
var (
	special4 = prefixes(
		"0.0.0.0/8",      // this network (RFC 791)
		"192.0.0.0/24",   // IETF protocols: DS-Lite, discovery of NAT64 and PCP (RFC 6890)
		"192.88.99.0/24", // 6to4 anycast, withdrawn (RFC 7526)
		"198.18.0.0/15",  // benchmarks (RFC 2544)
		"240.0.0.0/4",    // reserved, and broadcast (RFC 1112)
	)
	// Of IPv6, only global6 is assigned to hosts (RFC 4291, section 2.4). Outside are IPv4
	// addresses in IPv6 form (::/96, 64:ff9b::/96, 64:ff9b:1::/48), discard (100::/64),
	// segment routing (5f00::/16) and site-local addresses (fec0::/10).
	global6  = netip.MustParsePrefix("2000::/3")
	special6 = prefixes(
		"2001::/23", // IETF protocols: Teredo, benchmarks, ORCHID (RFC 2928)
		"2002::/16", // 6to4: has an IPv4 address (RFC 3056)
	)
	// carrierNAT is the network between providers and their customers (RFC 6598).
	carrierNAT = netip.MustParsePrefix("100.64.0.0/10")
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func within(a netip.Addr, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// mayName reports whether a client may name an address as a peer's.
func (r *Relay) mayName(a netip.Addr) bool {
	return slices.Contains(r.config.Addresses, a) || r.isOutside(a)
}

// mayReach reports whether the relay may send a packet to peer: another allocation of this relay, or
// an address outside of this machine's networks.
func (r *Relay) mayReach(peer netip.AddrPort) bool {
	address := peer.Addr().Unmap()
	if slices.Contains(r.config.Addresses, address) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, exists := r.allocations[netip.AddrPortFrom(address, peer.Port())]
		return exists
	}
	return r.isOutside(address)
}

func (r *Relay) isOutside(a netip.Addr) bool {
	switch {
	case !a.IsValid(), a.IsLoopback(), a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), within(a, special4), within(a, special6):
		return false
	case within(a, r.own), a.IsPrivate(), carrierNAT.Contains(a):
		return r.config.AllowPrivate
	}
	return a.Is4() || global6.Contains(a)
}
