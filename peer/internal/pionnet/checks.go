package pionnet

import (
	"fmt"
	"net/netip"

	"github.com/pion/webrtc/v4"
)

// DummyCandidate returns a remote candidate that makes pion check all pairs of candidates at once when it is
// added. Each number makes another one.
//
// pion checks all pairs every 200 ms, where RFC 8445, section 14, lets the next check follow after 50 ms. package ice
// has a shorter CheckInterval, but package webrtc has no setting for it, and nothing checks on demand. A candidate
// that is new does. This one leads to no pair, because it is of a kind (TCP, IPv6) that is switched off,
// and has an address that leads nowhere (RFC 6666). A SetICECheckInterval in webrtc.SettingEngine would retire this
// file.
func DummyCandidate(number int) (candidate webrtc.ICECandidateInit, at netip.Addr) {
	text := fmt.Sprintf("100::%x", number)
	return webrtc.ICECandidateInit{
		Candidate:     fmt.Sprintf("candidate:1 1 tcp 1 %s 9 typ host tcptype passive", text),
		SDPMLineIndex: new(uint16),
	}, netip.MustParseAddr(text)
}
