package peer

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/peer/internal/portmap"
	"p2pchat/signaling"
)

// An attempt is one PeerConnection, from its description to an open channel with another
// program that knows the code. Only run touches the PeerConnection; pion's callbacks, and the
// goroutines that read and write at the Store, post to it.
type attempt struct {
	store      documents
	ticket     signaling.Ticket
	code       Code
	resumption Resumption // for Waiting
	servers    []signaling.ICEServer

	publish   func(context.Context, signaling.Description) error // writes this side's description
	relayOnly bool
	report    func(Event)
	log       *slog.Logger
	wg        sync.WaitGroup
	posts     chan post
	readOn    func()          // see offer.handled; a caller's does nothing
	done      chan struct{}   // closed by finish: no more posts are handled
	life      context.Context // of what reads and writes candidates; ends with that of the attempt's maker, or with kill
	kill      context.CancelFunc
	untie     func() bool                // lets life outlast the maker's context; false: that has ended
	outgoing  chan []signaling.Candidate // from run to send
	complete  chan struct{}              // closed by run when outgoing has all of this side's candidates
	declined  tally                      // channels
	phases    *phases
	network   transport.Net
	machine   pionnet.Addresses
	another   func(context.Context, *pionnet.Sources, *pionnet.FirstCheck) (*webrtc.PeerConnection, error) // to the same side, see apart
	outside   *pionnet.Outside                                                                             // the other side's addresses, for this machine's TURN servers
	sources   *pionnet.Sources                                                                             // of checks
	first     *pionnet.FirstCheck
	packets   *pionnet.Packets
	sockets   *pionnet.Sockets // for the fast path; nil: files do without
	refused   chan struct{}    // see guards
	gateway   *portmap.Gateway // that may map a port; nil: none

	// owned by run:
	pc         *webrtc.PeerConnection
	eager      bool // this side takes the pair of the first check, if the other one does
	unread     bool // this side's offer says so, see dialect
	clock      clock
	begun      time.Time             // when both descriptions were there; zero before
	section    section               // of this side's SDP, for data
	proposal   *proposal             // the caller's
	keys       *sessionKeys          // nil before both descriptions are there, and with a plain WebRTC program
	foreign    bool                  // the other side is a plain WebRTC program
	quic       bool                  // both sides can carry files over the fast path
	moves      bool                  // this side can move the connection, and once both descriptions are there, so can the other
	renews     bool                  // the same of renewing it
	promised   fingerprint           // of the other side's certificate
	published  bool                  // this side's description is at the Store
	closed     error                 // of the room, before the reply that this side's description is at the Store
	newer      *offer                // arrived while the caller had not proven that it knows the code
	superseded bool                  // newer is the one to answer
	reply      *reply                // the callee's answer, until it has candidates to take along
	channel    *webrtc.DataChannel   // open, and held until both sides have proven that they know the code
	choices    []*webrtc.DataChannel // of a plain program, see choose
	handedOver bool                  // a Pipe owns the PeerConnection, and the mapped port
	goesOn     bool                  // and the attempt
	mapping    *portmap.Keeper       // nil: no port is mapped

	noSocket error // why this side has no address; nil if it has one
	local    localCandidates
	remote   remoteCandidates
	mapped   [2]netip.Addr // the public address behind NAT of this side, and of the other

	awaitingCandidates, candidatesLate bool // see pathUnknown
}

// newAttempt returns an attempt. Its look-ups of ICE servers end with ctx.
func (s *Session) newAttempt(ctx context.Context, t signaling.Ticket, code Code, servers []signaling.ICEServer, publish func(context.Context, signaling.Description) error) (*attempt, error) {
	machine, err := ownNet(ctx, s.config)
	if err != nil {
		return nil, err
	}
	return s.newAttemptOver(ctx, groundwork{machine: machine}, t, code, servers, publish)
}

// newAttemptOver returns an attempt on a groundwork.
func (s *Session) newAttemptOver(ctx context.Context, on groundwork, t signaling.Ticket, code Code, servers []signaling.ICEServer, publish func(context.Context, signaling.Description) error) (*attempt, error) {
	machine, own := on.machine, s.config
	own.certificate = on.certificate
	addresses, err := pionnet.AddressesOf(machine)
	if err != nil {
		return nil, err
	}
	g := guards{tcp: s.tcp, outside: &pionnet.Outside{}, sources: &pionnet.Sources{}, first: &pionnet.FirstCheck{}, packets: &pionnet.Packets{}, refused: make(chan struct{}, 1)}
	if !s.config.DataChannelsOnly && !s.config.RelayOnly {
		g.sockets = &pionnet.Sockets{}
	}
	pc, err := newPeerConnection(ctx, own, machine, servers, g)
	if err != nil {
		return nil, err
	}
	a := &attempt{
		store: s.store, ticket: t, code: code, resumption: s.resumption(t, code), servers: servers,
		publish: publish, readOn: func() {}, moves: s.config.Moves && !s.config.RelayOnly, renews: s.config.Moves, relayOnly: s.config.RelayOnly, report: s.config.Report, log: s.config.Log, phases: newPhases(s.config.Log),
		posts: make(chan post), done: make(chan struct{}), outgoing: make(chan []signaling.Candidate, 128), complete: make(chan struct{}),
		another: func(ctx context.Context, sources *pionnet.Sources, first *pionnet.FirstCheck) (*webrtc.PeerConnection, error) {
			config := s.config
			config.gathers = true
			return newPeerConnection(ctx, config, machine, withoutTURN(servers), guards{outside: g.outside, sources: sources, first: first, packets: &pionnet.Packets{}}, apartSettings)
		},
		network: machine, machine: addresses, outside: g.outside, sources: g.sources, first: g.first, packets: g.packets, sockets: g.sockets, refused: g.refused, gateway: s.config.findGateway(), pc: pc,
		remote: remoteCandidates{relays: &relays{}, names: newNames(ctx, machine, s.config), named: map[string]bool{}},
	}
	a.life, a.kill = context.WithCancel(context.WithoutCancel(ctx))
	a.untie = context.AfterFunc(ctx, a.kill)
	a.phases.begin(phaseGathering)
	a.phases.follow(pc)
	pc.OnICECandidate(func(c *webrtc.ICECandidate) { a.post(gathered{c}) })
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) { a.post(stateChanged(state)) })
	pc.OnDataChannel(func(dc *webrtc.DataChannel) { dc.OnOpen(func() { a.announced(dc) }) })
	return a, nil
}

// post waits until run has taken p. It returns false if the attempt has ended.
func (a *attempt) post(p post) bool {
	select {
	case a.posts <- p:
		return true
	case <-a.done:
		return false
	}
}

// postAfter posts p after d, unless the attempt ends before.
func (a *attempt) postAfter(d time.Duration, p post) {
	a.wg.Go(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			a.post(p)
		case <-a.done:
		}
	})
}

// end ends the attempt, unless a Pipe goes on with it. It closes the PeerConnection unless a Pipe owns it. The context of the attempt's
// goroutines must have ended.
func (a *attempt) end() {
	if !a.goesOn {
		a.finish()
	}
}

// finish waits for all goroutines of the attempt.
func (a *attempt) finish() {
	a.kill()
	close(a.done)
	a.wg.Wait()
	a.remote.names.Close()
	if !a.handedOver {
		defer a.mapping.Release()()
		pionnet.Close(a.pc, a.log)
	}
}

// forAll reports whether every client may replace what others wrote in the room, so that a
// replaced document says nothing about the code.
func (a *attempt) forAll() bool { return a.code == Code{Room: signaling.Lobby} }

// unproven reports whether a callee still waits for the caller to prove that it has the
// same code.
func (a *attempt) unproven() bool {
	return a.ticket.Side == signaling.Callee && !a.forAll() && !a.foreign && (a.keys == nil || !a.keys.proven())
}

// bothProven reports whether each side has proven to the other that it knows the code. A
// callee must have been able to read the caller's proof, or it would be left with half a connection.
func (a *attempt) bothProven() bool {
	return a.foreign || a.keys.proven() && (a.ticket.Side == signaling.Callee || a.local.delivered)
}
