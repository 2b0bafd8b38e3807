package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// The one DataChannel, and what is spoken on it (RFC 8832, section 8.2.1).
const (
	channelLabel    = "chat"
	channelProtocol = "p2pchat.v1"
)

// How many of the other side's candidates are read: more than anybody has.
const maxCandidates = 256

// How long an attempt may take, from both descriptions to an open channel.
const connectLimit = 15 * time.Second

// An attempt is one PeerConnection, from its description to an open channel. Its
// run alone touches the PeerConnection; pion's callbacks, and the goroutines that
// read and write at the Store, post to it.
type attempt struct {
	store  signaling.Store
	ticket signaling.Ticket

	relayOnly bool
	report    func(Event)
	log       *slog.Logger
	wg        sync.WaitGroup
	posts     chan any                 // of the types below
	done      chan struct{}            // closed by end: nobody takes posts any more
	local     chan signaling.Candidate // from run to send
	declined  tally                    // of channels

	// owned by run:
	pc      *webrtc.PeerConnection
	foreign bool                  // the other side is a plain WebRTC program
	early   []signaling.Candidate // came before the other side's description
	dropped tally                 // of them
	begun   time.Time             // when both descriptions were there; zero before
	kept    bool                  // the PeerConnection lives on in a Pipe
}

// errGarbled says that a description is none.
var errGarbled = errors.New("the other side's description makes no sense")

// What is posted to run.
type (
	published        struct{ err error } // this side's description
	described        struct{ signaling.Description }
	localCandidate   struct{ *webrtc.ICECandidate } // nil: that was the last one
	remoteCandidates []signaling.Candidate
	roomLost         struct{ err error } // reading or writing there goes no further
	stateChanged     webrtc.PeerConnectionState
	channelOpened    struct{ *webrtc.DataChannel }
)

// document is what this package reads and writes of a description.
type document struct {
	Type    string   `json:"type"`
	SDP     string   `json:"sdp"`
	P2PChat *dialect `json:"p2pchat,omitempty"`
}

// dialect tells a program of ours from a plain WebRTC one.
type dialect struct {
	V int `json:"v"`
}

func (s *Session) newAttempt(side signaling.Ticket, servers []webrtc.ICEServer) (*attempt, error) {
	pc, err := newPeerConnection(s.config, servers)
	if err != nil {
		return nil, err
	}
	a := &attempt{
		store: s.store, ticket: side, relayOnly: s.config.RelayOnly, report: s.config.Report, log: s.config.Log, pc: pc,
		posts: make(chan any), done: make(chan struct{}), local: make(chan signaling.Candidate, 128),
	}
	pc.OnICECandidate(func(c *webrtc.ICECandidate) { a.post(localCandidate{c}) })
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) { a.post(stateChanged(state)) })
	pc.OnDataChannel(func(dc *webrtc.DataChannel) { dc.OnOpen(func() { a.announced(dc) }) })
	return a, nil
}

func (a *attempt) post(what any) (taken bool) {
	select {
	case a.posts <- what:
		return true
	case <-a.done:
		return false
	}
}

// announced takes the channel that the other side has made. The caller's is the one,
// and the first: another one is closed, also when the attempt has long led to a Pipe.
func (a *attempt) announced(dc *webrtc.DataChannel) {
	if a.ticket.Side == signaling.Caller || !a.post(channelOpened{dc}) {
		a.decline(dc)
	}
}

// decline closes a channel: nobody would read it, and it would hold up the other.
func (a *attempt) decline(dc *webrtc.DataChannel) {
	a.declined.warn(a.log, "closed a channel that is not the one", "label", dc.Label(), "protocol", dc.Protocol())
	_ = dc.Close() // the other side may have, before
}

// end waits for all that the attempt started, whose context has to be over. The
// PeerConnection ends too, unless a Pipe has it now.
func (a *attempt) end() {
	close(a.done)
	a.wg.Wait()
	if !a.kept {
		closeConnection(a.pc, a.log)
	}
}

// offer begins as the caller; publish writes the offer.
func (a *attempt) offer(ctx context.Context, publish func(context.Context, signaling.Description) error) error {
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
	a.wg.Go(func() { a.send(ctx, offer, publish) })
	// The offer is on its way before gathering starts here: it holds no candidate.
	return a.pc.SetLocalDescription(offer)
}

// answer begins as the callee; publish writes the answer. An offer that cannot be
// answered is errGarbled.
func (a *attempt) answer(ctx context.Context, d signaling.Description, publish func(context.Context, signaling.Description) error) error {
	if err := a.meet(webrtc.SDPTypeOffer, d); err != nil {
		return err
	}
	answer, err := a.pc.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("%w: it cannot be answered: %w", errGarbled, err)
	}
	a.wg.Go(func() { a.send(ctx, answer, publish) })
	// The caller's candidates are there already, and anybody may read them: as the
	// holder of a ticket this side would have to wait until its answer is.
	a.wg.Go(func() { a.readCandidates(ctx, signaling.Ticket{Room: a.ticket.Room}) })
	return a.pc.SetLocalDescription(answer)
}

// meet takes the other side's description.
func (a *attempt) meet(kind webrtc.SDPType, d signaling.Description) error {
	var other document
	err := json.Unmarshal(d, &other)
	if err == nil {
		err = a.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: other.SDP})
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errGarbled, err)
	}
	a.foreign = other.P2PChat == nil
	a.begun = time.Now()
	a.report(Connecting{})
	a.add(a.early)
	a.early = nil
	return nil
}

// run takes what is posted until the channel is open, a newer offer is there to
// answer instead, or the attempt has failed.
func (a *attempt) run(ctx context.Context, newer <-chan offer) (*Pipe, *offer, error) {
	var limit <-chan time.Time
	for {
		if limit == nil && !a.begun.IsZero() {
			timer := time.NewTimer(connectLimit)
			defer timer.Stop()
			limit = timer.C
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case o := <-newer:
			return nil, &o, nil
		case <-limit:
			return nil, nil, fmt.Errorf("%w within %v", ErrNoPath, connectLimit)
		case what := <-a.posts:
			if p, err := a.take(ctx, what); p != nil || err != nil {
				return p, nil, err
			}
		}
	}
}

func (a *attempt) take(ctx context.Context, what any) (*Pipe, error) {
	switch what := what.(type) {
	case published:
		if what.err == nil && a.ticket.Side == signaling.Caller {
			a.report(Waiting{})
			a.wg.Go(func() { a.readAnswer(ctx) })
			a.wg.Go(func() { a.readCandidates(ctx, a.ticket) })
		}
		return nil, what.err
	case described:
		return nil, a.meet(webrtc.SDPTypeAnswer, what.Description)
	case localCandidate:
		a.trickle(what.ICECandidate)
	case remoteCandidates:
		if a.begun.IsZero() {
			a.early = append(a.early, what...)
		} else {
			a.add(what)
		}
	case roomLost:
		// With both descriptions there, the two may find each other all the same.
		if a.begun.IsZero() {
			return nil, what.err
		}
		a.log.Info("connecting without further news from the server", "why", what.err)
	case stateChanged:
		if state := webrtc.PeerConnectionState(what); state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
			if ice := a.pc.ICEConnectionState(); ice == webrtc.ICEConnectionStateConnected || ice == webrtc.ICEConnectionStateCompleted {
				return nil, fmt.Errorf("%w: the encryption between them could not be set up", ErrNoPath)
			}
			return nil, fmt.Errorf("%w: none of their addresses answered", ErrNoPath)
		}
	case channelOpened:
		return a.open(what.DataChannel)
	}
	return nil, nil
}

// trickle queues one of this side's candidates.
func (a *attempt) trickle(c *webrtc.ICECandidate) {
	if c == nil || a.relayOnly && c.Typ != webrtc.ICECandidateTypeRelay {
		return
	}
	if a.relayOnly { // RFC 8839, section 5.1; with port 0 pion leaves both out, and Firefox takes no relay without
		c.RelatedAddress, c.RelatedPort = "0.0.0.0", 9
		if strings.Contains(c.Address, ":") {
			c.RelatedAddress = "::"
		}
	}
	init := c.ToJSON()
	init.SDPMid = nil // the index says it, whatever name the offer gave the section
	body, err := json.Marshal(init)
	if err != nil {
		a.log.Warn("left out a candidate", "error", err)
		return
	}
	select {
	case a.local <- body:
	default:
		a.log.Warn("left out a candidate: there are too many")
	}
}

// add takes candidates of the other side. One that makes no sense is dropped.
func (a *attempt) add(list []signaling.Candidate) {
	for _, c := range list {
		var init webrtc.ICECandidateInit
		err := json.Unmarshal(c, &init)
		if err == nil {
			err = a.pc.AddICECandidate(init)
		}
		if err != nil {
			a.dropped.warn(a.log, "dropped a candidate of the other side", "error", err)
		}
	}
}

// open makes the Pipe of the channel, if it is the one that is meant.
func (a *attempt) open(dc *webrtc.DataChannel) (*Pipe, error) {
	whole := dc.Ordered() && dc.MaxRetransmits() == nil && dc.MaxPacketLifeTime() == nil
	if !a.foreign && (dc.Label() != channelLabel || dc.Protocol() != channelProtocol || !whole) {
		a.decline(dc)
		return nil, nil
	}
	p, err := newPipe(a.pc, dc, a.foreign, time.Since(a.begun), a.log)
	if err != nil {
		return nil, err
	}
	a.kept = true
	return p, nil
}

// send writes this side's description, then its candidates: all that are waiting in
// one request.
func (a *attempt) send(ctx context.Context, d webrtc.SessionDescription, publish func(context.Context, signaling.Description) error) {
	body, err := json.Marshal(document{Type: d.Type.String(), SDP: d.SDP, P2PChat: &dialect{V: 1}})
	if err == nil {
		err = publish(ctx, body)
	}
	a.post(published{err})
	for sent := 0; err == nil; {
		list := a.waiting(ctx)
		if len(list) == 0 {
			return
		}
		at := sent
		if a.ticket.Room == signaling.Lobby {
			at = -1 // the list may hold those of somebody who answered before
		}
		sent += len(list)
		_, err = a.store.AddCandidates(ctx, a.ticket, at, list...)
		if errors.Is(err, signaling.ErrListFull) {
			a.log.Warn("left out candidates: the server takes no more", "count", len(list))
			return
		}
		if err != nil && ctx.Err() == nil {
			a.post(roomLost{err})
		}
	}
}

// waiting waits for a candidate and takes all that are there by then: none, when ctx
// has ended.
func (a *attempt) waiting(ctx context.Context) (list []signaling.Candidate) {
	select {
	case c := <-a.local:
		list = append(list, c)
	case <-ctx.Done():
		return nil
	}
	for {
		select {
		case c := <-a.local:
			list = append(list, c)
		default:
			return list
		}
	}
}

func (a *attempt) readAnswer(ctx context.Context) {
	d, _, err := a.store.Description(ctx, a.ticket, signaling.Callee, "", signaling.Forever)
	if err != nil {
		a.post(roomLost{err})
		return
	}
	a.post(described{d})
}

func (a *attempt) readCandidates(ctx context.Context, as signaling.Ticket) {
	for after := 0; after < maxCandidates; {
		list, err := a.store.Candidates(ctx, as, a.ticket.Side.Other(), after, signaling.Forever)
		if err != nil {
			a.post(roomLost{err})
			return
		}
		list = list[:min(len(list), maxCandidates-after)]
		after += len(list)
		a.post(remoteCandidates(list))
	}
}
