package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// How long an attempt may take, from both descriptions to an open channel.
const connectLimit = 15 * time.Second

// After so long a person is told what is being tried.
const connectNotice = 3 * time.Second

// After so long what seldom works is tried, too, see try: before a relay is taken instead.
const farWait = relayWait / 2

// The answer takes along the candidates that are there at once, this machine's own. So
// long it waits for the first one, and after each for the next.
const (
	firstCandidate = 5 * time.Millisecond
	nextCandidate  = time.Millisecond
	wholeLimit     = 1500 * time.Millisecond // for all, STUN and TURN servers' included
)

// An attempt is one PeerConnection, from its description to an open channel with
// somebody who knows the code. Its run alone touches the PeerConnection; pion's
// callbacks, and the goroutines that read and write at the Store, post to it.
type attempt struct {
	store  signaling.Store
	ticket signaling.Ticket
	code   Code
	again  Again // for Waiting

	publish   func(context.Context, signaling.Description) error // this side's description
	relayOnly bool
	report    func(Event)
	log       *slog.Logger
	wg        sync.WaitGroup
	posts     chan any                   // of the types below
	done      chan struct{}              // closed by end: nobody takes posts any more
	local     chan []signaling.Candidate // from run to send
	declined  tally                      // of channels

	// owned by run:
	pc        *webrtc.PeerConnection
	proposal  *proposal                 // the caller's
	trust     *trust                    // nil before both descriptions are there, and with a plain WebRTC program
	foreign   bool                      // the other side is a plain WebRTC program
	published bool                      // this side's description is at the Store
	held      []note                    // of this side, until there is somebody to seal them for
	batch     []signaling.Candidate     // of this side, until the end of a step
	reply     *document                 // the callee's, until it has candidates to take along
	enough    <-chan time.Time          // waited for them
	whole     bool                      // it waits for all: the caller asks for no more
	early     []signaling.Candidate     // came before the other side's description
	dropped   tally                     // of them
	ways      [2]kinds                  // of candidates: this side's, and the other's
	networks  []netip.Prefix            // that this machine is in
	own       []netip.Addr              // of this machine, but those of its first interface
	away      *outsideAddresses         // of the other side
	outside   [2]netip.Addr             // of NAT, the address of this side, and of the other
	behind    []netip.Addr              // addresses that the other side is told of late
	late      []webrtc.ICECandidateInit // of this side, at those
	far       []webrtc.ICECandidateInit // of the other side, see try
	patient   bool                      // late and far have waited long enough
	section   section                   // of this side's SDP, for data
	promised  fingerprint               // of the other side's certificate
	begun     time.Time                 // when both descriptions were there; zero before
	told      bool                      // the Store has the first of this side's candidates: with the caller's nonce
	hurried   int                       // times that pion was told to check at once
	channel   *webrtc.DataChannel       // open, and held until the two trust each other
	newer     *offer                    // came while it had not
	kept      bool                      // the PeerConnection lives on in a Pipe
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
	lookedAgain      struct{ err error } // after a newer offer came
	delivered        struct{}            // some of this side's candidates are at the Store
	stateChanged     webrtc.PeerConnectionState
	channelOpened    struct{ *webrtc.DataChannel }
)

// newAttempt makes one, whose look-ups of ICE servers end with ctx.
func (s *Session) newAttempt(ctx context.Context, side signaling.Ticket, code Code, servers []webrtc.ICEServer, publish func(context.Context, signaling.Description) error) (*attempt, error) {
	machine, err := ownNet(ctx, s.config)
	if err != nil {
		return nil, err
	}
	config, away := s.config, &outsideAddresses{}
	config.outside = away
	pc, err := newPeerConnection(config, machine, servers)
	if err != nil {
		return nil, err
	}
	interfaces, err := machine.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("looking at this machine's network: %w", err)
	}
	a := &attempt{
		store: s.store, ticket: side, code: code, again: s.current(side, code), publish: publish, relayOnly: s.config.RelayOnly, networks: networksOf(interfaces), own: ownAddresses(machine, interfaces), behind: addressesBehind(interfaces), away: away, report: s.config.Report, log: s.config.Log, pc: pc,
		posts: make(chan any), done: make(chan struct{}), local: make(chan []signaling.Candidate, 128),
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

// end waits for all that the attempt started, whose context has to be over. The
// PeerConnection ends too, unless a Pipe has it now.
func (a *attempt) end() {
	close(a.done)
	a.wg.Wait()
	if !a.kept {
		closeConnection(a.pc, a.log)
	}
}

// offer begins as the caller.
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

// answer begins as the callee. The error is errGarbled for an offer that cannot be
// answered, and ErrImpostor for one that may not be.
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
		// Somebody may answer after this side and take the token's place, though the
		// caller has read this answer.
		as = signaling.Ticket{Room: as.Room}
	}
	// It waits there before the caller can have read the answer, and misses nothing.
	a.wg.Go(func() { a.readCandidates(ctx, as) })
	a.reply, a.enough = &reply, time.After(firstCandidate)
	if a.whole = a.foreign && !trickles(offer.SDP); a.whole {
		a.enough = time.After(wholeLimit)
	}
	return a.pc.SetLocalDescription(answer)
}

// dispatch sends the answer on its way.
func (a *attempt) dispatch(ctx context.Context) {
	reply := *a.reply
	a.reply, a.enough = nil, nil
	a.wg.Go(func() { a.send(ctx, reply) })
}

// answered takes the answer as the caller. Nothing of it is used before it has proven
// that it comes from somebody who knows the code.
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

// read finds out what the other side's description is. The error is errGarbled.
func (a *attempt) read(d signaling.Description) (document, error) {
	var other document
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
		// Ours come sealed. Before the other side has proven anything, no packet goes out.
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

// run takes what is posted until the channel is open, a newer offer is there to
// answer instead, or the attempt has failed. With some errors there is a newer offer,
// too.
func (a *attempt) run(ctx context.Context, newer <-chan offer, closed <-chan struct{}) (*Pipe, *offer, error) {
	var limit, slow, hurry, far <-chan time.Time
	for {
		if limit == nil && !a.begun.IsZero() {
			timer, notice, ticker, wait := time.NewTimer(connectLimit), time.NewTimer(connectNotice), time.NewTicker(hurryInterval), time.NewTimer(farWait)
			defer timer.Stop()
			defer notice.Stop()
			defer ticker.Stop()
			defer wait.Stop()
			limit, slow, hurry, far = timer.C, notice.C, ticker.C, wait.C
		}
		if a.hurried == hurries {
			hurry = nil
		}
		var p *Pipe
		var err error
		var gone <-chan struct{}
		if a.published && a.unproven() {
			gone = closed
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case o := <-newer:
			if !a.unproven() {
				return nil, &o, nil
			}
			a.replaced(ctx, o)
		case <-gone:
			err = a.lost(signaling.ErrClosed)
		case <-slow:
			a.report(Trying{This: a.ways[0].String(), Other: a.ways[1].String()})
		case <-limit:
			err = fmt.Errorf("%w within %v (%s)", ErrNoPath, connectLimit, a.tried())
		case <-hurry:
			a.hurry()
		case <-far:
			a.patient = true
			a.tellLate()
			a.tryFar()
		case <-a.enough:
			a.dispatch(ctx)
		case what := <-a.posts:
			p, err = a.take(ctx, what)
			if _, ok := what.(lookedAgain); ok && err == nil {
				return nil, a.newer, nil
			}
		}
		if p != nil {
			return p, nil, nil // a newer offer came too late
		}
		if err != nil {
			return nil, a.newer, err
		}
		a.deliver()
	}
}

// replaced looks what a newer offer means to a callee who has not met the caller yet:
// its answer was turned down, or came too late. Only the token tells the two apart.
func (a *attempt) replaced(ctx context.Context, o offer) {
	first := a.newer == nil
	a.newer = &o
	if first && a.published {
		a.wg.Go(func() { a.lookAgain(ctx) })
	}
}

// unproven tells whether a callee still waits for the caller to show that it has the
// same code.
func (a *attempt) unproven() bool {
	return a.ticket.Side == signaling.Callee && !a.forAll() && !a.foreign && (a.trust == nil || !a.trust.proven())
}

// forAll tells whether the room is one where anybody may replace what others wrote, and
// that they do means nothing.
func (a *attempt) forAll() bool { return a.code == Code{Room: signaling.Lobby} }

func (a *attempt) take(ctx context.Context, what any) (*Pipe, error) {
	switch what := what.(type) {
	case published:
		return nil, a.wait(ctx, what.err)
	case described:
		return nil, a.answered(what.Description)
	case localCandidate:
		a.trickle(what.ICECandidate)
		if what.ICECandidate == nil && a.reply != nil {
			a.dispatch(ctx)
		}
	case remoteCandidates:
		if a.begun.IsZero() {
			a.early = append(a.early, what...)
			return nil, nil
		}
		a.add(what)
		return a.openHeld()
	case delivered:
		a.told = true
		return a.openHeld()
	case lookedAgain:
		return nil, a.lost(what.err)
	case roomLost:
		return nil, a.lost(what.err)
	case stateChanged:
		if state := webrtc.PeerConnectionState(what); state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
			if ice := a.pc.ICEConnectionState(); ice == webrtc.ICEConnectionStateConnected || ice == webrtc.ICEConnectionStateCompleted {
				return nil, fmt.Errorf("%w: the encryption between them could not be set up", ErrNoPath)
			}
			return nil, fmt.Errorf("%w: none of their addresses answered (%s)", ErrNoPath, a.tried())
		}
	case channelOpened:
		return a.open(what.DataChannel)
	}
	return nil, nil
}

// wait waits for the other side, once this side's description is there.
func (a *attempt) wait(ctx context.Context, err error) error {
	switch {
	case err != nil:
		return err
	case a.ticket.Side == signaling.Caller:
		a.report(Waiting{a.code, a.again})
		a.wg.Go(func() { a.readAnswer(ctx) })
		a.wg.Go(func() { a.readCandidates(ctx, a.ticket) })
	case a.newer != nil:
		a.wg.Go(func() { a.lookAgain(ctx) })
	}
	a.published = true
	return nil
}

// lost is what it means that the room says no more.
func (a *attempt) lost(why error) error {
	switch {
	case a.begun.IsZero():
		return why
	case a.unproven() && errors.Is(why, signaling.ErrTurnedDown):
		return ErrWrongCode
	case a.unproven() && errors.Is(why, signaling.ErrClosed) && a.published && a.code.Secret != "":
		return fmt.Errorf("%w, or the caller has just hung up: the room is closed", ErrWrongCode)
	}
	// With both descriptions there, the two may find each other all the same.
	a.log.Info("connecting without further news from the server", "why", why)
	return nil
}
