package survey

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// Retransmissions of a request (RFC 8489, section 6.2.1, but sooner, because a person waits). The
// interval doubles each time.
const (
	firstInterval = 100 * time.Millisecond
	maxRequests   = 4
)

// A socket sends requests to STUN servers, all of which see the same local address.
type socket struct{ conn net.PacketConn }

// open opens a socket of the address family of server.
func (p prober) open(server netip.AddrPort) (*socket, error) {
	c, err := p.listen(family(server))
	if err != nil {
		return nil, err
	}
	return &socket{c}, nil
}

func family(at netip.AddrPort) string {
	if at.Addr().Is6() {
		return "udp6"
	}
	return "udp4"
}

func (s *socket) send(b []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

func (s *socket) close() { _ = s.conn.Close() } // nothing is being sent

// A change asks a server to reply from another port or address (RFC 5780, section 7.2).
type change uint32

const (
	changeNothing change = 0
	changePort    change = 2
	changeBoth    change = 6
)

func (c change) AddTo(m *stun.Message) error {
	if c != changeNothing {
		m.Add(stun.AttrChangeRequest, []byte{0, 0, 0, byte(c)}) //nolint:gosec // it fits
	}
	return nil
}

// A binding is a STUN server's response to a binding request.
type binding struct {
	mapped netip.AddrPort // the client's address as the server sees it
	other  netip.AddrPort // another address of the server, if it has one (RFC 5780, section 7.4)
}

// request sends a binding request until there is a response, which may come from any address. It
// returns ErrSilent if there is none, or the context's error.
func (s *socket) request(ctx context.Context, server netip.AddrPort, c change) (binding, error) {
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest, c, stun.Fingerprint)
	if err != nil {
		return binding{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })()
	interval := firstInterval
	for range maxRequests {
		if err := s.send(request.Raw, server); err != nil {
			return binding{}, err
		}
		if err := s.conn.SetReadDeadline(time.Now().Add(interval)); err != nil || ctx.Err() != nil {
			return binding{}, context.Cause(ctx)
		}
		interval *= 2
		if a, ok := s.response(request.TransactionID); ok {
			return a, nil
		}
	}
	return binding{}, ErrSilent
}

// response waits for the response with that ID, until the read deadline.
func (s *socket) response(id [stun.TransactionIDSize]byte) (a binding, ok bool) {
	b := make([]byte, 1500)
	for {
		n, _, err := s.conn.ReadFrom(b)
		if err != nil {
			return a, false
		}
		m := &stun.Message{Raw: b[:n]}
		if m.Decode() != nil || m.TransactionID != id || m.Type != stun.BindingSuccess {
			continue // to another request
		}
		var seen stun.XORMappedAddress
		if seen.GetFrom(m) != nil {
			continue
		}
		a.mapped = join(seen.IP, seen.Port)
		var other stun.OtherAddress
		if other.GetFrom(m) == nil {
			a.other = join(other.IP, other.Port)
		}
		return a, true
	}
}

func join(ip net.IP, port int) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(port)) //nolint:gosec // a port
}
