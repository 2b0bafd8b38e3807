package relay

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/pion/stun/v4"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
)

// Bounds of the requests of one client without an allocation.
const (
	strangerRate  = 50 // requests a second
	strangerBurst = 500
)

// strangerBounds bound those requests in all: no client has a bucket of its own, because anyone can forge the
// source of a packet.
var strangerBounds = ratelimit.Bounds{Shared: 1 << 10}

// A source is the address that a client's messages come from. It identifies the client: two
// listeners differ in protocol or in address family.
type source struct {
	tcp bool
	at  netip.AddrPort
}

func sourceOf(a net.Addr) source {
	var s source
	switch a := a.(type) {
	case *net.UDPAddr:
		s.at = a.AddrPort()
	case *net.TCPAddr:
		s.tcp, s.at = true, a.AddrPort()
	}
	s.at = netip.AddrPortFrom(s.at.Addr().Unmap(), s.at.Port())
	return s
}

// filter reports whether pion may see a client's message. If guest is not nil, it may only once the
// caller has accepted the guest with that ticket. pion limits neither requests nor channels, and no
// hook of pion is told which channel a request asks for.
func (r *Relay) filter(from net.Addr, message []byte) (ok bool, guest *signaling.Ticket) {
	if !stun.IsMessage(message) {
		return true, nil // ChannelData, or a message that pion drops
	}
	var kind stun.MessageType
	if kind.ReadValue(binary.BigEndian.Uint16(message)); kind.Class != stun.ClassRequest {
		return true, nil
	}
	client := sourceOf(from)
	r.mu.Lock()
	a := r.byClient[client]
	r.mu.Unlock()
	if a == nil {
		if !r.strangers.Allow(ratelimit.Client(client.at.Addr())) {
			r.refuse(RefusedRequest, "last_client", ratelimit.Client(client.at.Addr()))
			return false, nil
		}
		if kind.Method == stun.MethodAllocate {
			if t, ok := r.ticketOf(message); ok {
				return true, &t
			}
		}
		return true, nil
	}
	if !a.requests.Allow() {
		r.refuse(RefusedRequest, "last_user", a.user)
		return false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a.bindsNew = kind.Method == stun.MethodChannelBind && !a.channels[channelOf(message)]
	return true, nil
}

// channelOf returns the channel that a ChannelBind request names (RFC 8656, section 18.1),
// or 0.
func channelOf(message []byte) uint16 {
	m := stun.Message{Raw: message}
	if m.Decode() != nil {
		return 0
	}
	v, err := m.Get(stun.AttrChannelNumber)
	if err != nil || len(v) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(v)
}
