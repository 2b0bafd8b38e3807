package pionnet

import (
	"net/netip"
	"sync/atomic"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

// relayPreference is the most that pion gives as local preference (RFC 8445, section 5.1.2.1) to a candidate of a relay. To all
// others it gives thousands.
const relayPreference = 3

// A FirstCheck has ICE use the pair of candidates on which the first check arrives.
//
// A controlled agent waits until the controlling one has nominated a pair, and that one waits for the response to its
// check before: a round trip (RFC 8445, section 8.1.1). Here the controlled agent takes the pair of the first check, and
// sends its own check on it. The controlling one takes that pair when this check is there and its own was
// answered: it has seen packets go both ways, and does not wait for the response to its nomination. Both sides
// have to know of it. The controlled agent moves to another pair if the controlling one nominates that, or if the first
// pair is silent. An option of pion to do so would retire this file.
//
// A FirstCheck takes no pair with a relay, which would be slower than a direct one that is found a moment later, and none
// between a loopback address and another one.
type FirstCheck struct {
	on    atomic.Bool
	taken *ice.CandidatePair // owned by pion's agent
}

// Start lets the agent take a pair.
func (f *FirstCheck) Start() { f.on.Store(true) }

// Stop keeps the agent at its pair: the two are connected.
func (f *FirstCheck) Stop() { f.on.Store(false) }

// Take reports whether the agent takes the pair on which a check has arrived. The agent calls it for each check whose
// signature is valid, after it has sent the response and its own check.
func (f *FirstCheck) Take(check *stun.Message, local, remote ice.Candidate, pair *ice.CandidatePair) bool {
	if !f.on.Load() || !local.NetworkType().IsUDP() || isLoopback(local) != isLoopback(remote) || isRelayed(check, local, remote) {
		return false
	}
	answered := pair.ResponsesReceived() > 0
	switch {
	case f.taken == nil && check.Contains(stun.AttrICEControlled): // this side is the controlling one
		// The address of an unnamed candidate may be that of a relay.
		if !answered || remote.Type() == ice.CandidateTypePeerReflexive {
			return false
		}
	case f.taken == nil:
	case f.taken.ID() == pair.ID():
		f.taken = pair // pion makes a new one when the other side names the candidate
		return false
	case check.Contains(stun.AttrICEControlled):
		return false
	case !answered || !check.Contains(stun.AttrUseCandidate) && f.taken.ResponsesReceived() > 0:
		return false
	}
	f.taken = pair
	return true
}

func isLoopback(c ice.Candidate) bool {
	at, err := netip.ParseAddr(c.Address())
	return err == nil && at.IsLoopback()
}

// isRelayed reports whether a check has come through a relay of either side. The other side's relay has no name yet when
// its check overtakes its candidate, but the check says how its sender prefers the candidate.
func isRelayed(check *stun.Message, local, remote ice.Candidate) bool {
	var priority ice.PriorityAttr
	return local.Type() == ice.CandidateTypeRelay || remote.Type() == ice.CandidateTypeRelay ||
		priority.GetFrom(check) != nil || priority>>8&0xffff <= relayPreference
}
