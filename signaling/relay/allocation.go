package relay

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Bounds of one allocation. A p2pchat peer sends at most 20 addresses. For each, a client asks for a
// permission and a channel at the start, and again every few minutes.
const (
	maxPermissions = 32
	maxChannels    = 32
	requestRate    = 10 // a second: Refresh, CreatePermission, ChannelBind
	requestBurst   = 150
)

// An allocation is a port of the relay, with the permissions and channels of its client. It drops
// packets over the bandwidth.
type allocation struct {
	*net.UDPConn
	relay    *Relay
	user     string
	at       netip.AddrPort
	out, in  *rate.Limiter // bytes
	requests *rate.Limiter

	sent, received atomic.Uint64 // bytes
	closeOnce      sync.Once

	// guarded by relay.mu:
	client      source
	permissions map[netip.Addr]bool
	channels    map[uint16]bool
	bindsNew    bool // the client's current request asks for a channel that is not bound
}

// permit reports whether a client may name an address as a peer's. pion calls it for each address
// of a CreatePermission and of a ChannelBind request, before it changes the allocation.
func (r *Relay) permit(from net.Addr, peer net.IP) bool {
	address, _ := netip.AddrFromSlice(peer)
	address = address.Unmap()
	r.mu.Lock()
	a := r.byClient[sourceOf(from)]
	var fullPermissions, fullChannels bool
	if a != nil {
		fullPermissions = !a.permissions[address] && len(a.permissions) >= maxPermissions
		fullChannels = a.bindsNew && len(a.channels) >= maxChannels
	}
	r.mu.Unlock()
	switch {
	case a == nil: // the allocation has just ended
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

// allocationCreated notes which client an allocation belongs to. pion calls it, and the four hooks
// below.
func (r *Relay) allocationCreated(from, _ net.Addr, _, _, _ string, relayed net.Addr, _ int) {
	r.update(relayed, func(a *allocation) {
		a.client = sourceOf(from)
		r.byClient[a.client] = a
	})
}

func (r *Relay) permissionCreated(_, _ net.Addr, _, _, _ string, relayed net.Addr, peer net.IP) {
	address, _ := netip.AddrFromSlice(peer)
	r.update(relayed, func(a *allocation) { a.permissions[address.Unmap()] = true })
}

func (r *Relay) permissionDeleted(_, _ net.Addr, _, _, _ string, relayed net.Addr, peer net.IP) {
	address, _ := netip.AddrFromSlice(peer)
	r.update(relayed, func(a *allocation) { delete(a.permissions, address.Unmap()) })
}

func (r *Relay) channelCreated(_, _ net.Addr, _, _, _ string, relayed, _ net.Addr, channel uint16) {
	r.update(relayed, func(a *allocation) { a.channels[channel] = true })
}

func (r *Relay) channelDeleted(_, _ net.Addr, _, _, _ string, relayed, _ net.Addr, channel uint16) {
	r.update(relayed, func(a *allocation) { delete(a.channels, channel) })
}

// update calls note with the allocation at a port of the relay. pion holds its own locks during the
// call.
func (r *Relay) update(relayed net.Addr, note func(*allocation)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.allocations[sourceOf(relayed).at]; a != nil {
		note(a)
	}
}
