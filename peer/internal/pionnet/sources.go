package pionnet

import (
	"net"
	"net/netip"
	"sync"
)

// How many addresses that the other side has not named, with their ports, ICE takes for the other side's in one
// attempt: before a secret is proven, which is for ever where there is none, and after.
const (
	unprovenSources = 8
	provenSources   = 32
)

// A Sources decides which addresses pion takes for remote candidates.
//
// pion makes a remote candidate of each source of a Binding request that is signed with the password in this
// side's description (RFC 8445, section 7.3.1.3), answers it, and checks it for as long as an attempt takes,
// without bound. The signaling server can read that password, too. A Sources is the filter of addresses that
// pion asks before it takes one. Sources over the limit get no answer. A bound on peer-reflexive candidates
// in pion would retire this file.
//
// A few sources are taken before the proof: the first check of an honest caller often comes before its
// proof does, and to refuse it would cost the time until the next check.
type Sources struct {
	mu      sync.Mutex         // guards what follows
	named   map[netip.Addr]int // candidates at this address that pion has not taken yet
	unnamed int                // addresses taken that the other side had not named
	proven  bool
}

// Name makes room for a candidate that the other side has named, and that is handed to pion now.
func (s *Sources) Name(at netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named == nil {
		s.named = map[netip.Addr]int{}
	}
	s.named[at.Unmap().WithZone("")]++
}

// Prove notes that the other side knows the secret.
func (s *Sources) Prove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven = true
}

// Take reports whether pion may take one more remote candidate with this address. pion does not ask again for
// an address and port that it has.
func (s *Sources) Take(ip net.IP) bool {
	at, _ := netip.AddrFromSlice(ip) // the zero Addr was not named
	at = at.Unmap()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named[at] > 0 {
		s.named[at]--
		return true
	}
	most := unprovenSources
	if s.proven {
		most = provenSources
	}
	if s.unnamed >= most {
		return false
	}
	s.unnamed++
	return true
}
