package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
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
	errQuota   = errors.New("the quota is used up")
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
	address, ok := r.address(c.Network != "udp6")
	switch {
	case !ok:
		return nil, nil, errFamily
	case c.UserID == "": // pion looks for two ports that are neighbours, for whoever asks
		return nil, nil, errNoPort
	case c.RequestedPort != 0 && (c.RequestedPort < int(r.config.FirstPort) || c.RequestedPort > int(r.config.LastPort)):
		return nil, nil, errNoPort
	case !r.take(c.UserID):
		return nil, nil, errQuota
	}
	conn, err := r.listen(c, address)
	if err != nil {
		r.give(c.UserID, netip.AddrPort{})
		return nil, nil, err
	}
	at := netip.AddrPortFrom(address, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	r.mu.Lock()
	r.taken[at] = struct{}{}
	r.mu.Unlock()
	b := r.config.Quota.Bandwidth
	r.config.Log.Info("the relay has a new allocation", "user", c.UserID, "at", at)
	return &relayed{
		UDPConn: conn, relay: r, user: c.UserID, at: at,
		out: rate.NewLimiter(rate.Limit(b), b), in: rate.NewLimiter(rate.Limit(b), b),
	}, net.UDPAddrFromAddrPort(at), nil
}

// listen opens a port that is free.
func (r *Relay) listen(c turn.AllocateListenerConfig, address netip.Addr) (*net.UDPConn, error) {
	tries := 32
	if c.RequestedPort != 0 {
		tries = 1
	}
	for range tries {
		port := r.config.FirstPort + uint16(rand.UintN(uint(r.config.LastPort-r.config.FirstPort)+1)) //nolint:gosec // whoever guesses it gains nothing
		if c.RequestedPort != 0 {
			port = uint16(c.RequestedPort) //nolint:gosec // it is one
		}
		if conn, err := net.ListenUDP(c.Network, &net.UDPAddr{IP: bind(address), Port: int(port)}); err == nil {
			return conn, nil
		}
	}
	return nil, errNoPort
}

// bind is the local address of allocations at address: that, or any where it belongs to a
// router in front of this machine.
func bind(address netip.Addr) net.IP {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr() == address {
			return address.AsSlice()
		}
	}
	return nil
}

// relayed is the port of an allocation. What is over the bandwidth is dropped, as a
// full line would.
type relayed struct {
	*net.UDPConn
	relay   *Relay
	user    string
	at      netip.AddrPort
	out, in *rate.Limiter

	sent, received atomic.Uint64 // bytes
	closing        sync.Once
}

func (c *relayed) Close() error {
	c.closing.Do(func() {
		c.relay.give(c.user, c.at)
		c.relay.config.Log.Info("an allocation of the relay has ended", "user", c.user, "bytes_sent", c.sent.Load(), "bytes_received", c.received.Load())
	})
	return c.UDPConn.Close()
}

func (c *relayed) WriteTo(b []byte, to net.Addr) (int, error) {
	peer, err := netip.ParseAddrPort(to.String())
	if err != nil || !c.relay.mayReach(peer) {
		return 0, fmt.Errorf("%w: %v", errRefused, to)
	}
	if !c.out.AllowN(time.Now(), len(b)) {
		c.relay.dropped.Add(uint64(len(b)))
		return len(b), nil
	}
	n, err := c.UDPConn.WriteTo(b, to)
	c.sent.Add(uint64(n))       //nolint:gosec // never negative
	c.relay.sent.Add(uint64(n)) //nolint:gosec // never negative
	return n, err
}

func (c *relayed) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	for {
		n, from, err = c.UDPConn.ReadFrom(b)
		count := uint64(n) //nolint:gosec // never negative
		if err == nil && !c.in.AllowN(time.Now(), n) {
			c.relay.dropped.Add(count)
			continue
		}
		c.received.Add(count)
		c.relay.received.Add(count)
		return n, from, err
	}
}

// permit tells whether a client may name an address as a peer's at all.
func (r *Relay) permit(_ net.Addr, peer net.IP) bool {
	address, ok := netip.AddrFromSlice(peer)
	return ok && (slices.Contains(r.config.Addresses, address.Unmap()) || r.isOutside(address.Unmap()))
}

// mayReach tells whether a packet may go to peer: to the allocation of another one here,
// or out of this machine's networks.
func (r *Relay) mayReach(peer netip.AddrPort) bool {
	address := peer.Addr().Unmap()
	if slices.Contains(r.config.Addresses, address) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, taken := r.taken[netip.AddrPortFrom(address, peer.Port())]
		return taken
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
	case slices.ContainsFunc(r.own, func(p netip.Prefix) bool { return p.Contains(address) }):
		return r.config.AllowPrivate
	case slices.ContainsFunc(disguised, func(p netip.Prefix) bool { return p.Contains(address) }):
		return false
	case address.IsPrivate(), shared.Contains(address):
		return r.config.AllowPrivate
	}
	return true
}
