package pionnet

import (
	"net"
	"net/netip"
	"sync"

	"github.com/pion/stun/v4"
)

// An Outside holds the addresses at which the other side says that it can be reached from outside
// its own network: its server-reflexive and relay candidates have them.
//
// pion asks a TURN server for the permission to send to each candidate of the other side, also to private
// addresses. So the server learns the addresses of the other side's network, and pion waits for it to refuse.
// With an Outside, a TURNNet asks a server of another network for no other private address.
type Outside struct {
	mu   sync.Mutex // guards what follows
	list map[netip.Addr]bool
}

// Add adds an address.
func (o *Outside) Add(at netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.list == nil {
		o.list = map[netip.Addr]bool{}
	}
	o.list[at.Unmap()] = true
}

// hides reports whether the TURN server at an address must not learn another one. A nil Outside
// hides none.
func (o *Outside) hides(server, at netip.Addr) bool {
	if o == nil || mayLearn(server, at) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.list[at.Unmap()]
}

// privateBlocks are the networks whose addresses say where in a private network a machine is, and
// belong to other machines in other networks.
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

// IsPrivate reports whether an address is in a private network.
func IsPrivate(a netip.Addr) bool {
	_, private := privateBlock(a)
	return private
}

// mayLearn reports whether a TURN server at an address may be asked to relay to peer. A server on
// the Internet learns no private address: it cannot reach one, and a malicious server would ask for
// nothing else. A server in the same private network, or on this machine, may learn it.
func mayLearn(server, peer netip.Addr) bool {
	block, private := privateBlock(peer)
	server = server.Unmap().WithZone("")
	return !private || server.IsLoopback() || block.Contains(server)
}

// peersNamed returns the peers that a message to a TURN server names: a CreatePermission or ChannelBind
// request, or a Send indication (RFC 8656, sections 9 to 12). ChannelData names a channel that was
// bound before.
func peersNamed(message []byte) (list []netip.Addr) {
	if _, ok := transactionOf(message, createPermission, channelBind, sendIndication); !ok {
		return nil
	}
	m := &stun.Message{Raw: append([]byte(nil), message...)}
	if m.Decode() != nil {
		return nil // a server drops it
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

// addressOf returns the IP address of a UDP or TCP address, or the zero Addr.
func addressOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr()
	case *net.TCPAddr:
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}
