package survey

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pion/stun/v4"

	"p2pchat/signaling"
)

// A Behaviour is what a NAT's mapping or filtering depends on (RFC 4787, sections 4.1 and 5).
type Behaviour string

// The behaviours, from easy to difficult. PortIndependent is either EndpointIndependent or
// AddressDependent: a server with one address cannot tell.
const (
	Unknown                 Behaviour = "unknown"
	EndpointIndependent     Behaviour = "endpoint-independent"
	PortIndependent         Behaviour = "port-independent"
	AddressDependent        Behaviour = "address-dependent"
	AddressAndPortDependent Behaviour = "address-and-port-dependent"
)

// A NAT describes the address translation between this machine and a server.
type NAT struct {
	Local     netip.AddrPort // of a socket on this machine
	Mapped    netip.AddrPort // of the same socket, as the server sees it
	Mapping   Behaviour
	Filtering Behaviour
}

// None reports whether there is no NAT: the local address is the mapped one.
func (n NAT) None() bool { return n.Mapped.IsValid() && n.Mapped == n.Local }

// ErrNoServer is returned if no server speaks STUN over UDP.
var ErrNoServer = errors.New("no STUN server is known")

// Behave finds out how the NAT in front of this machine behaves. It uses the first STUN server that
// replies, as in RFC 5780 if that server has two addresses, and otherwise with the help of an
// allocation on a TURN server. It returns ErrNoServer, ErrSilent or the context's error.
func Behave(ctx context.Context, servers []signaling.ICEServer) (NAT, error) {
	return machine.behave(ctx, servers)
}

func (p prober) behave(ctx context.Context, servers []signaling.ICEServer) (NAT, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	err := ErrNoServer
	for _, s := range servers {
		for _, text := range s.URLs {
			u, wrong := stun.ParseURI(text)
			if wrong != nil || u.Proto != stun.ProtoTypeUDP || u.Scheme == stun.SchemeTypeSTUNS || u.Scheme == stun.SchemeTypeTURNS {
				continue
			}
			var n NAT
			if n, err = p.behaveAt(ctx, u, servers); err == nil {
				return n, nil
			}
		}
	}
	return NAT{Mapping: Unknown, Filtering: Unknown}, err
}

func (p prober) behaveAt(ctx context.Context, u *stun.URI, servers []signaling.ICEServer) (n NAT, err error) {
	n = NAT{Mapping: Unknown, Filtering: Unknown}
	at, err := p.resolve(ctx, net.JoinHostPort(u.Host, strconv.Itoa(u.Port)))
	if err != nil {
		return n, err
	}
	s, err := p.open(at)
	if err != nil {
		return n, err
	}
	defer s.close()
	first, err := s.request(ctx, at, changeNothing)
	if err != nil {
		return n, err
	}
	n.Mapped = first.mapped
	if local, ok := p.localAddr(at); ok {
		n.Local = netip.AddrPortFrom(local, addrPort(s.conn.LocalAddr()).Port())
	}
	if first.other.IsValid() && first.other.Addr() != at.Addr() {
		n.Mapping, n.Filtering = s.mapping(ctx, at, first), p.filtering(ctx, at)
		return n, nil
	}
	for _, relay := range servers {
		for _, text := range relay.URLs {
			if u, err := stun.ParseURI(text); err == nil && u.Scheme == stun.SchemeTypeTURN {
				if n.Mapping, n.Filtering, err = p.behaveWithRelay(ctx, s, u, relay, first.mapped); err == nil {
					return n, nil
				}
			}
		}
	}
	return n, nil
}

// mapping finds out the mapping for the socket (RFC 5780, section 4.3).
func (s *socket) mapping(ctx context.Context, at netip.AddrPort, first binding) Behaviour {
	second, err := s.request(ctx, netip.AddrPortFrom(first.other.Addr(), at.Port()), changeNothing)
	switch {
	case err != nil:
		return Unknown
	case second.mapped == first.mapped:
		return EndpointIndependent
	}
	third, err := s.request(ctx, first.other, changeNothing)
	switch {
	case err != nil:
		return Unknown
	case third.mapped == second.mapped:
		return AddressDependent
	}
	return AddressAndPortDependent
}

// filtering finds out the filtering for new sockets, which have sent nothing to other addresses
// (RFC 5780, section 4.4).
func (p prober) filtering(ctx context.Context, at netip.AddrPort) Behaviour {
	for _, c := range []struct {
		change
		Behaviour
	}{{changeBoth, EndpointIndependent}, {changePort, AddressDependent}, {changeNothing, AddressAndPortDependent}} {
		s, err := p.open(at)
		if err != nil {
			return Unknown
		}
		_, err = s.request(ctx, at, c.change)
		s.close()
		if err == nil {
			return c.Behaviour
		}
	}
	return Unknown
}

// behaveWithRelay finds out both with an allocation, which is another port at the server's address:
// whether the mapping towards it is the same, and whether its packets come in.
func (p prober) behaveWithRelay(ctx context.Context, s *socket, u *stun.URI, server signaling.ICEServer, seen netip.AddrPort) (mapping, filtering Behaviour, err error) {
	mapping, filtering = Unknown, Unknown
	r, err := p.allocate(ctx, u, server)
	if err != nil {
		return mapping, filtering, err
	}
	defer r.close()
	relay := addrPort(r.conn.LocalAddr())
	if err := r.client.CreatePermission(net.UDPAddrFromAddrPort(seen)); err != nil { // the server sends nothing to such an address
		return mapping, filtering, err
	}
	filtering = AddressAndPortDependent
	in := func(b []byte) bool {
		n, from, err := s.conn.ReadFrom(b)
		return err == nil && n > 0 && addrPort(from).Port() == relay.Port()
	}
	if exchange(ctx, func() error {
		_, err := r.conn.WriteTo([]byte("is this heard?"), net.UDPAddrFromAddrPort(seen))
		return err
	}, s.conn.SetReadDeadline, in) {
		filtering = PortIndependent
	}
	var from net.Addr
	out := func(b []byte) bool {
		var err error
		_, from, err = r.conn.ReadFrom(b)
		return err == nil
	}
	if exchange(ctx, func() error { return s.send([]byte("is this heard?"), relay) }, r.conn.SetReadDeadline, out) {
		mapping = AddressAndPortDependent
		if addrPort(from) == seen {
			mapping = PortIndependent
		}
	}
	return mapping, filtering, nil
}

// exchange sends until a packet is received, a few times. It reports whether one was.
func exchange(ctx context.Context, send func() error, deadline func(time.Time) error, receive func([]byte) bool) bool {
	b := make([]byte, 100)
	interval := firstInterval
	for range maxRequests - 1 {
		if ctx.Err() != nil || send() != nil || deadline(time.Now().Add(interval)) != nil {
			return false
		}
		if receive(b) {
			return true
		}
		interval *= 2
	}
	return false
}
