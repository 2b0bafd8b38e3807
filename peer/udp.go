package peer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// lookupLimit is how long a name server, or a TURN server over TCP, may take.
const lookupLimit = 5 * time.Second

// A machineNet is the machine's network: with faster sockets, the interfaces that are worth
// offering, and look-ups and connections that end with a context, which pion's do not.
type machineNet struct {
	*stdnet.Net
	ctx        context.Context
	interfaces []*transport.Interface
	routes     *routes
}

func newMachineNet(ctx context.Context) (*machineNet, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	all, err := n.Interfaces()
	if err != nil {
		return nil, err
	}
	return &machineNet{n, ctx, usable(all, defaultAddresses()), newRoutes(all)}, nil
}

// Interfaces is where ICE gathers addresses from.
func (n *machineNet) Interfaces() ([]*transport.Interface, error) { return n.interfaces, nil }

// ListenUDP is where ICE gets its sockets from.
func (n *machineNet) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, at)
	if err != nil {
		return nil, err
	}
	c = fast(c)
	if at == nil {
		return c, nil
	}
	a, _ := netip.AddrFromSlice(at.IP) // or else it is any interface's
	name := n.routes.interfaces[a.Unmap()]
	if len(n.interfaces) > 1 && slices.ContainsFunc(n.interfaces[1:], func(i *transport.Interface) bool { return i.Name == name }) {
		return routed(c, n.routes, name), nil
	}
	return c, nil
}

// ResolveUDPAddr finds the address of a STUN or TURN server.
func (n *machineNet) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	at, err := n.resolve(network, address)
	if err != nil {
		return nil, err
	}
	return n.Net.ResolveUDPAddr(network, at)
}

// ResolveTCPAddr finds the address of a TURN server.
func (n *machineNet) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	at, err := n.resolve(network, address)
	if err != nil {
		return nil, err
	}
	return n.Net.ResolveTCPAddr(network, at)
}

// resolve replaces the name in an address.
func (n *machineNet) resolve(network, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return address, nil
	}
	ctx, cancel := context.WithTimeout(n.ctx, lookupLimit)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, map[byte]string{'4': "ip4", '6': "ip6"}[network[len(network)-1]], host)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(found[0].Unmap().String(), port), nil
}

// DialTCP connects to a TURN server.
func (n *machineNet) DialTCP(network string, local, remote *net.TCPAddr) (transport.TCPConn, error) {
	d := net.Dialer{Timeout: lookupLimit}
	if local != nil {
		d.LocalAddr = local
	}
	c, err := d.DialContext(n.ctx, network, remote.String())
	if err != nil {
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close() // nothing is on its way
		return nil, errors.New("it is not a TCP connection")
	}
	return t, nil
}
