package pionnet

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/pion/transport/v5"
)

// A link without a carrier, such as a cable that was unplugged, may keep its addresses and routes: Linux then sends packets into it
// until another program removes them. Until then, the sockets of this program send by another link that has a carrier. A socket
// never leaves a tunnel, or enters one that no route leads through.
//
// pion does not look at carriers. If it gathered no candidate on a link without one, and let sockets choose their interface, that
// would retire this file.

// standIn returns the link that takes the place of the one with an address, and its address of the same family. It returns nil if
// that link has a carrier, or no other one has.
func standIn(of netip.Addr, all []*transport.Interface) (*transport.Interface, netip.Addr) {
	if !canSteer || !of.IsValid() || of.IsLoopback() {
		return nil, netip.Addr{}
	}
	const up, alive = net.FlagUp, net.FlagUp | net.FlagRunning
	dead := slices.ContainsFunc(all, func(i *transport.Interface) bool {
		return i.Flags&alive == up && slices.Contains(addressesOf(i), of) && !isTunnel(i)
	})
	if !dead {
		return nil, netip.Addr{}
	}
	for _, i := range all {
		if i.Flags&(alive|net.FlagLoopback) != alive || isBridge(i.Name) || isTunnel(i) {
			continue
		}
		for _, a := range addressesOf(i) {
			if a.Is4() == of.Is4() {
				return i, a
			}
		}
	}
	return nil, netip.Addr{}
}

// machineLinks returns the links of this machine.
func machineLinks() []*transport.Interface {
	list, _ := net.Interfaces() // after an error there are none
	links := make([]*transport.Interface, len(list))
	for n, i := range list {
		links[n] = transport.NewInterface(i)
		addresses, _ := i.Addrs() // after an error there are none
		for _, a := range addresses {
			links[n].AddAddress(a)
		}
	}
	return links
}

// withStandIns returns addresses, each of a link without a carrier replaced by that of the one that stands in for it. It is SourceTo for
// links that are known: to read them takes longer than all else that an attempt asks the system.
func withStandIns(sources []netip.Addr, all []*transport.Interface) []netip.Addr {
	const alive = net.FlagUp | net.FlagRunning
	list := slices.Clone(sources)
	for i, source := range list {
		works := slices.ContainsFunc(all, func(i *transport.Interface) bool {
			return i.Flags&alive == alive && slices.Contains(addressesOf(i), source)
		})
		if _, other := standIn(source, all); !works && other.IsValid() {
			list[i] = other
		}
	}
	return list
}

// avoidsDeadLink reports whether a link stands in for that of each default route; sources are their addresses. Where one family's route
// works, perhaps through a tunnel, the sockets of both keep to the routes: one without an address does not say which family it is for.
func avoidsDeadLink(sources []netip.Addr, all []*transport.Interface) bool {
	return len(sources) > 0 && !slices.ContainsFunc(sources, func(source netip.Addr) bool {
		link, _ := standIn(source, all)
		return link == nil
	})
}

// resolver asks name servers, on Linux also past a link without a carrier.
var resolver = &net.Resolver{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Control: AvoidDeadLink}).DialContext(ctx, network, address)
}}
