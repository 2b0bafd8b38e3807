package survey

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// How often a question is repeated that has no answer (RFC 8489, section 6.2.1, but
// sooner: a person waits).
const (
	firstPause = 100 * time.Millisecond
	questions  = 4
)

// A socket asks STUN servers from one local address.
type socket struct{ conn *net.UDPConn }

// open opens a socket of the address family of at.
func open(at netip.AddrPort) (*socket, error) {
	c, err := listen(at)
	if err != nil {
		return nil, err
	}
	return &socket{c.(*net.UDPConn)}, nil
}

func listen(at netip.AddrPort) (net.PacketConn, error) {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	return net.ListenUDP(network, nil)
}

func (s *socket) close() { _ = s.conn.Close() } // nothing is on its way

// A change says from which of its addresses a server is to answer (RFC 5780, section 7.2).
type change uint32

const (
	changeNothing change = 0
	changePort    change = 2
	changeBoth    change = 6
)

func (c change) AddTo(m *stun.Message) error {
	if c != changeNothing {
		m.Add(stun.AttrChangeRequest, []byte{0, 0, 0, byte(c)}) //nolint:gosec // a bit or two
	}
	return nil
}

// An answer is that of a STUN server.
type answer struct {
	mapped netip.AddrPort // the socket's address, as the server saw it
	other  netip.AddrPort // another address of the server, if it has one (RFC 5780, section 7.4)
}

// ask sends a binding request until there is an answer, from any address. It returns ErrSilent if there is
// none, or the context's error.
func (s *socket) ask(ctx context.Context, server netip.AddrPort, c change) (answer, error) {
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest, c, stun.Fingerprint)
	if err != nil {
		return answer{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })()
	pause := firstPause
	for range questions {
		if _, err := s.conn.WriteToUDPAddrPort(request.Raw, server); err != nil {
			return answer{}, err
		}
		if err := s.conn.SetReadDeadline(time.Now().Add(pause)); err != nil || ctx.Err() != nil {
			return answer{}, context.Cause(ctx)
		}
		pause *= 2
		if a, ok := s.hear(request.TransactionID); ok {
			return a, nil
		}
	}
	return answer{}, ErrSilent
}

// hear waits for the answer with an ID, until the deadline.
func (s *socket) hear(id [stun.TransactionIDSize]byte) (a answer, ok bool) {
	b := make([]byte, 1500)
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return a, false
		}
		m := &stun.Message{Raw: b[:n]}
		if m.Decode() != nil || m.TransactionID != id || m.Type != stun.BindingSuccess {
			continue // the answer to another request
		}
		var seen stun.XORMappedAddress
		if seen.GetFrom(m) != nil {
			continue
		}
		a.mapped = of(seen.IP, seen.Port)
		var other stun.OtherAddress
		if other.GetFrom(m) == nil {
			a.other = of(other.IP, other.Port)
		}
		return a, true
	}
}

func of(ip net.IP, port int) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(port)) //nolint:gosec // a port
}

// near returns the local address from which packets to server go.
func (s *socket) near(server netip.AddrPort) netip.AddrPort {
	c, err := net.Dial("udp", server.String())
	if err != nil {
		return netip.AddrPort{}
	}
	defer c.Close()
	return netip.AddrPortFrom(addrPort(c.LocalAddr()).Addr(), addrPort(s.conn.LocalAddr()).Port())
}
