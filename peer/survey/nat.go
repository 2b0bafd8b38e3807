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

// The behaviours, from easy to difficult. Where the server has one address only, it takes
// a second one to tell the first two apart: then it is PortIndependent.
const (
	Unknown                 Behaviour = "unknown"
	EndpointIndependent     Behaviour = "endpoint-independent"
	PortIndependent         Behaviour = "port-independent"
	AddressDependent        Behaviour = "address-dependent"
	AddressAndPortDependent Behaviour = "address-and-port-dependent"
)

// A NAT is what a server shows of the NAT in front of this machine.
type NAT struct {
	Local     netip.AddrPort // of a socket here
	Mapped    netip.AddrPort // of the same socket, as the server sees it
	Mapping   Behaviour
	Filtering Behaviour
}

// None reports whether there is no NAT: machine and server see the same address.
func (n NAT) None() bool { return n.Mapped.IsValid() && n.Mapped == n.Local }

// ErrNoServer says that there is no STUN server to ask.
var ErrNoServer = errors.New("no STUN server is known")

// Behave finds out how the NAT in front of this machine behaves, with the first STUN
// server that answers: as RFC 5780 says if the server has two addresses, and otherwise with the
// help of a TURN server's relayed port. It returns ErrNoServer if the list has no STUN server, ErrSilent if no server
// answers, or the context's error.
func Behave(ctx context.Context, servers []signaling.ICEServer) (NAT, error) {
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
			if n, err = behave(ctx, u, servers); err == nil {
				return n, nil
			}
		}
	}
	return NAT{Mapping: Unknown, Filtering: Unknown}, err
}

func behave(ctx context.Context, u *stun.URI, servers []signaling.ICEServer) (n NAT, err error) {
	n = NAT{Mapping: Unknown, Filtering: Unknown}
	at, err := resolve(ctx, net.JoinHostPort(u.Host, strconv.Itoa(u.Port)))
	if err != nil {
		return n, err
	}
	s, err := open(at)
	if err != nil {
		return n, err
	}
	defer s.close()
	first, err := s.ask(ctx, at, changeNothing)
	if err != nil {
		return n, err
	}
	n.Local, n.Mapped = s.near(at), first.mapped
	if first.other.IsValid() && first.other.Addr() != at.Addr() {
		n.Mapping, n.Filtering = s.mapping(ctx, at, first), filtering(ctx, at)
		return n, nil
	}
	for _, relay := range servers {
		for _, text := range relay.URLs {
			if u, err := stun.ParseURI(text); err == nil && u.Scheme == stun.SchemeTypeTURN {
				if n.Mapping, n.Filtering, err = s.behindRelay(ctx, u, relay, first.mapped); err == nil {
					return n, nil
				}
			}
		}
	}
	return n, nil
}

// mapping returns the mapping of the socket (RFC 5780, section 4.3).
func (s *socket) mapping(ctx context.Context, at netip.AddrPort, first answer) Behaviour {
	second, err := s.ask(ctx, netip.AddrPortFrom(first.other.Addr(), at.Port()), changeNothing)
	switch {
	case err != nil:
		return Unknown
	case second.mapped == first.mapped:
		return EndpointIndependent
	}
	third, err := s.ask(ctx, first.other, changeNothing)
	switch {
	case err != nil:
		return Unknown
	case third.mapped == second.mapped:
		return AddressDependent
	}
	return AddressAndPortDependent
}

// filtering returns the filtering for a new socket, which has sent packets to no other server (RFC 5780,
// section 4.4).
func filtering(ctx context.Context, at netip.AddrPort) Behaviour {
	for _, c := range []struct {
		change
		Behaviour
	}{{changeBoth, EndpointIndependent}, {changePort, AddressDependent}, {changeNothing, AddressAndPortDependent}} {
		s, err := open(at)
		if err != nil {
			return Unknown
		}
		_, err = s.ask(ctx, at, c.change)
		s.close()
		if err == nil {
			return c.Behaviour
		}
	}
	return Unknown
}

// behindRelay finds out both with a relayed port, which has the server's address: is
// the mapping the same towards that port, and do its packets come in?
func (s *socket) behindRelay(ctx context.Context, u *stun.URI, server signaling.ICEServer, seen netip.AddrPort) (mapping, filtering Behaviour, err error) {
	mapping, filtering = Unknown, Unknown
	r, err := allocate(ctx, u, server)
	if err != nil {
		return mapping, filtering, err
	}
	defer r.close()
	relay := addrPort(r.conn.LocalAddr())
	if err := r.client.CreatePermission(net.UDPAddrFromAddrPort(seen)); err != nil { // the server relays to no address of that kind
		return mapping, filtering, err
	}
	filtering = AddressAndPortDependent
	in := func(b []byte) bool {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		return err == nil && n > 0 && from.Port() == relay.Port()
	}
	if s.exchange(ctx, func() error {
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
	if s.exchange(ctx, func() error { _, err := s.conn.WriteToUDPAddrPort([]byte("is this heard?"), relay); return err }, r.conn.SetReadDeadline, out) {
		mapping = AddressAndPortDependent
		if addrPort(from) == seen {
			mapping = PortIndependent
		}
	}
	return mapping, filtering, nil
}

// exchange sends until hear returns true, a few times.
func (s *socket) exchange(ctx context.Context, send func() error, deadline func(time.Time) error, hear func([]byte) bool) bool {
	b := make([]byte, 100)
	pause := firstPause
	for range questions - 1 {
		if ctx.Err() != nil || send() != nil || deadline(time.Now().Add(pause)) != nil {
			return false
		}
		if hear(b) {
			return true
		}
		pause *= 2
	}
	return false
}
