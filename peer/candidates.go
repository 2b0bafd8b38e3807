package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// trickle tells of one of this side's candidates, nil after the last one.
func (a *attempt) trickle(c *webrtc.ICECandidate) {
	var init webrtc.ICECandidateInit // without a candidate: that was the last one (RFC 8838, section 14)
	if c != nil {
		if a.relayOnly && c.Typ != webrtc.ICECandidateTypeRelay {
			return
		}
		if a.relayOnly { // RFC 8839, section 5.1; with port 0 pion leaves both out, and Firefox takes no relay without
			c.RelatedAddress, c.RelatedPort = "0.0.0.0", 9
			if strings.Contains(c.Address, ":") {
				c.RelatedAddress = "::"
			}
		}
		init = c.ToJSON()
		a.ways[0].add(c.Typ.String())
		at, err := netip.ParseAddr(c.Address)
		if err == nil && c.Typ == webrtc.ICECandidateTypeSrflx {
			a.outside[0] = at
			a.tryFar()
		}
		if err == nil && c.Typ == webrtc.ICECandidateTypeHost && !a.patient && slices.Contains(a.behind, at) {
			a.late = append(a.late, init)
			return
		}
	}
	a.offerCandidate(init)
}

// tellLate tells the other side of the addresses that were not among the first.
func (a *attempt) tellLate() {
	waited := a.late
	a.late = nil
	for _, init := range waited {
		a.offerCandidate(init)
	}
}

// offerCandidate tells the other side of a candidate, as soon as there is one.
func (a *attempt) offerCandidate(init webrtc.ICECandidateInit) {
	init.SDPMid = &a.section.Mid
	n := note{ICECandidateInit: &init}
	if a.begun.IsZero() {
		a.held = append(a.held, n)
		return
	}
	a.tell(n)
}

// tell queues a note for the other side: sealed, unless that is a plain WebRTC program.
func (a *attempt) tell(n note) {
	var body signaling.Candidate
	var err error
	switch {
	case !a.foreign:
		body, err = a.trust.seal(n)
	case n.Candidate == "":
		return // such a program may take it for nonsense
	default:
		body, err = json.Marshal(plainCandidate{n.Candidate, a.section})
	}
	if err != nil {
		a.log.Warn("left out a candidate", "error", err)
		return
	}
	a.batch = append(a.batch, body)
	switch {
	case a.reply == nil:
		return
	case a.foreign:
		a.reply.SDP = withCandidate(a.reply.SDP, n.Candidate)
	default:
		a.reply.P2PChat.Candidates = append(a.reply.P2PChat.Candidates, json.RawMessage(body))
	}
	if !a.whole {
		a.enough = time.After(nextCandidate)
	}
}

// deliver hands send what one step of run has queued: one request will take it.
func (a *attempt) deliver() {
	if len(a.batch) == 0 {
		return
	}
	select {
	case a.local <- a.batch:
	default:
		a.log.Info("left out candidates: there are too many", "count", len(a.batch))
	}
	a.batch = nil
}

// add takes candidates of the other side. One that makes no sense is dropped.
func (a *attempt) add(list []signaling.Candidate) {
	for _, c := range list {
		var n note
		var err error
		if a.foreign {
			err = json.Unmarshal(c, &n.ICECandidateInit)
		} else {
			n, err = a.trust.open(c)
		}
		if errors.Is(err, errRepeated) {
			continue // the first ones come with the answer and in the list
		}
		if err == nil && n.ICECandidateInit != nil {
			if !a.accepts(bare(n.Candidate)) {
				err = errManyCandidates
			} else {
				err = a.try(*n.ICECandidateInit)
			}
		}
		a.drop(err)
	}
	if a.code.Secret != "" && a.trust != nil && a.trust.proven() {
		a.sources.prove()
	}
}

var errManyCandidates = fmt.Errorf("more than %d candidates of a side that has proven no secret", maxUnproven)

// accepts reports whether another candidate may be tried. Each makes this machine send packets to
// an address that the other side has named: few, if that may be anybody.
func (a *attempt) accepts(candidate string) bool {
	if a.code.Secret != "" || candidate == "" || a.named[candidate] {
		return true
	}
	if len(a.named) == maxUnproven {
		return false
	}
	if a.named == nil {
		a.named = map[string]bool{}
	}
	a.named[candidate] = true
	return true
}

// drop notes that a candidate of the other side is of no use, unless why is nil. Others may
// be, so it is no warning.
func (a *attempt) drop(why error) {
	if why == nil {
		return
	}
	a.dropped.log(a.log, slog.LevelInfo, "dropped a candidate of the other side", "error", why)
}

// try hands a candidate of the other side to pion. One at a private address of another
// network waits for a moment: it seldom works, and while pion asks a relay that it reaches
// over TLS for the permission to send there, which that refuses, it does nothing else.
func (a *attempt) try(c webrtc.ICECandidateInit) error {
	c.Candidate = bare(c.Candidate)
	kind, from := parseCandidate(c.Candidate)
	at := from.Addr()
	a.ways[1].add(kind)
	if kind != "host" && at.IsValid() {
		a.away.add(at.Unmap())
	}
	if kind == "relay" {
		a.relays = append(a.relays, netip.AddrPortFrom(at.Unmap(), from.Port()))
	}
	if kind == "srflx" {
		a.outside[1] = at
		a.tryFar()
	}
	if a.reveal(c) {
		return nil
	}
	if kind == "host" && at.IsPrivate() && !a.isNear(at) {
		a.far = append(a.far, c)
		return nil
	}
	return a.hand(c)
}

// hand hands a candidate to pion, once. pion asks sources whether it may take it.
func (a *attempt) hand(c webrtc.ICECandidateInit) error {
	if !a.sources.name(c.Candidate) {
		return nil
	}
	return a.pc.AddICECandidate(c)
}

// isNear tells whether a private address of the other side may be one of this network's. One
// that this machine has, too, leads back to this machine: containers have the same networks
// everywhere. Of the first interface's, that is another program on this machine.
func (a *attempt) isNear(at netip.Addr) bool {
	switch {
	case a.patient:
		return true
	case slices.Contains(a.own, at.Unmap()):
		return false
	}
	return a.outside[0].IsValid() && a.outside[0] == a.outside[1] || inNetworks(at, a.networks)
}

func inNetworks(at netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(at) })
}

// tryFar hands on what waited, if it may be near after all.
func (a *attempt) tryFar() {
	waited := a.far
	a.far = nil
	for _, c := range waited {
		a.drop(a.try(c))
	}
}

// parseCandidate is the type and the address of a candidate (RFC 8839, section 5.1).
func parseCandidate(text string) (kind string, at netip.AddrPort) {
	words := strings.Fields(text)
	if len(words) < 8 {
		return "", at
	}
	ip, _ := netip.ParseAddr(words[4]) // or else it is a name, and as good as public
	port, _ := strconv.ParseUint(words[5], 10, 16)
	return words[7], netip.AddrPortFrom(ip, uint16(port))
}

// networksOf lists the networks that the interfaces are in.
func networksOf(interfaces []*transport.Interface) (list []netip.Prefix) {
	for _, i := range interfaces {
		all, _ := i.Addrs() // or else there are none
		for _, a := range all {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, p.Masked())
			}
		}
	}
	return list
}

// hurry makes pion check all pairs of candidates now. It has no other way to be told than a
// candidate that is new: this one leads to no pair, because it is of a kind (TCP, IPv6) that is
// switched off, and has an address that leads nowhere (RFC 6666).
func (a *attempt) hurry() {
	switch a.pc.ICEConnectionState() {
	case webrtc.ICEConnectionStateNew, webrtc.ICEConnectionStateChecking:
	default:
		a.hurried = hurries
		return
	}
	a.hurried++
	c := fmt.Sprintf("candidate:1 1 tcp 1 100::%x 9 typ host tcptype passive", a.hurried)
	if err := a.hand(webrtc.ICECandidateInit{Candidate: c, SDPMLineIndex: new(uint16)}); err != nil {
		a.log.Debug("pion does not hurry", "why", err)
	}
}

// kinds are those of the candidates that one side has, in the words of RFC 8839.
type kinds struct{ host, srflx, relay bool }

func (k *kinds) add(kind string) {
	k.host = k.host || kind == "host"
	k.srflx = k.srflx || kind == "srflx"
	k.relay = k.relay || kind == "relay"
}

// String names them for a person.
func (k kinds) String() string {
	var list []string
	for _, way := range []struct {
		has  bool
		name string
	}{{k.host, "its own addresses"}, {k.srflx, "its address outside of NAT"}, {k.relay, "a relay"}} {
		if way.has {
			list = append(list, way.name)
		}
	}
	if list == nil {
		return "no address at all"
	}
	return strings.Join(list, ", ")
}

// tried is what an attempt had to go by.
func (a *attempt) tried() string {
	return fmt.Sprintf("this side gave %s; the other side %s", a.ways[0], a.ways[1])
}
