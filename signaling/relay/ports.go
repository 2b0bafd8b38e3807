package relay

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/pion/turn/v5"
	"golang.org/x/time/rate"
)

// ports opens the port of each allocation, for UDP only.
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
	if c.UserID == "" { // EVEN-PORT (RFC 8656, section 7.2): pion opens a port, closes it, and opens the same port again
		return r.evenPort()
	}
	address, ok := r.address(c.Network != "udp6")
	switch {
	case !ok:
		return nil, nil, errFamily
	case c.RequestedPort != 0 && (c.RequestedPort < int(r.config.FirstPort) || c.RequestedPort > int(r.config.LastPort)):
		return nil, nil, errNoPort
	case !r.acquire(c.UserID):
		return nil, nil, errQuota
	}
	conn, err := r.listen(c, address)
	if err != nil {
		r.release(&allocation{user: c.UserID})
		return nil, nil, err
	}
	at := netip.AddrPortFrom(address, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	b := r.config.Quota.Bandwidth
	a := &allocation{
		UDPConn: conn, relay: r, user: c.UserID, at: at,
		out: rate.NewLimiter(rate.Limit(b), b), in: rate.NewLimiter(rate.Limit(b), b), requests: rate.NewLimiter(requestRate, requestBurst),
		permissions: map[netip.Addr]bool{}, channels: map[uint16]bool{},
	}
	r.mu.Lock()
	r.allocations[at] = a
	r.mu.Unlock()
	r.config.Log.Info("the relay has a new allocation", "user", c.UserID, "at", at)
	return a, net.UDPAddrFromAddrPort(at), nil
}

// listen opens the requested port, or any port that is free and not reserved.
func (r *Relay) listen(c turn.AllocateListenerConfig, address netip.Addr) (*net.UDPConn, error) {
	if c.RequestedPort != 0 {
		port := uint16(c.RequestedPort) //nolint:gosec // AllocatePacketConn has checked it
		r.mu.Lock()
		delete(r.reserved, port) // its reservation ends with this allocation
		r.mu.Unlock()
		if conn, err := open(address, port); err == nil {
			return conn, nil
		}
		return nil, errNoPort
	}
	for range portTries {
		port := r.randomPort()
		r.mu.Lock()
		reserved := time.Now().Before(r.reserved[port])
		r.mu.Unlock()
		if reserved {
			continue
		}
		conn, err := open(address, port)
		if err == nil {
			return conn, nil
		}
		if r.countSocketError(err) { // the other ports would fail as well
			break
		}
	}
	return nil, errNoPort
}

const portTries = 32

func (r *Relay) randomPort() uint16 {
	return r.config.FirstPort + uint16(rand.UintN(uint(r.config.LastPort-r.config.FirstPort)+1)) //nolint:gosec // an attacker who guesses it gains nothing
}

// open opens a port for an allocation at address.
func open(address netip.Addr, port uint16) (*net.UDPConn, error) {
	family := "udp6"
	if address.Is4() {
		family = "udp4"
	}
	return net.ListenUDP(family, &net.UDPAddr{IP: bindAddress(address), Port: int(port)})
}

// Bounds of reserved ports (RFC 8656, section 7.2). pion forgets a reservation's token after
// reservedTime.
const (
	maxReserved  = 1024
	reservedTime = 30 * time.Second
)

// evenPort finds an even port that is free, and whose next port is free too, and reserves both. pion
// makes a token for the next port even if the client does not ask for it.
func (r *Relay) evenPort() (net.PacketConn, net.Addr, error) {
	for range portTries {
		port := r.randomPort() &^ 1
		if port < r.config.FirstPort || port >= r.config.LastPort || !r.isFree(port) || !r.isFree(port+1) {
			continue
		}
		if !r.reserve(port) {
			break
		}
		return reservedPort{}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.config.Addresses[0], port)), nil
	}
	return nil, nil, errNoPort
}

// isFree reports whether a port can be opened at all of the relay's addresses.
func (r *Relay) isFree(port uint16) bool {
	for _, a := range r.config.Addresses {
		conn, err := open(a, port)
		if err != nil {
			return false
		}
		_ = conn.Close() // nothing was sent
	}
	return true
}

// reserve keeps a port and the next one from allocations that ask for any port.
func (r *Relay) reserve(port uint16) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.reserved, func(_ uint16, until time.Time) bool { return now.After(until) })
	if len(r.reserved) >= maxReserved || now.Before(r.reserved[port]) || now.Before(r.reserved[port+1]) {
		return false
	}
	r.reserved[port], r.reserved[port+1] = now.Add(reservedTime), now.Add(reservedTime)
	return true
}

// A reservedPort stands for a port that is reserved and not yet open.
type reservedPort struct{ net.PacketConn }

func (reservedPort) Close() error { return nil }

// bindAddress returns the local address for ports at address: address itself, or the unspecified
// address if address belongs to a router in front of this machine.
func bindAddress(address netip.Addr) net.IP {
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

func (c *allocation) Close() error {
	c.closeOnce.Do(func() {
		c.relay.release(c)
		c.relay.config.Log.Info("an allocation of the relay has ended", "user", c.user, "bytes_sent", c.sent.Load(), "bytes_received", c.received.Load())
	})
	return c.UDPConn.Close()
}

func (c *allocation) WriteTo(b []byte, to net.Addr) (int, error) {
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

func (c *allocation) ReadFrom(b []byte) (n int, from net.Addr, err error) {
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
