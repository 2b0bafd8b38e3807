package peer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

// maxNames is how many names of the other side are looked up, see pionnet.Names.
const maxNames = 16

const maxName = 253 // bytes of a name (RFC 1035, section 2.3.4): the log has no longer one

var errManyCandidates = fmt.Errorf("more than %d candidates of a side that has proven no secret", maxUnproven)

// remoteCandidates are the other side's, on their way from the Store to pion.
type remoteCandidates struct {
	kinds    kinds
	early    []signaling.Candidate // arrived before the other side's description
	named    map[string]bool       // by their text: each is handled once
	deferred []candidate           // unlikely to work, see addCandidate
	due      bool                  // deferred candidates have waited long enough
	complete bool                  // the other side has said that there are no more
	relays   *relays
	names    *pionnet.Names // nil: names are not looked up
	lookUps  int
	dropped  tally
}

// A candidate is one of the other side's. It is parsed once, where it was opened (RFC 8839, section 5.1).
type candidate struct {
	init webrtc.ICECandidateInit // for pion
	kind string                  // host, srflx, prflx or relay; empty if the text makes no sense
	host string                  // an address, or a name
	at   netip.AddrPort          // without an address if host is a name
}

// parseCandidate parses a candidate, without what some programs put around it: the name of the SDP's
// attribute, and the end of its line. pion refuses one that makes no sense.
func parseCandidate(init webrtc.ICECandidateInit) candidate {
	init.Candidate = strings.TrimPrefix(strings.TrimSpace(init.Candidate), "a=")
	c := candidate{init: init}
	if words := strings.Fields(init.Candidate); len(words) >= 8 {
		ip, _ := netip.ParseAddr(words[4]) // a name is handled like a public address
		port, _ := strconv.ParseUint(words[5], 10, 16)
		c.kind, c.host, c.at = words[7], words[4], netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return c
}

// resolved returns the candidate with an address in place of its name.
func (c candidate) resolved(at netip.Addr) candidate {
	words := strings.Fields(c.init.Candidate)
	words[4] = at.String()
	c.init.Candidate, c.host, c.at = strings.Join(words, " "), at.String(), netip.AddrPortFrom(at, c.at.Port())
	return c
}

// arrived is posted when the Store has candidates of the other side.
type arrived struct {
	list []signaling.Candidate
	all  chan<- bool // is told whether the other side has said that these are all; it has room
}

func (r arrived) handle(_ context.Context, a *attempt) (*Pipe, error) {
	if a.begun.IsZero() {
		a.remote.early = append(a.remote.early, r.list...)
		r.all <- false
		return nil, nil
	}
	a.open(r.list)
	r.all <- a.remote.complete
	return a.openHeld()
}

// open opens candidates of the other side, and adds them. It drops those that make no sense.
func (a *attempt) open(list []signaling.Candidate) {
	for _, sealed := range list {
		var n sealedNote
		var err error
		if a.foreign {
			err = json.Unmarshal(sealed, &n.ICECandidateInit)
		} else {
			n, err = a.keys.open(sealed)
		}
		switch {
		case errors.Is(err, errRepeated): // the first ones come with the answer and in the list
		case err == nil && n.ICECandidateInit != nil:
			a.addCandidate(parseCandidate(*n.ICECandidateInit))
		default:
			a.drop(err)
		}
	}
	if a.code.Secret != "" && a.keys != nil && a.keys.proven() {
		a.sources.Prove()
	}
}

// addCandidate takes a candidate of the other side, once. Each makes this machine send packets to
// an address that the other side has named: it takes few, if anyone may have named them.
func (a *attempt) addCandidate(c candidate) {
	r := &a.remote
	text := c.init.Candidate
	switch {
	case text == "": // means nothing to pion
		r.complete = true
		return
	case r.named[text]:
		return
	case a.code.Secret == "" && len(r.named) == maxUnproven:
		a.drop(errManyCandidates)
		return
	}
	r.named[text] = true
	a.log.Debug("candidate of the other side", "type", c.kind, "address", cmp.Or(c.host[:min(len(c.host), maxName)], c.at.Addr().String()), "port", c.at.Port())
	r.kinds.add(c.kind)
	if c.kind != "host" && c.at.Addr().IsValid() {
		a.outside.Add(c.at.Addr())
	}
	switch c.kind {
	case "relay":
		r.relays.add(c.at)
	case "srflx":
		a.mapped[1] = c.at.Addr()
		a.retryDeferred()
	}
	switch {
	case strings.HasSuffix(strings.ToLower(c.host), ".local"):
		a.lookUp(c)
	case a.isUnlikely(c):
		r.deferred = append(r.deferred, c)
	default:
		a.addToPion(c)
	}
}

// addToPion hands a candidate to pion, which asks sources whether it may take it.
func (a *attempt) addToPion(c candidate) {
	a.sources.Name(c.at.Addr())
	a.drop(a.pc.AddICECandidate(c.init))
}

// isUnlikely reports whether a candidate is at a private address of another network. Such a candidate seldom
// works, and while pion asks a relay that it reaches over TLS for the permission to send there, which the
// relay refuses, pion does nothing else.
func (a *attempt) isUnlikely(c candidate) bool {
	return c.kind == "host" && c.at.Addr().IsPrivate() && !a.isNear(c.at.Addr())
}

// isNear reports whether a private address of the other side may be in one of this machine's networks. An address
// that this machine has, too, leads back to this machine: containers have the same networks
// everywhere. On the first interface, it is that of another program on this machine.
func (a *attempt) isNear(at netip.Addr) bool {
	switch {
	case a.remote.due:
		return true
	case slices.Contains(a.machine.Own, at):
		return false
	}
	return a.mapped[0].IsValid() && a.mapped[0] == a.mapped[1] || a.machine.IsNear(at)
}

// retryDeferred adds the deferred candidates that are no longer unlikely.
func (a *attempt) retryDeferred() {
	waited := a.remote.deferred
	a.remote.deferred = nil
	for _, c := range waited {
		if a.isUnlikely(c) {
			a.remote.deferred = append(a.remote.deferred, c)
			continue
		}
		a.addToPion(c)
	}
}

// drop logs why a candidate of the other side is of no use, unless why is nil. Others may
// be, so it is no warning.
func (a *attempt) drop(why error) {
	if why == nil {
		return
	}
	a.remote.dropped.log(a.log, slog.LevelInfo, "dropped a candidate of the other side", "error", why)
}

// newNames returns nil with RelayOnly, too: a question shows the local network this machine's address.
func newNames(ctx context.Context, machine transport.Net, config Config) *pionnet.Names {
	if config.RelayOnly {
		return nil
	}
	return pionnet.NewNames(ctx, machine, config.Log)
}

// lookUp looks up the name of a candidate, and posts the candidate with its address.
func (a *attempt) lookUp(c candidate) {
	if a.remote.names == nil || a.remote.lookUps == maxNames || !pionnet.IsHidden(c.host) {
		return
	}
	a.remote.lookUps++
	a.wg.Go(func() {
		at, err := a.remote.names.LookUp(c.host)
		if err != nil {
			a.log.Info("an address of the other side stays hidden", "name", c.host, "why", err)
			return
		}
		a.post(resolved(c.resolved(at)))
	})
}

// resolved is posted when the name of a candidate was looked up.
type resolved candidate

func (c resolved) handle(_ context.Context, a *attempt) (*Pipe, error) {
	a.addToPion(candidate(c))
	return nil, nil
}

// forceChecks makes pion check all pairs of candidates now, see pionnet.DummyCandidate.
func (a *attempt) forceChecks() {
	switch a.pc.ICEConnectionState() {
	case webrtc.ICEConnectionStateNew, webrtc.ICEConnectionStateChecking:
	default:
		a.clock.force = nil
		return
	}
	if a.clock.forced++; a.clock.forced == forcedChecks {
		a.clock.force = nil
	}
	dummy, at := pionnet.DummyCandidate(a.clock.forced)
	a.sources.Name(at)
	if err := a.pc.AddICECandidate(dummy); err != nil {
		a.log.Debug("a dummy candidate triggers no check", "why", err)
	}
}
