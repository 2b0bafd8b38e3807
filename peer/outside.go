package peer

import (
	"net/netip"
	"sync"
)

// outsideAddresses are those at which the other side says that it can be reached from outside
// its own network: its server-reflexive and relay candidates have them. A TURN server of another
// network is asked for no permission to send to any other private address (see mayTell). It learns
// none of the other side's network, and no check waits for a refusal.
type outsideAddresses struct {
	mu   sync.Mutex // guards what follows
	list map[netip.Addr]bool
}

func (o *outsideAddresses) add(at netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.list == nil {
		o.list = map[netip.Addr]bool{}
	}
	o.list[at] = true
}

// hides reports whether the TURN server at an address is not to learn another one. A nil receiver
// hides none.
func (o *outsideAddresses) hides(server, at netip.Addr) bool {
	if o == nil || mayTell(server, at) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.list[at.Unmap()]
}
