package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/peer/internal/portmap"
	"p2pchat/signaling"
)

// MaxMessage is how many bytes a message of the pipe may have: as many as browsers take.
const MaxMessage = 256 << 10

// close waits so long for an SCTP association that ends by itself, and for a plain WebRTC program
// to close its half of the channel.
const (
	associationLimit = 50 * time.Millisecond
	halfCloseLimit   = 300 * time.Millisecond
)

const firstBuffer = 16 << 10 // bytes for Recv, which makes it larger if a message needs more

// Details are what is known of a connection.
type Details struct {
	Foreign     bool          // the other side is a plain WebRTC program: it is sent texts
	Verified    bool          // both sides knew the code's secret: no attacker is in the middle
	SafetyWords []string      // the same on both sides unless an attacker is in the middle; none for a plain WebRTC program
	Path        string        // host, srflx, prflx or relay: the worst candidate of the path, as far as it is known; see Relayed
	Route       string        // the stops of a packet to the other side, separated by commas: each is host, nat or relay, and its address if that is known
	Took        time.Duration // from both descriptions to the open channel
	Reason      string        // why it has taken the place of another one, as a side said that moved it: one of the Why constants; empty if none did, or none said
	Theirs      bool          // the other side moved it
	Renewed     bool          // it has taken the place of a Pipe whose relay refused to go on: see Config.Moves
}

// A Pipe is a DataChannel that carries whole messages, in order, and opens further
// channels beside it. One goroutine may send while another one receives.
type Pipe struct {
	Details
	// Rendezvous is the code with which these two can meet again; an attacker in the middle of an unverified
	// call has it, too. It is zero for a plain WebRTC program.
	Rendezvous Code

	side    signaling.Side
	code    Code   // with which the two met
	typed   Code   // with which they met first
	token   string // of the caller in that room
	spent   int    // guesses at the typed code when the two met
	contact []byte // see ContactKey

	generation string // see Generation

	pc       *webrtc.PeerConnection
	network  transport.Net // of its sockets
	log      *slog.Logger
	main     *channel
	fast     *fastPath               // nil: further channels are DataChannels
	heard    chan struct{}           // closed by the first message; owned by Recv
	expects  atomic.Bool             // that the other side opens channels
	arrived  chan io.ReadWriteCloser // opened by the other side, and not accepted yet
	further  atomic.Int32            // channels of the other side that are not closed yet
	own      atomic.Int32            // DataChannels that Open has opened, and that are not closed yet
	files    atomic.Uint32           // further channels that either side has opened so far
	declined *tally                  // channels
	phases   *phases
	mapping  *portmap.Keeper

	life   context.Context // of all that belongs to it
	kill   context.CancelFunc
	aparts aparts

	servers  []signaling.ICEServer // with which the two met
	moves    bool                  // the two can move the connection
	renews   bool                  // and renew it
	asks     chan *channel         // on which the other side wants to do either
	better   chan struct{}         // to the Session: there may be a better path
	quiet    chan struct{}         // to the Session: no packet has come for a while
	sources  *pionnet.Sources      // of checks
	packets  *pionnet.Packets
	home     netip.Addr      // from which packets leave, though the routes prefer another one; the zero Addr: by the routes
	checks   int             // beyond pion's own; owned by the Session
	refused  <-chan struct{} // to the Session: a TURN server no longer keeps an allocation
	late     *attempt        // goes on until the path is settled; nil: it is
	lateOnce sync.Once       // it goes on
	settled  chan struct{}   // closed once it has ended
	viaRelay atomic.Bool     // the path has turned out to be a relay's
	relay    chan string     // see Relayed
	turned   chan struct{}   // the same, to the Session
	replaced chan struct{}   // closed by the Session when it has another Pipe for this one,
	last     chan struct{}   // or else once it has none, after the end

	once  sync.Once     // guards what follows
	ended chan struct{} // closed when the connection has ended
	why   error         // once it is: ErrLost or io.EOF

	associationEnded chan struct{} // closed by pion when its SCTP association has ended
}

func newPipe(a *attempt, dc *webrtc.DataChannel) (*Pipe, error) {
	p := &Pipe{
		Details: Details{Foreign: a.foreign, Path: a.path(), Route: a.route(), Took: time.Since(a.begun)},
		side:    a.ticket.Side, code: a.code, typed: a.code, pc: a.pc, network: a.network, log: a.log, heard: make(chan struct{}), ended: make(chan struct{}), associationEnded: make(chan struct{}), settled: make(chan struct{}), relay: make(chan string, 1), turned: make(chan struct{}, 1), replaced: make(chan struct{}), last: make(chan struct{}),
		arrived: make(chan io.ReadWriteCloser, furtherChannels), declined: &a.declined, mapping: a.mapping,
	}
	var err error
	if p.main, err = newChannel(p, dc, firstBuffer); err != nil {
		return nil, err
	}
	if a.ticket.Side == signaling.Caller {
		p.token = a.ticket.Token
	}
	if !a.foreign {
		p.Verified, p.SafetyWords, p.Rendezvous = a.code.Secret != "", a.keys.words(), a.keys.rendezvous()
		p.contact = a.keys.contact()
	}
	a.phases.end(phaseTrust)
	p.phases = a.phases
	p.phases.begin(phaseFirstMessage)
	p.life, p.kill = context.WithCancel(context.Background())
	p.aparts.make, p.aparts.eager = a.another, a.eager
	if !a.foreign && !a.relayOnly {
		p.aparts.direct = a.direct
	}
	p.fast = a.newFastPath(p)
	p.servers, p.refused, p.asks, p.better = a.servers, a.refused, make(chan *channel, 1), make(chan struct{}, 1)
	p.quiet, p.sources, p.packets = make(chan struct{}, 1), a.sources, a.packets
	p.moves, p.renews = a.moves && !a.foreign, a.renews && !a.foreign
	p.pc.OnDataChannel(func(dc *webrtc.DataChannel) { dc.OnOpen(func() { p.announced(dc) }) })
	p.pc.SCTP().OnClose(func(error) {
		close(p.associationEnded)
		p.end(io.EOF) // ICE notices only after seconds of silence, and Recv only where it is called
	})
	p.pc.OnConnectionStateChange(p.changed)
	p.changed(p.pc.ConnectionState()) // it may have changed before the callback was there
	return p, nil
}

// ContactKey returns 32 bytes from which the two derive the keys of contacts (package contact): the same on both sides, and on
// every Pipe of their conversation. An attacker in the middle of an unverified call has them, too. It returns nil for a
// plain WebRTC program.
func (p *Pipe) ContactKey() []byte { return p.contact }

func (p *Pipe) changed(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateDisconnected:
		select {
		case p.quiet <- struct{}{}:
		default: // the Session has not seen the last one
		}
	case webrtc.PeerConnectionStateFailed:
		p.end(ErrLost)
	case webrtc.PeerConnectionStateClosed:
		p.end(io.EOF)
	}
}

// close closes the connection, and all beside it.
func (p *Pipe) close() {
	p.kill()
	p.settle()
	<-p.settled
	defer p.mapping.Release()()
	defer p.aparts.close()
	over := isClosed(p.ended)
	p.end(io.EOF) // for the fast path, unless it has ended
	p.fast.close()
	if over && errors.Is(p.why, io.EOF) {
		select {
		case <-p.associationEnded:
			pionnet.CloseEnded(p.pc, p.log)
			return
		case <-time.After(associationLimit): // the other side has closed its channel alone
		}
	}
	if p.Foreign && !over {
		p.closeChannel()
	}
	closeConnection(p.pc, p.associationEnded, p.log)
}

// closeConnection closes pc. An association that a loss or a move has ended is not aborted once more, which takes 400 ms.
func closeConnection(pc *webrtc.PeerConnection, associationEnded <-chan struct{}, log *slog.Logger) {
	if isClosed(associationEnded) {
		pionnet.CloseEnded(pc, log)
		return
	}
	pionnet.Close(pc, log)
}

// closeChannel closes the channel before the connection. GStreamer's webrtcbin tells its program of
// a closed channel only.
func (p *Pipe) closeChannel() {
	_ = p.main.dc.Close() // the other side may have closed it before
	_ = p.main.raw.SetReadDeadline(time.Now().Add(halfCloseLimit))
	for {
		if _, err := p.main.next(); err != nil { // the other side has closed it, too, or does not do so in time
			return
		}
	}
}

// awaitHeard waits for the first message of the other side, or the end.
func (p *Pipe) awaitHeard() {
	select {
	case <-p.heard:
	case <-p.ended:
	}
}

// Ended returns a channel that is closed when the connection has ended, also if no Recv waits.
func (p *Pipe) Ended() <-chan struct{} { return p.ended }

// Replaced returns a channel that is closed when the Session has moved the connection: Session.Pipe returns the Pipe that
// takes this one's place. This one carries messages for a second more.
func (p *Pipe) Replaced() <-chan struct{} { return p.replaced }

// end ends the Pipe, once: the first reason counts.
func (p *Pipe) end(why error) {
	p.once.Do(func() {
		p.why = why
		close(p.ended)
	})
}

// ending reports whether the connection has ended, or is about to: its channels end a moment before.
func (p *Pipe) ending() bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(associationLimit):
		return false
	}
}

// Send sends a message, and waits while earlier ones fill the channel. It returns
// ErrLost if the other machine fell silent, the context's error, or that of a
// channel that was closed.
func (p *Pipe) Send(ctx context.Context, message []byte) error {
	defer endWith(ctx, p.main.raw.SetWriteDeadline)()
	if _, err := p.main.Write(message); err != nil {
		return p.reason(ctx, fmt.Errorf("sending: %w", err))
	}
	return nil
}

// Recv waits for a message. It returns io.EOF if the other side has closed the
// channel, ErrLost if its machine fell silent, or the context's error. It drops a message over
// MaxMessage, and logs the first few.
func (p *Pipe) Recv(ctx context.Context) ([]byte, error) {
	defer endWith(ctx, p.main.raw.SetReadDeadline)()
	message, err := p.main.next()
	for errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil { // of an earlier call: pion may apply it late
		_ = p.main.raw.SetReadDeadline(time.Time{})
		if ctx.Err() == nil { // otherwise the line above has removed the deadline that ends this call
			message, err = p.main.next()
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, p.reason(ctx, err)
	case err != nil: // reset, or aborted
		p.log.Debug("the channel has ended", "why", err)
		p.end(io.EOF)
		return nil, p.reason(ctx, io.EOF)
	}
	if !isClosed(p.heard) {
		p.phases.end(phaseFirstMessage)
		close(p.heard)
	}
	return bytes.Clone(message), nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// reason returns why err came: ErrLost, or the context's error, or err itself, in this order.
func (p *Pipe) reason(ctx context.Context, err error) error {
	if isClosed(p.ended) && errors.Is(p.why, ErrLost) {
		return ErrLost
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// endWith sets a deadline when ctx ends, until release is called.
func endWith(ctx context.Context, deadline func(time.Time) error) (release func()) {
	_ = deadline(time.Time{}) // on a closed channel, the next call returns the error
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(set)
		_ = deadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-set // otherwise it could end the next call
		}
	}
}

// Flush waits until the other machine has acknowledged everything that was sent, which SCTP may delay by
// 200 ms. It returns the errors of Send.
func (p *Pipe) Flush(ctx context.Context) error {
	flushed := make(chan struct{}, 1)
	p.main.dc.OnBufferedAmountLow(func() {
		select {
		case flushed <- struct{}{}:
		default: // the channel ran empty before
		}
	})
	p.main.dc.SetBufferedAmountLowThreshold(0)
	if p.main.dc.BufferedAmount() == 0 {
		return nil
	}
	select {
	case <-flushed:
		return nil
	case <-p.ended:
		return p.reason(ctx, io.EOF)
	case <-ctx.Done():
		return ctx.Err()
	}
}
