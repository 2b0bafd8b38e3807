package peer

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"
)

// firstCandidatesLimit is how long an open channel waits for the first candidates of a side that is
// known by its checks alone: until then a relay's address cannot be told from one behind NAT.
const firstCandidatesLimit = 200 * time.Millisecond

// firstCandidatesLate is posted when firstCandidatesLimit is over.
type firstCandidatesLate struct{}

func (firstCandidatesLate) handle(_ context.Context, a *attempt) (*Pipe, error) {
	a.candidatesLate = true
	return a.openHeld()
}

// pathUnknown reports whether the path to the other side cannot be named yet. It then posts when
// that has lasted long enough.
func (a *attempt) pathUnknown() bool {
	if a.foreign || a.remote.kinds != (kinds{}) || a.candidatesLate {
		return false
	}
	pair := a.selected()
	if pair == nil || pair.Remote.Typ != webrtc.ICECandidateTypePrflx {
		return false
	}
	if !a.awaitingCandidates {
		a.awaitingCandidates = true
		a.postAfter(firstCandidatesLimit, firstCandidatesLate{})
	}
	return true
}

// selected returns the pair of candidates that ICE has chosen, or nil.
func (a *attempt) selected() *webrtc.ICECandidatePair { return selected(a.pc) }

func selected(pc *webrtc.PeerConnection) *webrtc.ICECandidatePair {
	pair, err := pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil {
		return nil
	}
	return pair
}

// roundTrip returns the last round trip's time.
func (p *Pipe) roundTrip() (time.Duration, bool) {
	pair, ok := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
	return time.Duration(pair.CurrentRoundTripTime * float64(time.Second)), ok
}

// path returns the kind of the worst candidate of the chosen pair: host, srflx, prflx or relay.
func (a *attempt) path() string {
	pair := a.selected()
	if pair == nil {
		return webrtc.ICECandidateTypeHost.String()
	}
	// The types count from host over srflx and prflx to relay.
	return max(a.kindOf(pair.Local), a.kindOf(pair.Remote)).String()
}

// kindOf returns the type of a candidate, as far as it is known by now.
func (a *attempt) kindOf(c *webrtc.ICECandidate) webrtc.ICECandidateType {
	at, err := netip.ParseAddr(c.Address)
	switch {
	case err != nil || c.Typ == webrtc.ICECandidateTypeRelay:
	case a.remote.relays.have(netip.AddrPortFrom(at.Unmap(), c.Port)): // its check arrived before the candidate
		return webrtc.ICECandidateTypeRelay
	case a.machine.IsNear(at): // a STUN server or a check saw it, but there is no NAT in between
		return webrtc.ICECandidateTypeHost
	}
	return c.Typ
}

// route returns Details.Route.
func (a *attempt) route() string {
	pair := a.selected()
	if pair == nil {
		return ""
	}
	var stops []string
	switch local := pair.Local; a.kindOf(local) {
	case webrtc.ICECandidateTypeHost:
		stops = []string{stop("host", local.Address, local.Port)}
	case webrtc.ICECandidateTypeRelay:
		stops = []string{"host", stop("relay", local.Address, local.Port)}
	default:
		stops = []string{stop("host", local.RelatedAddress, local.RelatedPort), stop("nat", local.Address, local.Port)}
	}
	switch remote := pair.Remote; a.kindOf(remote) {
	case webrtc.ICECandidateTypeHost:
		stops = append(stops, stop("host", remote.Address, remote.Port))
	case webrtc.ICECandidateTypeRelay:
		stops = append(stops, stop("relay", remote.Address, remote.Port), "host")
	default:
		stops = append(stops, stop("nat", remote.Address, remote.Port), "host")
	}
	return strings.Join(stops, ",")
}

// stop returns a stop of a route. An address that the other side hides is a name, or unspecified.
func stop(kind, address string, port uint16) string {
	at, err := netip.ParseAddr(address)
	if err != nil || at.IsUnspecified() {
		return kind
	}
	return kind + " " + netip.AddrPortFrom(at.Unmap(), port).String()
}
