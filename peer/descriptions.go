package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// The answer carries the candidates that are known at once: this machine's own. So long it
// waits for the first candidate, and after each one for the next, unless it has all of them.
const (
	firstCandidate = 5 * time.Millisecond
	nextCandidate  = time.Millisecond
	wholeLimit     = 1500 * time.Millisecond // for all, including those of STUN and TURN servers
)

// errGarbled says that the other side's description cannot be parsed.
var errGarbled = errors.New("the other side's description makes no sense")

// A reply is the callee's answer, until it has candidates to take along.
type reply struct {
	document
	whole bool // it waits for all candidates: the caller may ask for no more
}

// offer begins the attempt as the caller.
func (a *attempt) offer() error {
	protocol := channelProtocol
	dc, err := a.pc.CreateDataChannel(channelLabel, &webrtc.DataChannelInit{Protocol: &protocol})
	if err != nil {
		return fmt.Errorf("making a channel: %w", err)
	}
	dc.OnOpen(func() { a.post(channelOpened{dc}) })
	offer, err := a.pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("making an offer: %w", err)
	}
	var d document
	if a.proposal, d, err = propose(a.code, offer.SDP); err != nil {
		return err
	}
	d.P2PChat.FirstCheck, d.P2PChat.Unread = a.eager, a.unread
	a.announce(&d)
	a.section = sectionOf(offer.SDP)
	a.wg.Go(func() { a.send(a.life, d) })
	// The offer is on its way before gathering starts here: it holds no candidate.
	return a.pc.SetLocalDescription(offer)
}

// answer begins the attempt as the callee. It returns errGarbled if the offer cannot be
// answered, and ErrImpostor if it must not be.
func (a *attempt) answer(offer document) error {
	if a.foreign = offer.foreign(); a.foreign && a.code.Secret != "" {
		return fmt.Errorf("%w: the caller in this room uses another program, which asks for no code", ErrImpostor)
	}
	if err := a.setRemote(webrtc.SDPTypeOffer, offer); err != nil {
		return err
	}
	answer, err := a.pc.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("%w: it cannot be answered: %w", errGarbled, err)
	}
	a.section = sectionOf(answer.SDP)
	a.reply = &reply{document: document{Type: "answer", SDP: answer.SDP}}
	if !a.foreign {
		if a.keys, a.reply.document, err = respond(a.code, offer, answer.SDP); err != nil {
			return err
		}
		if a.eager = a.eager && offer.P2PChat.FirstCheck; a.eager {
			a.reply.P2PChat.FirstCheck = true
			a.first.Start()
		}
		a.announce(&a.reply.document)
		a.agree(offer)
	}
	as := a.ticket
	if a.forAll() {
		// Another callee may answer later and replace this side's token, though the caller
		// has read this answer.
		as = signaling.Ticket{Room: as.Room}
	}
	// The read is parked before the caller can have read the answer, and misses nothing.
	a.wg.Go(func() { a.readCandidates(a.life, as) })
	a.clock.reply = time.After(firstCandidate)
	if a.reply.whole = a.foreign && (!trickles(offer.SDP) || len(offer.candidates) > 0); a.reply.whole {
		a.clock.reply = time.After(wholeLimit)
	}
	return a.pc.SetLocalDescription(answer)
}

// sendReply sends the answer.
func (a *attempt) sendReply() {
	d := a.reply.document
	a.reply, a.clock.reply = nil, nil
	a.wg.Go(func() { a.send(a.life, d) })
}

// answered is posted when the Store has an answer.
type answered struct{ signaling.Description }

func (d answered) handle(_ context.Context, a *attempt) (*Pipe, error) {
	return nil, a.accept(d.Description)
}

// accept takes the answer as the caller. It uses nothing of the answer before that has proven
// that its sender knows the code.
func (a *attempt) accept(d signaling.Description) error {
	answer, err := parseDescription(d, a.pc.LocalDescription(), a.log)
	if err != nil {
		return err
	}
	a.foreign = answer.foreign()
	switch {
	case !a.foreign:
		a.keys, err = a.proposal.accept(answer)
	case a.code.Secret != "":
		err = errUnproven
	}
	if err != nil {
		return err
	}
	if a.eager && !a.foreign && answer.P2PChat.FirstCheck {
		a.first.Start()
	}
	if err := a.setRemote(webrtc.SDPTypeAnswer, answer); err != nil {
		return err
	}
	if !a.foreign {
		a.agree(answer)
		a.queue(sealedNote{Nonce: a.proposal.nonce})
		a.open(answer.P2PChat.candidates())
	}
	for _, n := range a.local.unsealed {
		a.queue(n)
	}
	a.local.unsealed = nil
	a.open(a.remote.early)
	a.remote.early = nil
	return nil
}

// announce says in a description what this side can do.
func (a *attempt) announce(d *document) {
	d.P2PChat.QUIC, d.P2PChat.Moves, d.P2PChat.Renews = a.sockets != nil, a.moves, a.renews
}

// agree notes what both sides can do.
func (a *attempt) agree(theirs document) {
	a.quic = a.sockets != nil && theirs.P2PChat.QUIC
	a.moves = a.moves && theirs.P2PChat.Moves
	a.renews = a.renews && theirs.P2PChat.Renews
}

// parseDescription parses the other side's description. own is this side's, if it came first. It returns
// errGarbled if the description makes no sense.
func parseDescription(d signaling.Description, own *webrtc.SessionDescription, log *slog.Logger) (other document, err error) {
	if len(d) > maxDescription { // parsing takes many times its size
		return document{}, fmt.Errorf("%w: it is longer than %d KiB", errGarbled, maxDescription>>10)
	}
	if err := json.Unmarshal(d, &other); err != nil {
		log.Info("a description cannot be read", "error", err)
		return document{}, errGarbled
	}
	if other.promised, err = fingerprintOf(other.SDP); err != nil {
		return document{}, fmt.Errorf("%w: %w", errGarbled, err)
	}
	if other.foreign() {
		other.SDP, other.candidates = plain(other.SDP, own)
	} else if strings.Contains(other.SDP, "a=candidate") {
		// Our programs seal candidates. No packet is sent before the other side has proven
		// that it knows the code.
		return document{}, fmt.Errorf("%w: it has candidates that are not sealed", errGarbled)
	}
	return other, nil
}

// setRemote hands the other side's description to pion.
func (a *attempt) setRemote(kind webrtc.SDPType, d document) error {
	if err := a.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: d.SDP}); err != nil {
		return fmt.Errorf("%w: %w", errGarbled, err)
	}
	a.promised, a.begun = d.promised, time.Now()
	a.phases.begin(phaseICE)
	a.phases.begin(phaseTrust)
	a.clock.start()
	a.wg.Go(func() { words() }) // for the safety words: the list is made while packets are on their way
	a.report(Connecting{})
	for _, c := range d.candidates {
		a.addCandidate(c)
	}
	return nil
}
