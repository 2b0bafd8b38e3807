package pionnet

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/pion/transport/v5"
)

// routes remembers by which interface this machine reaches an address.
type routes struct {
	interfaces map[netip.Addr]string // by address: the interface's name

	mu    sync.Mutex // guards what follows
	known map[netip.Addr]string
	open  []*net.UDPConn // and those that were closed since the last one was opened
}

func newRoutes(all []*transport.Interface) *routes {
	r := &routes{interfaces: map[netip.Addr]string{}, known: map[netip.Addr]string{}}
	for _, i := range all {
		for _, a := range addressesOf(i) {
			r.interfaces[a] = i.Name
		}
	}
	return r
}

// to returns the name of the interface from which packets to an address leave: "" if there is
// no route. No packet is sent, see DefaultAddresses.
func (r *routes) to(at netip.Addr) string {
	at = at.Unmap()
	r.mu.Lock()
	defer r.mu.Unlock()
	name, ok := r.known[at]
	if !ok {
		if name = r.interfaces[SourceTo(at)]; name != "" { // a route may come up soon
			r.known[at] = name
		}
	}
	return name
}

// opened notes a socket that may have to stay with its interface, see Net.Stay.
func (r *routes) opened(c any) {
	if u, ok := c.(*net.UDPConn); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.open = append(slices.DeleteFunc(r.open, isClosed), u) // the other side of a call can make this one open any number, one after another
	}
}

func isClosed(u *net.UDPConn) bool {
	raw, err := u.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}

func (r *routes) sockets() []*net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.open)
}

// SourceTo returns the address that this machine's packets to an address come from, which is that of another link if the one of the route has
// no carrier. It is the zero Addr if there is no route.
func SourceTo(at netip.Addr) netip.Addr {
	source := routeTo(at)
	if _, other := standInTo(at, source); other.IsValid() {
		return other
	}
	return source
}

// standInTo returns the link by which packets to an address leave in place of the one of its route, from source, and its address: nil
// unless that one has no carrier.
func standInTo(at, source netip.Addr) (*transport.Interface, netip.Addr) {
	// What goes to an address of this machine goes by loopback, whatever the link that has the address does.
	if !source.IsValid() || source.IsLoopback() || source == at || HasAddress(source) {
		return nil, netip.Addr{}
	}
	return standIn(source, machineLinks())
}

// routeTo returns the address of the link by which the system's routes lead to an address, or the zero Addr.
func routeTo(at netip.Addr) (source netip.Addr) {
	c, err := net.Dial("udp", netip.AddrPortFrom(at, 9).String())
	if err != nil {
		return source
	}
	if a, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil {
		source = a.Addr().Unmap()
	}
	_ = c.Close() // nothing is on its way
	return source
}

// HasAddress reports whether an interface that is up has an address.
func HasAddress(at netip.Addr) bool {
	all, err := net.Interfaces()
	if err != nil {
		return true // it is not known
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 {
			continue
		}
		addresses, _ := i.Addrs() // after an error there are none
		if slices.ContainsFunc(addresses, func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && p.Addr().Unmap() == at
		}) {
			return true
		}
	}
	return false
}

// A routedConn is the socket of an interface without the default route. It sends only where the
// routes lead by that interface.
//
// pion checks each pair of addresses, also from a socket whose interface no route to the other leads by, and
// a NAT translates what a bridge sends to other networks: the other side would see one more address of this
// machine for each bridge and each of its own addresses, and would check them all. If pion paired a local
// candidate only with remote ones that the system routes from it, that would retire this file.
type routedConn struct {
	transport.UDPConn
	routes *routes
	name   string // of the interface
}

// WriteTo drops packets to addresses that the routes reach by another interface, as the network would.
func (c *routedConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if at, err := netip.ParseAddrPort(to.String()); err == nil && c.routes.to(at.Addr()) != c.name {
		return len(b), nil
	}
	return c.UDPConn.WriteTo(b, to)
}

// packets is a UDP socket that makes no net.Addr for each packet. pion uses these methods if a socket has them.
type packets interface {
	transport.UDPConn
	ReadFromAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// A routedPackets is a routedConn that is packets, too.
type routedPackets struct {
	packets
	routed routedConn
}

// WriteTo drops packets to addresses that the routes reach by another interface, as the network would.
func (c *routedPackets) WriteTo(b []byte, to net.Addr) (int, error) { return c.routed.WriteTo(b, to) }

// WriteToAddrPort drops packets to addresses that the routes reach by another interface, as the network would.
func (c *routedPackets) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.routed.routes.to(to.Addr()) != c.routed.name {
		return len(b), nil
	}
	return c.packets.WriteToAddrPort(b, to)
}

// routed returns the socket of an interface as one that keeps to the routes.
func routed(c transport.UDPConn, r *routes, name string) transport.UDPConn {
	conn := routedConn{c, r, name}
	if p, ok := c.(packets); ok {
		return &routedPackets{p, conn}
	}
	return &conn
}
