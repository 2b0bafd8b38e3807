package pionnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// lookupLimit is how long a name server, or a TURN server over TCP, may take.
const lookupLimit = 5 * time.Second

// An IPv6 address takes no socket while the machine asks whether another one has it: for 1 s, after up to 1 s, from when its link came
// up (RFC 4862, sections 5.4.2 and 10; Linux).
const (
	tentativeLimit = 2 * time.Second
	tentativePause = 100 * time.Millisecond // between two tries
)

// A Net is the machine's network, with fast sockets and the interfaces that are worth offering.
//
// pion's look-ups of STUN and TURN servers, and its connections to them, take no context: closing a
// PeerConnection waits for a name server that is silent. A Net ends them with the context that NewNet was
// given. A context in transport.Net's methods would retire that part.
type Net struct {
	*stdnet.Net
	ctx        context.Context
	interfaces []*transport.Interface
	routes     *routes
	steered    bool      // see Elsewhere
	avoids     bool      // a dead link: sockets send by their own interface, and still keep to the routes
	settled    time.Time // from when on no address is tentative that NewNet has seen
}

// NewNet returns the machine's network. Its look-ups and connections end with ctx.
func NewNet(ctx context.Context) (*Net, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("looking at this machine's network: %w", err)
	}
	all, err := n.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("looking at this machine's network: %w", err)
	}
	sources := defaultSources()
	return &Net{n, ctx, usable(all, withStandIns(sources, all)), newRoutes(all), false, avoidsDeadLink(sources, all), time.Now().Add(tentativeLimit)}, nil
}

// Until returns a machine's network whose look-ups and connections end with ctx.
func Until(ctx context.Context, machine transport.Net) transport.Net {
	n, ok := machine.(*Net)
	if !ok {
		return machine
	}
	c := *n
	c.ctx = ctx
	return &c
}

// Interfaces returns the interfaces from which ICE gathers addresses, the one with the default route first.
func (n *Net) Interfaces() ([]*transport.Interface, error) { return n.interfaces, nil }

// ListenUDP opens a socket for ICE.
func (n *Net) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.listenUDP(network, at)
	if err != nil {
		return nil, err
	}
	if n.steered || n.avoids {
		if err := n.steer(c, at); err != nil {
			_ = c.Close() // nothing is on its way
			return nil, err
		}
	}
	n.routes.opened(c)
	c = batched(c)
	if at == nil || n.steered {
		return c, nil
	}
	a, _ := netip.AddrFromSlice(at.IP) // without an address, the socket belongs to no interface
	name := n.routes.interfaces[a.Unmap()]
	if len(n.interfaces) > 1 && slices.ContainsFunc(n.interfaces[1:], func(i *transport.Interface) bool { return i.Name == name }) {
		return routed(c, n.routes, name), nil
	}
	return c, nil
}

// listenUDP waits until an IPv6 address is no longer tentative. Else an attempt would lack it, and where it is the only way, fail.
func (n *Net) listenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	for {
		c, err := n.Net.ListenUDP(network, at)
		if !errors.Is(err, syscall.EADDRNOTAVAIL) || at == nil || at.IP.To4() != nil || time.Now().After(n.settled) {
			return c, err
		}
		select {
		case <-time.After(tentativePause):
		case <-n.ctx.Done():
			return nil, err
		}
	}
}

// ResolveUDPAddr looks up the address of a STUN or TURN server.
func (n *Net) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	at, err := n.resolve(network, address)
	if err != nil {
		return nil, err
	}
	return n.Net.ResolveUDPAddr(network, at)
}

// ResolveTCPAddr looks up the address of a TURN server.
func (n *Net) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	at, err := n.resolve(network, address)
	if err != nil {
		return nil, err
	}
	return n.Net.ResolveTCPAddr(network, at)
}

// resolve returns address with the host's name replaced by its IP address.
func (n *Net) resolve(network, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return address, nil
	}
	ctx, cancel := context.WithTimeout(n.ctx, lookupLimit)
	defer cancel()
	found, err := resolver.LookupNetIP(ctx, map[byte]string{'4': "ip4", '6': "ip6"}[network[len(network)-1]], host)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(found[0].Unmap().String(), port), nil
}

// DialTCP connects to a TURN server.
func (n *Net) DialTCP(network string, local, remote *net.TCPAddr) (transport.TCPConn, error) {
	d := net.Dialer{Timeout: lookupLimit, Control: AvoidDeadLink}
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
