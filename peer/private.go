package peer

import (
	"net"
	"net/netip"

	"github.com/pion/stun/v4"
)

// privateBlocks are the networks whose addresses say where in a private network a machine is, and
// mean another machine elsewhere.
var privateBlocks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),     // RFC 1918
	netip.MustParsePrefix("172.16.0.0/12"),  // RFC 1918
	netip.MustParsePrefix("192.168.0.0/16"), // RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),  // between a provider and its customers (RFC 6598)
	netip.MustParsePrefix("169.254.0.0/16"), // link-local (RFC 3927)
	netip.MustParsePrefix("127.0.0.0/8"),    // loopback
	netip.MustParsePrefix("fe80::/10"),      // link-local (RFC 4291)
	netip.MustParsePrefix("fec0::/10"),      // site-local, withdrawn (RFC 3879)
	netip.MustParsePrefix("::1/128"),
}

const uniqueLocal = 48 // bits of a network of unique local addresses (RFC 4193, section 3.1)

// privateBlock returns the private network that an address is in, or false for a public address.
func privateBlock(a netip.Addr) (netip.Prefix, bool) {
	a = a.Unmap().WithZone("")
	if a.Is6() && a.IsPrivate() {
		p, err := a.Prefix(uniqueLocal)
		return p, err == nil
	}
	for _, p := range privateBlocks {
		if p.Contains(a) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// mayTell reports whether a TURN server at an address may be asked to carry to peer. A server on
// the Internet hears of no private address: it cannot reach one, and learning them is all that a
// malicious server would ask for. One in the same private network, or on this machine, may.
func mayTell(server, peer netip.Addr) bool {
	block, private := privateBlock(peer)
	server = server.Unmap().WithZone("")
	return !private || server.IsLoopback() || block.Contains(server)
}

// named lists the peers that a message to a TURN server names: a CreatePermission or ChannelBind
// request, or a Send indication (RFC 8656, sections 9 to 12). ChannelData names a channel that was
// bound before.
func named(message []byte) (list []netip.Addr) {
	if _, ok := transactionOf(message, createPermission, channelBind, sendIndication); !ok {
		return nil
	}
	m := &stun.Message{Raw: append([]byte(nil), message...)}
	if m.Decode() != nil {
		return nil // no server takes it
	}
	for _, a := range m.Attributes { // a refresh names all peers in one request
		var peer stun.XORMappedAddress
		one := &stun.Message{TransactionID: m.TransactionID, Attributes: stun.Attributes{a}}
		if peer.GetFromAs(one, stun.AttrXORPeerAddress) != nil {
			continue
		}
		if at, ok := netip.AddrFromSlice(peer.IP); ok {
			list = append(list, at.Unmap())
		}
	}
	return list
}

var (
	createPermission = stun.NewType(stun.MethodCreatePermission, stun.ClassRequest)
	channelBind      = stun.NewType(stun.MethodChannelBind, stun.ClassRequest)
	sendIndication   = stun.NewType(stun.MethodSend, stun.ClassIndication)
)

// addressOf is the IP address of a UDP or TCP address, or the zero Addr.
func addressOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr()
	case *net.TCPAddr:
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}
