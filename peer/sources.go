package peer

import (
	"net"
	"net/netip"
	"sync"
)

// How many addresses that the other side has not named, with their ports, ICE takes for the other
// side's in one attempt: before a secret is proven, which is for ever where there is none, and after.
const (
	unprovenSources = 8
	provenSources   = 32
)

// sources decides which addresses pion takes for remote candidates. It makes one of each source of
// a Binding request that is signed with the password in this side's description (RFC 8445, section
// 7.3.1.3), answers it and checks it for as long as an attempt takes. The server can read that
// password, too. What is over the limit gets no answer.
//
// A few are taken before the proof: the first check of an honest caller often comes before its
// proof does, and to refuse it would cost the time until the next one.
type sources struct {
	mu      sync.Mutex         // guards what follows
	known   map[string]bool    // candidates of the other side
	named   map[netip.Addr]int // how many of them pion has yet to take
	unnamed int                // that were taken
	proven  bool
}

// name makes room for a candidate that the other side has named. It reports false for one that
// was named before: that one gets no more room.
func (s *sources) name(candidate string) bool {
	_, from := parseCandidate(candidate)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[candidate] {
		return false
	}
	if s.known == nil {
		s.known, s.named = map[string]bool{}, map[netip.Addr]int{}
	}
	s.known[candidate] = true
	s.named[from.Addr().Unmap().WithZone("")]++
	return true
}

// prove says that the other side knows the secret.
func (s *sources) prove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven = true
}

// take reports whether pion may take one more remote candidate with this address. It does not
// ask again for an address and port that it has.
func (s *sources) take(ip net.IP) bool {
	at, _ := netip.AddrFromSlice(ip) // or else it is none that was named
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
