package peer

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// farWait is how long unlikely candidates wait, see try: less than relayWait, so that they are
// checked before a relay is taken.
const farWait = relayWait / 2

// An attempt is one PeerConnection, from its description to an open channel with another
// program that knows the code. Only run touches the PeerConnection; pion's callbacks, and the
// goroutines that read and write at the Store, post to it.
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
	done      chan struct{}              // closed by end: run takes no more posts
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
	whole     bool                      // it waits for all: the caller may ask for no more
	early     []signaling.Candidate     // came before the other side's description
	named     map[string]bool           // the other side's candidates, as far as they are counted: see accepts
	dropped   tally                     // of them
	ways      [2]kinds                  // of candidates: this side's, and the other's
	networks  []netip.Prefix            // that this machine is in
	own       []netip.Addr              // of this machine, but those of its first interface
	away      *outsideAddresses         // of the other side
	sources   *sources                  // of checks, and the other side's candidates
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
	hidden    *hiddenNames              // of the other side's addresses
	offered   []*webrtc.DataChannel     // by a plain program, see choose
	relays    []netip.AddrPort          // of the other side's candidates

	awaitingCandidates, candidatesLate bool // see pathUnknown

	kept bool // the PeerConnection lives on in a Pipe
}

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

// newAttempt returns an attempt. Its look-ups of ICE servers end with ctx.
func (s *Session) newAttempt(ctx context.Context, side signaling.Ticket, code Code, servers []signaling.ICEServer, publish func(context.Context, signaling.Description) error) (*attempt, error) {
	machine, err := ownNet(ctx, s.config)
	if err != nil {
		return nil, err
	}
	config, away := s.config, &outsideAddresses{}
	config.outside, config.sources = away, &sources{}
	pc, err := newPeerConnection(ctx, config, machine, configured(servers))
	if err != nil {
		return nil, err
	}
	interfaces, err := machine.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("looking at this machine's network: %w", err)
	}
	a := &attempt{
		store: s.store, ticket: side, code: code, again: s.current(side, code), publish: publish, relayOnly: s.config.RelayOnly, networks: networksOf(interfaces), own: ownAddresses(machine, interfaces), behind: addressesBehind(interfaces), away: away, sources: config.sources, report: s.config.Report, log: s.config.Log, pc: pc,
		hidden: newHiddenNames(ctx, machine, s.config),
		posts:  make(chan any), done: make(chan struct{}), local: make(chan []signaling.Candidate, 128),
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

// end waits for all goroutines of the attempt; their context must have ended. It closes the
// PeerConnection unless a Pipe owns it now.
func (a *attempt) end() {
	close(a.done)
	a.wg.Wait()
	a.hidden.close()
	if !a.kept {
		closeConnection(a.pc, a.log)
	}
}
