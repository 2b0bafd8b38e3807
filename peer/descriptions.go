package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// The answer carries the candidates that are known at once: this machine's own. These are how
// long it waits for the first candidate, and after each one for the next.
const (
	firstCandidate = 5 * time.Millisecond
	nextCandidate  = time.Millisecond
	wholeLimit     = 1500 * time.Millisecond // for all, those of STUN and TURN servers included
)

// errGarbled: the other side's description cannot be read.
var errGarbled = errors.New("the other side's description makes no sense")

// offer begins the attempt as the caller.
func (a *attempt) offer(ctx context.Context) error {
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
	a.section = sectionOf(offer.SDP)
	a.wg.Go(func() { a.send(ctx, d) })
	// The offer is on its way before gathering starts here: it holds no candidate.
	return a.pc.SetLocalDescription(offer)
}

// answer begins the attempt as the callee. It returns errGarbled if the offer cannot be
// answered, and ErrImpostor if it must not be.
func (a *attempt) answer(ctx context.Context, d signaling.Description) error {
	offer, err := a.read(d)
	if err != nil {
		return err
	}
	if a.foreign && a.code.Secret != "" {
		return fmt.Errorf("%w: the caller in this room uses another program, which asks for no code", ErrImpostor)
	}
	if err := a.meet(webrtc.SDPTypeOffer, offer); err != nil {
		return err
	}
	answer, err := a.pc.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("%w: it cannot be answered: %w", errGarbled, err)
	}
	a.section = sectionOf(answer.SDP)
	reply := document{Type: "answer", SDP: answer.SDP}
	if !a.foreign {
		if a.trust, reply, err = respond(a.code, offer, answer.SDP); err != nil {
			return err
		}
	}
	as := a.ticket
	if a.forAll() {
		// Another callee may answer later and replace this side's token, though the caller
		// has read this answer.
		as = signaling.Ticket{Room: as.Room}
	}
	// The read is parked before the caller can have read the answer, and misses nothing.
	a.wg.Go(func() { a.readCandidates(ctx, as) })
	a.reply, a.enough = &reply, time.After(firstCandidate)
	if a.whole = a.foreign && (!trickles(offer.SDP) || len(offer.candidates) > 0); a.whole {
		a.enough = time.After(wholeLimit)
	}
	return a.pc.SetLocalDescription(answer)
}

// dispatch sends the answer.
func (a *attempt) dispatch(ctx context.Context) {
	reply := *a.reply
	a.reply, a.enough = nil, nil
	a.wg.Go(func() { a.send(ctx, reply) })
}

// answered takes the answer as the caller. Nothing of the answer is used before it has proven
// that its sender knows the code.
func (a *attempt) answered(d signaling.Description) error {
	answer, err := a.read(d)
	switch {
	case err != nil:
		return err
	case !a.foreign:
		a.trust, err = a.proposal.settle(answer)
	case a.code.Secret != "":
		err = errUnproven
	}
	if err != nil {
		return err
	}
	if err := a.meet(webrtc.SDPTypeAnswer, answer); err != nil {
		return err
	}
	if !a.foreign {
		a.tell(note{Nonce: a.proposal.nonce})
		a.add(answer.P2PChat.candidates())
	}
	for _, n := range a.held {
		a.tell(n)
	}
	a.held = nil
	a.add(a.early)
	a.early = nil
	return nil
}

// read parses the other side's description. It returns errGarbled if it cannot.
func (a *attempt) read(d signaling.Description) (document, error) {
	var other document
	if len(d) > maxDescription { // parsing takes many times its size
		return document{}, fmt.Errorf("%w: it is longer than %d KiB", errGarbled, maxDescription>>10)
	}
	if err := json.Unmarshal(d, &other); err != nil {
		a.log.Info("a description cannot be read", "error", err)
		return document{}, errGarbled
	}
	var err error
	if a.promised, err = fingerprintOf(other.SDP); err != nil {
		return document{}, fmt.Errorf("%w: %w", errGarbled, err)
	}
	if a.foreign = other.P2PChat == nil; a.foreign {
		other.SDP, other.candidates = plain(other.SDP, a.pc.LocalDescription())
	} else if strings.Contains(other.SDP, "a=candidate") {
		// Our programs seal candidates. No packet is sent before the other side has proven
		// that it knows the code.
		return document{}, fmt.Errorf("%w: it has candidates that are not sealed", errGarbled)
	}
	return other, nil
}

// meet hands the other side's description to pion.
func (a *attempt) meet(kind webrtc.SDPType, d document) error {
	if err := a.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: d.SDP}); err != nil {
		return fmt.Errorf("%w: %w", errGarbled, err)
	}
	a.begun = time.Now()
	a.report(Connecting{})
	a.add(d.candidates)
	return nil
}
