package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

// A Pipe opens further PeerConnections to the same side without a server:
//
//	opener                     a channel of the Pipe                 other side
//	  | channel "apart", offer ────────────────────────────────────▶ |
//	  | ◀──────────────────────────────────────────────────── answer |
//	  |◀═══════ DataChannel "file", on a PeerConnection of its own ══▶|
//
// Both descriptions have all candidates of their side. They come over the DTLS connection of the Pipe, and so does the
// fingerprint that the other side's certificate must have: the new connection is as verified as the Pipe. It ends
// when either side closes one of the two channels, and with the Pipe.
const apartLabel = "apart"

const (
	apartMost   = 4         // of each side, at a time
	apartWindow = 192 << 10 // bytes: the least congestion window
	apartBuffer = 1 << 20   // bytes that may wait to be read
)

// apartSettings are those of a further connection. A file has several: together they may use more memory than the Pipe, and lose
// more packets.
func apartSettings(e *webrtc.SettingEngine) {
	e.SetSCTPMaxReceiveBufferSize(apartBuffer)
	e.SetSCTPMinCwnd(apartWindow)
	e.SetICETimeouts(silence, 5*time.Second, heartbeat) // it has no Session that doubts
}

var errNoApart = errors.New("no further connection can be opened")

// An aparts is the further connections of a Pipe.
type aparts struct {
	direct func() (remote netip.Addr, ok bool) // nil: no connection can be opened
	make   func(context.Context, *pionnet.Sources, *pionnet.FirstCheck) (*webrtc.PeerConnection, error)
	eager  bool // they take the pair of the first check, if the other side does
	wg     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	open   [2]int // channels of this side, and of the other side
}

// begin takes a place for one more channel, of this side or of the other side, and returns the address to which the Pipe's packets go now.
// It returns false if there is no place, or if the path is no direct one.
func (a *aparts) begin(theirs bool) (remote netip.Addr, ok bool) {
	if a.direct == nil {
		return remote, false
	}
	if remote, ok = a.direct(); !ok {
		return remote, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	side := sideIndex(theirs)
	if a.closed || a.open[side] == apartMost {
		return remote, false
	}
	a.open[side]++
	a.wg.Add(1)
	return remote, true
}

// end gives the place back.
func (a *aparts) end(theirs bool) {
	a.mu.Lock()
	a.open[sideIndex(theirs)]--
	a.mu.Unlock()
	a.wg.Done()
}

// close waits until all have ended; the Pipe's life must have.
func (a *aparts) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.wg.Wait()
}

func sideIndex(theirs bool) int {
	if theirs {
		return 1
	}
	return 0
}

// direct returns the address to which packets go. It returns false if they go through a relay, where each further connection
// would cost an allocation, or over TCP.
func (a *attempt) direct() (remote netip.Addr, ok bool) {
	pair := a.selected()
	if pair == nil || a.path() == webrtc.ICECandidateTypeRelay.String() || pair.Local.Protocol != webrtc.ICEProtocolUDP {
		return remote, false
	}
	remote, err := netip.ParseAddr(pair.Remote.Address)
	return remote.Unmap(), err == nil
}

// withoutTURN returns the STUN servers of a list.
func withoutTURN(servers []signaling.ICEServer) (list []signaling.ICEServer) {
	for _, s := range servers {
		s.URLs = slices.DeleteFunc(slices.Clone(s.URLs), func(url string) bool { return strings.HasPrefix(url, "turn") })
		if len(s.URLs) > 0 {
			list = append(list, s)
		}
	}
	return list
}

// An apart is a further connection, with one channel.
type apart struct {
	p       *Pipe
	theirs  bool       // the other side has opened it
	remote  netip.Addr // to which its packets go
	control *channel
	pc      *webrtc.PeerConnection
	sources *pionnet.Sources
	first   *pionnet.FirstCheck
	channel *channel // nil until it has opened
	opened  chan *webrtc.DataChannel
	once    sync.Once
	over    chan struct{} // closed by end

	associationEnded chan struct{} // closed by pion when its SCTP association has ended
}

// OpenApart opens a channel on a PeerConnection of its own. Its messages arrive whole, and in any order. Close ends the
// PeerConnection. It returns an error if the Pipe's path is not direct and over UDP, if there are four, if QUIC carries a
// channel of this side, or if the other side refuses; or those of Open.
func (p *Pipe) OpenApart(ctx context.Context) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	if p.fast.busy() {
		return nil, errNoApart
	}
	remote, ok := p.aparts.begin(false)
	if !ok {
		return nil, errNoApart
	}
	control, err := p.open(ctx, apartLabel)
	if err != nil {
		p.aparts.end(false)
		return nil, err
	}
	a, err := p.newApart(control, remote, false)
	if err != nil {
		return nil, err
	}
	if err := a.offer(ctx); err != nil {
		a.end()
		return nil, p.reason(ctx, err)
	}
	return a.channel, nil
}

// acceptApart begins to take a connection that the other side opens over control, and calls release when it has ended. It returns
// errNoApart, without a call, if there is no place.
func (p *Pipe) acceptApart(control *channel, release func()) error {
	remote, ok := p.aparts.begin(true)
	if !ok {
		return errNoApart
	}
	p.aparts.wg.Go(func() { p.answerApart(control, remote, release) })
	return nil
}

func (p *Pipe) answerApart(control *channel, remote netip.Addr, release func()) {
	ctx, cancel := context.WithTimeout(p.life, connectLimit)
	defer cancel()
	a, err := p.newApart(control, remote, true)
	if err == nil {
		if err = a.answer(ctx); err != nil {
			a.end()
		}
	}
	if err != nil {
		release()
		p.declined.warn(p.log, "a further connection of the other side has failed", "error", err)
		return
	}
	a.channel.closed = func() {
		a.end()
		release()
	}
	p.arrived <- a.channel // there is room for all
}

// newApart returns a further connection, which has taken its place, and ends with control and with the Pipe.
func (p *Pipe) newApart(control *channel, remote netip.Addr, theirs bool) (*apart, error) {
	sources := &pionnet.Sources{}
	if p.Verified {
		sources.Prove()
	}
	first := &pionnet.FirstCheck{}
	pc, err := p.aparts.make(p.life, sources, first)
	if err != nil {
		_ = control.Close() // it never fails
		p.aparts.end(theirs)
		return nil, err
	}
	a := &apart{
		p: p, theirs: theirs, remote: remote, control: control, pc: pc, sources: sources, first: first,
		opened: make(chan *webrtc.DataChannel, 1), over: make(chan struct{}), associationEnded: make(chan struct{}),
	}
	pc.SCTP().OnClose(func(error) { close(a.associationEnded) })
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			first.Stop()
		case webrtc.PeerConnectionStateDisconnected, webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			a.end()
		}
	})
	go a.follow() // counted by begin
	return a, nil
}

// follow closes everything when the connection has ended. The side that has opened it ends the association: where
// both do so at once, pion waits.
func (a *apart) follow() {
	defer a.p.aparts.end(a.theirs)
	select {
	case <-a.over:
	case <-a.p.ended:
	case <-a.p.life.Done():
	}
	connected := a.pc.ConnectionState() == webrtc.PeerConnectionStateConnected
	a.end()
	_ = a.control.Close() // it never fails
	if a.theirs && connected {
		select {
		case <-a.associationEnded:
			pionnet.CloseEnded(a.pc, a.p.log)
			return
		case <-time.After(halfCloseLimit):
		}
	}
	closeConnection(a.pc, a.associationEnded, a.p.log)
}

func (a *apart) end() { a.once.Do(func() { close(a.over) }) }

// offer connects as the side that opens.
func (a *apart) offer(ctx context.Context) error {
	protocol, ordered := channelProtocol, false
	dc, err := a.pc.CreateDataChannel(furtherLabel, &webrtc.DataChannelInit{Protocol: &protocol, Ordered: &ordered})
	if err != nil {
		return err
	}
	dc.OnOpen(func() { a.opened <- dc })
	offer, err := a.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	if err := a.describe(ctx, offer); err != nil {
		return err
	}
	promised, err := a.described(ctx, webrtc.SDPTypeAnswer)
	if err != nil {
		return err
	}
	return a.await(ctx, promised)
}

// answer connects as the other side.
func (a *apart) answer(ctx context.Context) error {
	a.pc.OnDataChannel(func(dc *webrtc.DataChannel) {
		dc.OnOpen(func() {
			select {
			case a.opened <- dc:
			default:
				decline(dc, a.p.declined, a.p.log)
			}
		})
	})
	promised, err := a.described(ctx, webrtc.SDPTypeOffer)
	if err != nil {
		return err
	}
	answer, err := a.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := a.describe(ctx, answer); err != nil {
		return err
	}
	return a.await(ctx, promised)
}

// An apartDescription is what one side sends of itself: its description, with all its candidates.
type apartDescription struct {
	webrtc.SessionDescription
	FirstCheck bool `json:"firstCheck,omitempty"` // it takes the pair of the first check, if the other side does
}

// describe sends this side's description, with all its candidates.
func (a *apart) describe(ctx context.Context, d webrtc.SessionDescription) error {
	gathered := webrtc.GatheringCompletePromise(a.pc)
	if err := a.pc.SetLocalDescription(d); err != nil {
		return err
	}
	select {
	case <-gathered:
	case <-a.over:
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
	b, err := json.Marshal(apartDescription{*a.pc.LocalDescription(), a.p.aparts.eager})
	if err != nil {
		return err
	}
	defer endWith(ctx, a.control.raw.SetWriteDeadline)()
	_, err = a.control.Write(b)
	return err
}

// described reads the other side's description, and returns which certificate it promises.
func (a *apart) described(ctx context.Context, kind webrtc.SDPType) (promised fingerprint, err error) {
	release := endWith(ctx, a.control.raw.SetReadDeadline)
	message, err := a.control.next()
	release()
	if err != nil {
		return promised, err
	}
	var d apartDescription
	if err := json.Unmarshal(message, &d); err != nil || d.Type != kind {
		return promised, errGarbled
	}
	if promised, err = fingerprintOf(d.SDP); err != nil {
		return promised, fmt.Errorf("%w: %w", errGarbled, err)
	}
	var list []candidate
	d.SDP, list = plain(d.SDP, nil)
	if d.FirstCheck && a.p.aparts.eager {
		a.first.Start()
	}
	if err := a.pc.SetRemoteDescription(d.SessionDescription); err != nil {
		return promised, fmt.Errorf("%w: %w", errGarbled, err)
	}
	for _, c := range list {
		if c.at.Addr() != a.remote { // the other side names no address that the Pipe does not reach
			continue
		}
		a.sources.Name(c.at.Addr())
		if err := a.pc.AddICECandidate(c.init); err != nil {
			return promised, fmt.Errorf("%w: %w", errGarbled, err)
		}
	}
	a.p.aparts.wg.Go(a.watch) // ends with control
	return promised, nil
}

// watch ends the connection when the other side closes control.
func (a *apart) watch() {
	_, _ = a.control.Read(nil) // nothing comes after the description; Read drops what does
	a.end()
}

// await waits for the channel, on a connection to the side that has the promised certificate.
func (a *apart) await(ctx context.Context, promised fingerprint) error {
	select {
	case dc := <-a.opened:
		if err := promised.check(a.pc); err != nil {
			return err
		}
		if dc.Label() != furtherLabel || dc.Protocol() != channelProtocol || dc.MaxRetransmits() != nil || dc.MaxPacketLifeTime() != nil {
			return errGarbled
		}
		c, err := newChannel(a.p, dc, furtherBuffer)
		if err != nil {
			return err
		}
		c.closed = a.end // the other side's: see answerApart
		a.channel = c
		return nil
	case <-a.over:
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
}
