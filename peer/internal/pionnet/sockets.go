package pionnet

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
)

// A Sockets lets QUIC share the UDP sockets of an ICE agent, and with them the paths that ICE has found.
//
// The first byte of a packet says whose it is: 64 or more is QUIC's, less is STUN's or DTLS's (RFC 9443, section 3). The
// other two protocols there, SRTP and the channels of TURN, have no packets on these sockets. pion's own multiplexer
// knows three protocols, and shows its sockets to no one. If it had a place for a fourth, that would retire this file.
type Sockets struct {
	beside atomic.Pointer[Beside] // nil: all packets are for ICE

	mu    sync.Mutex // guards what follows
	open  map[netip.AddrPort]*sharedSocket
	known map[netip.AddrPort]bool // sources of checks
}

// firstOfQUIC is the least first byte of a QUIC packet.
const firstOfQUIC = 64

// Share returns a network whose UDP sockets for ICE can be shared, on another network.
func (s *Sockets) Share(n transport.Net) transport.Net { return &sharingNet{n, s} }

type sharingNet struct {
	transport.Net
	sockets *Sockets
}

// ListenUDP opens a socket for ICE.
func (n *sharingNet) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, at)
	if err != nil {
		return nil, err
	}
	s := &sharedSocket{packets: packetsOf(c), owner: n.sockets, at: addrPortOf(c.LocalAddr())}
	n.sockets.mu.Lock()
	defer n.sockets.mu.Unlock()
	if n.sockets.open == nil {
		n.sockets.open = map[netip.AddrPort]*sharedSocket{}
	}
	n.sockets.open[s.at] = s
	return s, nil
}

// Know notes that a check came from remote, with a valid signature: QUIC packets may come from there, too, unless it is a relay.
// It has the parameters of SetICEBindingRequestHandler. A Sources bounds how many such addresses there are.
func (s *Sockets) Know(check *stun.Message, local, remote ice.Candidate) {
	at, err := netip.ParseAddr(remote.Address())
	if err != nil || !local.NetworkType().IsUDP() || isRelayed(check, local, remote) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[netip.AddrPort]bool{}
	}
	s.known[netip.AddrPortFrom(at.Unmap(), uint16(remote.Port()))] = true //nolint:gosec // a port
}

func (s *Sockets) knows(from netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[from]
}

// Beside begins to keep QUIC's packets from ICE, until Close.
func (s *Sockets) Beside() *Beside {
	b := &Beside{sockets: s}
	b.changed.L = &b.mu
	s.beside.Store(b)
	return b
}

// A sharedSocket is a socket of an ICE agent, without the packets that are for QUIC.
type sharedSocket struct {
	packets
	owner *Sockets
	at    netip.AddrPort
}

// ReadFromAddrPort reads the next packet that is for ICE.
func (s *sharedSocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.packets.ReadFromAddrPort(b)
		if err != nil || !s.owner.beside.Load().take(s, b[:n], from) {
			return n, from, err
		}
	}
}

// ReadFrom is ReadFromAddrPort for callers that want a net.Addr.
func (s *sharedSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := s.ReadFromAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// Close closes the socket, also for QUIC.
func (s *sharedSocket) Close() error {
	s.owner.mu.Lock()
	if s.owner.open[s.at] == s {
		delete(s.owner.open, s.at)
	}
	s.owner.mu.Unlock()
	return s.packets.Close()
}

// packetsOf returns c with the methods of packets.
func packetsOf(c transport.UDPConn) packets {
	switch c := c.(type) {
	case packets:
		return c
	case *net.UDPConn:
		return &udpPackets{c}
	default:
		return &addrPackets{c}
	}
}

// A udpPackets is a socket of the system.
type udpPackets struct{ *net.UDPConn }

func (c *udpPackets) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	return c.ReadFromUDPAddrPort(b)
}

func (c *udpPackets) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return c.WriteToUDPAddrPort(b, to)
}

// An addrPackets is any other socket.
type addrPackets struct{ transport.UDPConn }

func (c *addrPackets) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := c.ReadFrom(b)
	return n, addrPortOf(from), err
}

func (c *addrPackets) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return c.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

// addrPortOf returns the address and port of a UDP address, or the zero AddrPort.
func addrPortOf(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok || u == nil {
		return netip.AddrPort{}
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
