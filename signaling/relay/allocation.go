package relay

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Bounds of one allocation. A peer of ours sends at most 20 addresses; for each a client
// asks for a permission and a channel at the start, and again every few minutes.
const (
	maxPermissions = 32
	maxChannels    = 32
	requestRate    = 10 // a second: Refresh, CreatePermission, ChannelBind
	requestBurst   = 150
)

// An allocation is a port of the relay, with the permissions and channels of its client. It
// drops packets over the bandwidth, as a full line would.
type allocation struct {
	*net.UDPConn
	relay    *Relay
	user     string
	at       netip.AddrPort
	out, in  *rate.Limiter // bytes
	requests *rate.Limiter

	sent, received atomic.Uint64 // bytes
	closing        sync.Once

	// guarded by relay.mu:
	client      source
	permissions map[netip.Addr]bool
	channels    map[uint16]bool
	bindsNew    bool // the request that pion handles now asks for a channel that is not bound
}

// permit reports whether a client may name an address as a peer's. pion asks for each
// address of a CreatePermission and of a ChannelBind, before it adds anything.
func (r *Relay) permit(from net.Addr, peer net.IP) bool {
	address, _ := netip.AddrFromSlice(peer)
	address = address.Unmap()
	r.mu.Lock()
	a := r.clients[sourceOf(from)]
	var fullPermissions, fullChannels bool
	if a != nil {
		fullPermissions = !a.permissions[address] && len(a.permissions) >= maxPermissions
		fullChannels = a.bindsNew && len(a.channels) >= maxChannels
	}
	r.mu.Unlock()
	switch {
	case a == nil: // it has just ended
		return false
	case !r.mayName(address):
		r.refuse(RefusedPeer, "last_user", a.user)
	case fullPermissions:
		r.refuse(RefusedPermission, "last_user", a.user)
	case fullChannels:
		r.refuse(RefusedChannel, "last_user", a.user)
	default:
		return true
	}
	return false
}

// created notes which client an allocation belongs to. pion calls it.
func (r *Relay) created(from, _ net.Addr, _, _, _ string, relayed net.Addr, _ int) {
	r.change(relayed, func(a *allocation) {
		a.client = sourceOf(from)
		r.clients[a.client] = a
	})
}

func (r *Relay) permitted(_, _ net.Addr, _, _, _ string, relayed net.Addr, peer net.IP) {
	address, _ := netip.AddrFromSlice(peer)
	r.change(relayed, func(a *allocation) { a.permissions[address.Unmap()] = true })
}

func (r *Relay) permissionEnded(_, _ net.Addr, _, _, _ string, relayed net.Addr, peer net.IP) {
	address, _ := netip.AddrFromSlice(peer)
	r.change(relayed, func(a *allocation) { delete(a.permissions, address.Unmap()) })
}

func (r *Relay) bound(_, _ net.Addr, _, _, _ string, relayed, _ net.Addr, channel uint16) {
	r.change(relayed, func(a *allocation) { a.channels[channel] = true })
}

func (r *Relay) bindingEnded(_, _ net.Addr, _, _, _ string, relayed, _ net.Addr, channel uint16) {
	r.change(relayed, func(a *allocation) { delete(a.channels, channel) })
}

// change calls note with the allocation at a port of the relay. pion holds locks of its own
// during the call.
func (r *Relay) change(relayed net.Addr, note func(*allocation)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.taken[sourceOf(relayed).at]; a != nil {
		note(a)
	}
}
