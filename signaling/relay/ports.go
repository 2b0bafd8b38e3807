package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/turn/v5"
	"golang.org/x/time/rate"
)

// ports opens the port of each allocation. It relays UDP alone.
type ports struct{ relay *Relay }

var (
	errNoPort  = errors.New("no port of the relay's is free")
	errTCP     = errors.New("the relay carries UDP alone")
	errFamily  = errors.New("the relay has no address of that family")
	errRefused = errors.New("the relay carries nothing to that address")
)

// Validate implements turn.RelayAddressGenerator.
func (p *ports) Validate() error { return nil }

// AllocateListener implements turn.RelayAddressGenerator.
func (p *ports) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errTCP
}

// AllocateConn implements turn.RelayAddressGenerator.
func (p *ports) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errTCP }

// AllocatePacketConn implements turn.RelayAddressGenerator.
func (p *ports) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	r := p.relay
	address := r.config.Address
	if (c.Network == "udp6") != address.Is6() {
		return nil, nil, errFamily
	}
	const tries = 32
	for range tries {
		port := r.config.FirstPort + uint16(rand.UintN(uint(r.config.LastPort-r.config.FirstPort)+1)) //nolint:gosec // whoever guesses it gains nothing
		if c.RequestedPort != 0 {
			port = uint16(c.RequestedPort) //nolint:gosec // it is one
		}
		conn, err := net.ListenUDP(c.Network, &net.UDPAddr{IP: r.bind(), Port: int(port)})
		if err != nil {
			continue
		}
		b := r.config.Quota.Bandwidth
		return &relayed{UDPConn: conn, relay: r, out: rate.NewLimiter(rate.Limit(b), b), in: rate.NewLimiter(rate.Limit(b), b)},
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, port)), nil
	}
	return nil, nil, errNoPort
}

// bind is the local address of allocations: the relay's own, or any where that belongs
// to a router in front of this machine.
func (r *Relay) bind() net.IP {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr() == r.config.Address {
			return r.config.Address.AsSlice()
		}
	}
	return nil
}

// relayed is the port of an allocation. What is over the bandwidth is dropped, as a
// full line would.
type relayed struct {
	*net.UDPConn
	relay   *Relay
	out, in *rate.Limiter
}

func (c *relayed) WriteTo(b []byte, to net.Addr) (int, error) {
	peer, err := netip.ParseAddrPort(to.String())
	if err != nil || !c.relay.mayReach(peer) {
		return 0, fmt.Errorf("%w: %v", errRefused, to)
	}
	if !c.out.AllowN(time.Now(), len(b)) {
		return len(b), nil
	}
	return c.UDPConn.WriteTo(b, to)
}

func (c *relayed) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	for {
		n, from, err = c.UDPConn.ReadFrom(b)
		if err != nil || c.in.AllowN(time.Now(), n) {
			return n, from, err
		}
	}
}

// permit tells whether a client may name an address as a peer's at all.
func (r *Relay) permit(_ net.Addr, peer net.IP) bool {
	address, ok := netip.AddrFromSlice(peer)
	return ok && (address.Unmap() == r.config.Address || r.isOutside(address.Unmap()))
}

// mayReach tells whether a packet may go to peer: to the allocation of another one here,
// or out of this machine's networks.
func (r *Relay) mayReach(peer netip.AddrPort) bool {
	address := peer.Addr().Unmap()
	if address == r.config.Address {
		return r.config.FirstPort <= peer.Port() && peer.Port() <= r.config.LastPort
	}
	return r.isOutside(address)
}

var (
	// shared is what carriers use between them and their customers (RFC 6598).
	shared = netip.MustParsePrefix("100.64.0.0/10")
	// disguised are the forms of IPv6 in which a router may see an IPv4 address: NAT64
	// (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
	disguised = []netip.Prefix{
		netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	}
)

func (r *Relay) isOutside(address netip.Addr) bool {
	switch {
	case address.IsLoopback(), address.IsUnspecified(), address.IsMulticast(), address.IsLinkLocalUnicast(), !address.IsValid(),
		address.Is4() && (address.As4()[0] == 0 || address.As4()[0] >= 240): // this network; reserved, broadcast
		return false
	case slices.ContainsFunc(disguised, func(p netip.Prefix) bool { return p.Contains(address) }):
		return false
	case address.IsPrivate(), shared.Contains(address):
		return r.config.AllowPrivate
	}
	return true
}
