package pionnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/pion/transport/v5"
)

var errNowhereElse = errors.New("packets can leave from no other address")

// Elsewhere returns a machine's network without the interface that has an address. Unlike that of Without, each of its sockets sends by the interface whose
// address it has, even if the routes prefer another one; a socket without an address sends by the first. It returns an error if
// packets can leave from no other address of that family, or the address is a tunnel's: what goes through a VPN must not leave beside it.
//
// pion binds a socket to an address, and leaves the interface to the routes. A setting of pion for the interface of a socket would
// retire this file.
func Elsewhere(machine transport.Net, at netip.Addr) (transport.Net, error) {
	others, err := Without(machine, at)
	if err != nil {
		return nil, err
	}
	all, _ := machine.Interfaces() // Without has asked already
	if slices.ContainsFunc(all, func(i *transport.Interface) bool {
		return slices.Contains(addressesOf(i), at) && isTunnel(i)
	}) {
		return nil, errNowhereElse
	}
	list, err := others.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("looking at this machine's network: %w", err)
	}
	list = slices.DeleteFunc(slices.Clone(list), func(i *transport.Interface) bool {
		return !slices.ContainsFunc(addressesOf(i), func(a netip.Addr) bool { return a.Is4() == at.Is4() })
	})
	n, ok := others.(*Net)
	if ok { // other addresses of the interface leave by it, too
		list = slices.DeleteFunc(list, func(i *transport.Interface) bool {
			return slices.ContainsFunc(all, func(o *transport.Interface) bool { return o.Index == i.Index && slices.Contains(addressesOf(o), at) })
		})
	}
	switch {
	case len(list) == 0:
		return nil, errNowhereElse
	case !ok:
		return others, nil
	case !canSteer:
		return nil, errors.ErrUnsupported
	}
	n.interfaces, n.steered = list, true
	return n, nil
}

// isTunnel reports whether a VPN may carry the packets of an interface.
func isTunnel(i *transport.Interface) bool { return i.Flags&net.FlagPointToPoint != 0 || isTap(i.Name) }

// FirstAddress returns the address of a family from which a socket without an address sends on a network that Elsewhere has returned, or the zero Addr.
func FirstAddress(elsewhere transport.Net, is4 bool) netip.Addr {
	list, err := elsewhere.Interfaces()
	if err != nil || len(list) == 0 {
		return netip.Addr{}
	}
	for _, a := range addressesOf(list[0]) {
		if a.Is4() == is4 {
			return a
		}
	}
	return netip.Addr{}
}

// steer makes a socket send by the interface that has its address, or by the first one.
func (n *Net) steer(c any, at *net.UDPAddr) error {
	u, ok := c.(*net.UDPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	by := n.interfaces[0]
	if at != nil && !at.IP.IsUnspecified() {
		a, _ := netip.AddrFromSlice(at.IP) // the zero Addr is none of theirs
		for _, i := range n.interfaces {
			if slices.Contains(addressesOf(i), a.Unmap()) {
				by = i
			}
		}
	}
	return sendBy(u, by.Index)
}

// ListenPacket opens a socket to a TURN server.
func (n *Net) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := n.Net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	if n.steered || n.avoids {
		if err := n.steer(c, nil); err != nil {
			_ = c.Close() // nothing is on its way
			return nil, err
		}
	}
	n.routes.opened(c)
	return c, nil
}

// Stay makes the packets of the open sockets that leave from an address go on by its interface, although the routes lead by that of another
// address now: else they would come from an address that the other side does not know, or leave by a network that does not know theirs.
// It does nothing where sockets cannot be steered, and if the routes lead into a tunnel: what goes through a VPN must not leave beside it.
func (n *Net) Stay(at, now netip.Addr) {
	index := slices.IndexFunc(n.interfaces, func(i *transport.Interface) bool { return slices.Contains(addressesOf(i), at) })
	if n.steered || !canSteer || index < 0 || slices.ContainsFunc(machineLinks(), func(i *transport.Interface) bool {
		return slices.Contains(addressesOf(i), now) && isTunnel(i)
	}) {
		return
	}
	for _, c := range n.routes.sockets() {
		if from := addrPortOf(c.LocalAddr()).Addr(); from == at || from.IsUnspecified() && from.Is4() == at.Is4() {
			_ = sendBy(c, n.interfaces[index].Index) // an error means that it is closed
		}
	}
}
