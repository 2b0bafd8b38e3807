package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

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
	}
	init.SDPMid = nil // the index says it, whatever name the offer gave the section
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
		body, err = json.Marshal(n.ICECandidateInit)
	}
	if err != nil {
		a.log.Warn("left out a candidate", "error", err)
		return
	}
	a.batch = append(a.batch, body)
	if a.reply != nil {
		a.reply.P2PChat.Candidates = append(a.reply.P2PChat.Candidates, json.RawMessage(body))
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
		a.log.Warn("left out candidates: there are too many", "count", len(a.batch))
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
			if err = a.pc.AddICECandidate(*n.ICECandidateInit); err == nil {
				_, rest, _ := strings.Cut(n.Candidate, " typ ")
				kind, _, _ := strings.Cut(rest, " ")
				a.ways[1].add(kind)
			}
		}
		switch {
		case errors.Is(err, errSealed): // it may be for somebody who answered before
			a.dropped.log(a.log, slog.LevelInfo, "dropped a candidate of the other side", "error", err)
		case err != nil:
			a.dropped.warn(a.log, "dropped a candidate of the other side", "error", err)
		}
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
