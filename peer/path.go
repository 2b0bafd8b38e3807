package peer

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pion/webrtc/v4"
)

// firstCandidatesLimit is how long an open channel waits for the first candidates of a side that is
// known by its checks alone: until then a relay's address cannot be told from one behind NAT.
const firstCandidatesLimit = 200 * time.Millisecond

// firstCandidatesLate is posted to run when firstCandidatesLimit is over.
type firstCandidatesLate struct{}

// pathUnknown reports whether the way to the other side cannot be named yet. It then posts to run when
// that has lasted long enough.
func (a *attempt) pathUnknown() bool {
	if a.foreign || a.ways[1] != (kinds{}) || a.candidatesLate {
		return false
	}
	pair := a.selected()
	if pair == nil || pair.Remote.Typ != webrtc.ICECandidateTypePrflx {
		return false
	}
	if !a.awaitingCandidates {
		a.awaitingCandidates = true
		a.wg.Go(func() {
			timer := time.NewTimer(firstCandidatesLimit)
			defer timer.Stop()
			select {
			case <-timer.C:
				a.post(firstCandidatesLate{})
			case <-a.done:
			}
		})
	}
	return true
}

// selected returns the pair of candidates that ICE has chosen, or nil.
func (a *attempt) selected() *webrtc.ICECandidatePair {
	pair, err := a.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil {
		return nil
	}
	return pair
}

// path is the longest way that a packet takes.
func (a *attempt) path() string {
	pair := a.selected()
	if pair == nil {
		return webrtc.ICECandidateTypeHost.String()
	}
	kind := func(c *webrtc.ICECandidate) webrtc.ICECandidateType {
		at, err := netip.ParseAddr(c.Address)
		switch {
		case err != nil || c.Typ == webrtc.ICECandidateTypeRelay:
		case slices.Contains(a.relays, netip.AddrPortFrom(at.Unmap(), c.Port)): // whose check came before it
			return webrtc.ICECandidateTypeRelay
		case inNetworks(at, a.networks): // what a STUN server saw, or a check: there is no NAT in between
			return webrtc.ICECandidateTypeHost
		}
		return c.Typ
	}
	// The types count from host over srflx and prflx to relay.
	return max(kind(pair.Local), kind(pair.Remote)).String()
}
