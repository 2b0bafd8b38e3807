package peer

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// localCandidates are this side's, on their way from pion to the Store.
type localCandidates struct {
	kinds     kinds
	hosts     int                       // over UDP: one for each address of this machine that is used
	unsealed  []sealedNote              // until the keys are there
	deferred  []webrtc.ICECandidateInit // at addresses of the interfaces after the first few
	due       bool                      // deferred candidates have waited long enough
	batch     []signaling.Candidate     // of one step of run
	complete  bool                      // all servers have replied, or had time to
	delivered bool                      // the Store has the first of them: with the caller's nonce
	unsent    int                       // on their way to the Store
}

// gathered is posted for each candidate that pion has found, with nil after the last one.
type gathered struct{ *webrtc.ICECandidate }

func (g gathered) handle(ctx context.Context, a *attempt) (*Pipe, error) {
	if g.ICECandidate != nil {
		a.mapPort(g.ICECandidate)
		a.trickle(g.ICECandidate)
		return nil, nil
	}
	a.phases.end(phaseGathering)
	if a.local.kinds == (kinds{}) { // pion logs why, and returns no error
		a.noSocket = trySocket(ctx)
	}
	a.tell(webrtc.ICECandidateInit{}) // the end of the candidates (RFC 8838, section 14)
	a.local.complete = true
	if a.reply != nil {
		a.sendReply()
	}
	return nil, nil
}

// trySocket returns an error if this machine gives the program no UDP socket: it has too many files open, perhaps.
func trySocket(ctx context.Context) error {
	c, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", ":0")
	if err != nil {
		return err
	}
	return c.Close()
}

// trickle tells the other side a candidate, at once or when it is due.
func (a *attempt) trickle(c *webrtc.ICECandidate) {
	if a.relayOnly {
		if c.Typ != webrtc.ICECandidateTypeRelay {
			return
		}
		// RFC 8839, section 5.1. With port 0 pion leaves both out, and Firefox takes no relay without them.
		c.RelatedAddress, c.RelatedPort = "0.0.0.0", 9
		if strings.Contains(c.Address, ":") {
			c.RelatedAddress = "::"
		}
	}
	a.local.kinds.add(c.Typ.String())
	a.log.Debug("candidate of this side", "type", c.Typ, "protocol", c.Protocol, "address", c.Address, "port", c.Port)
	if c.Typ == webrtc.ICECandidateTypeHost && c.Protocol == webrtc.ICEProtocolUDP {
		a.local.hosts++
	}
	at, _ := netip.ParseAddr(c.Address) // only pion's own, which are valid
	switch {
	case c.Typ == webrtc.ICECandidateTypeSrflx:
		a.mapped[0] = at
		a.retryDeferred()
	case c.Typ == webrtc.ICECandidateTypeHost && !a.local.due && slices.Contains(a.machine.Unlikely, at):
		a.local.deferred = append(a.local.deferred, c.ToJSON())
		return
	}
	a.tell(c.ToJSON())
}

// releaseDeferred tells the other side the candidates that have waited, and tries the other side's.
func (a *attempt) releaseDeferred() {
	a.local.due, a.remote.due = true, true
	waited := a.local.deferred
	a.local.deferred = nil
	for _, init := range waited {
		a.tell(init)
	}
	a.retryDeferred()
}

// tell tells the other side a candidate, once its description is there.
func (a *attempt) tell(init webrtc.ICECandidateInit) {
	init.SDPMid = &a.section.Mid
	n := sealedNote{ICECandidateInit: &init}
	if a.begun.IsZero() {
		a.local.unsealed = append(a.local.unsealed, n)
		return
	}
	a.queue(n)
}

// queue queues a note for the other side: sealed, unless that is a plain WebRTC program.
func (a *attempt) queue(n sealedNote) {
	var body signaling.Candidate
	var err error
	switch {
	case !a.foreign:
		body, err = a.keys.seal(n)
	case n.Candidate == "":
		return // a plain program may be unable to parse it
	default:
		body, err = json.Marshal(plainCandidate{n.Candidate, a.section})
	}
	if err != nil {
		a.log.Warn("left out a candidate", "error", err)
		return
	}
	a.local.batch = append(a.local.batch, body)
	switch {
	case a.reply == nil:
		return
	case a.foreign:
		a.reply.SDP = withCandidate(a.reply.SDP, n.Candidate)
	default:
		a.reply.P2PChat.Candidates = append(a.reply.P2PChat.Candidates, json.RawMessage(body))
	}
	if a.reply.whole {
		return
	}
	wait := nextCandidate
	if a.local.hosts == a.machine.Used { // only those of servers are missing
		wait = 0
	}
	a.clock.reply = time.After(wait)
}

// queueBatch hands send the candidates of one step of run: one request will take them.
func (a *attempt) queueBatch() {
	if len(a.local.batch) > 0 {
		select {
		case a.outgoing <- a.local.batch:
			a.local.unsent += len(a.local.batch)
		default:
			a.log.Info("left out candidates: there are too many", "count", len(a.local.batch))
		}
		a.local.batch = nil
	}
	if a.local.complete && !isClosed(a.complete) {
		close(a.complete)
	}
}

// delivered is posted when the Store has taken that number of this side's candidates.
type delivered struct{ candidates int }

func (d delivered) handle(_ context.Context, a *attempt) (*Pipe, error) {
	a.local.delivered = true
	a.local.unsent -= d.candidates
	return a.openHeld()
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
	for _, kind := range []struct {
		has  bool
		name string
	}{{k.host, "its own addresses"}, {k.srflx, "its address outside of NAT"}, {k.relay, "a relay"}} {
		if kind.has {
			list = append(list, kind.name)
		}
	}
	if list == nil {
		return "no address at all"
	}
	return strings.Join(list, ", ")
}
