package peer

import (
	"net/netip"
	"sync"
)

// outsideAddresses are those at which the other side says that it can be reached from outside
// its own network: those of its server-reflexive and relay candidates. pion asks a TURN server
// for no permission to send to any other private address, so that the TURN server learns
// nothing of the other side's network, and no check waits for a refusal.
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

// hides tells whether a TURN server is not to learn an address. A nil receiver hides none.
func (o *outsideAddresses) hides(at netip.Addr) bool {
	if o == nil || !isInside(at) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.list[at.Unmap()]
}

var carrierNetwork = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// isInside tells whether an address means something within one network only.
func isInside(at netip.Addr) bool {
	at = at.Unmap()
	return !at.IsGlobalUnicast() || at.IsPrivate() || carrierNetwork.Contains(at)
}
