package peer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/portmap"
	"p2pchat/signaling"
)

// What the tests of package peer_test see beyond the API.
const (
	ConnectLimit  = connectLimit
	Attempts      = attempts
	MaxCandidates = maxCandidates
	MaxCarried    = maxCarried
	Heartbeat     = heartbeat
)

var ErrGarbled = errGarbled

// Over returns the Config of a machine on the network n.
func (c Config) Over(n transport.Net) Config {
	c.net = n
	return c
}

// Routed returns the Config of a machine whose packets leave from the address that route returns.
func (c Config) Routed(route func(netip.Addr) netip.Addr) Config {
	c.route = route
	return c
}

// Losing returns the Config of a machine that no longer has the addresses of which gone says so.
func (c Config) Losing(gone func(netip.Addr) bool) Config {
	c.isGone = gone
	return c
}

// Local returns this machine's address in the pair that ICE has chosen.
func (p *Pipe) Local() string { return selected(p.pc).Local.Address }

// AwaitUDP is awaitUDP.
var AwaitUDP = awaitUDP

// Behind returns the Config of a machine behind the gateway g.
func (c Config) Behind(g portmap.Gateway) Config {
	c.gateway = &g
	return c
}

// Gateway returns the gateway that would be asked for a port, or nil.
func (c Config) Gateway() *portmap.Gateway { return c.findGateway() }

// Patient returns the Config of a side that waits for nominations.
func (c Config) Patient() Config {
	c.patient = true
	return c
}

// OverQUIC reports whether a further channel is on the fast path.
func OverQUIC(c io.ReadWriteCloser) bool {
	_, dataChannel := c.(*channel)
	return !dataChannel
}

// Held returns how many channels pion keeps that were not detached.
func (p *Pipe) Held() int {
	return reflect.ValueOf(p.pc.SCTP()).Elem().FieldByName("dataChannels").Len()
}

// Introduce joins two PeerConnections that a test has made.
var Introduce = introduce

// A Handshake lets a test act as a caller of this program.
type Handshake struct {
	proposal *proposal
	keys     *sessionKeys
}

// Propose makes the offer of sdp.
func Propose(code Code, sdp string) (*Handshake, signaling.Description, error) {
	p, d, err := propose(code, sdp)
	if err != nil {
		return nil, nil, err
	}
	body, err := json.Marshal(d)
	return &Handshake{proposal: p}, body, err
}

// Settle takes the answer, and returns the note that reveals the caller's nonce.
func (h *Handshake) Settle(answer signaling.Description) (signaling.Candidate, error) {
	var d document
	err := json.Unmarshal(answer, &d)
	if err == nil && d.P2PChat == nil {
		err = errors.New("the answer is of a plain program")
	}
	if err == nil {
		h.keys, err = h.proposal.accept(d)
	}
	if err != nil {
		return nil, err
	}
	return h.keys.seal(sealedNote{Nonce: h.proposal.nonce})
}

// Open opens a candidate of the callee.
func (h *Handshake) Open(c signaling.Candidate) (webrtc.ICECandidateInit, error) {
	n, err := h.keys.open(c)
	if err != nil || n.ICECandidateInit == nil {
		return webrtc.ICECandidateInit{}, err
	}
	return *n.ICECandidateInit, nil
}

func discarding() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Respond makes the answer of a callee that knows the code, or guesses it.
func Respond(code Code, offer signaling.Description, sdp string) (signaling.Description, error) {
	var d document
	if err := json.Unmarshal(offer, &d); err != nil {
		return nil, err
	}
	_, answer, err := respond(code, d, sdp)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// ErrUnprovenCaller is what a callee reports of an answer to a caller without proof.
var ErrUnprovenCaller = errUnprovenCaller

// ErrForgotten is what a callee reports of an answer that a restarted server has lost.
var ErrForgotten = errForgotten

// Bounded returns the ICE servers that a session uses of a server's list.
func Bounded(list []signaling.ICEServer) []signaling.ICEServer {
	return (&Session{config: Config{Log: slog.New(slog.DiscardHandler)}}).bounded(context.Background(), list)
}

// Rendezvous returns the code of two sides that met with code, and whose key exchange gave secret.
func Rendezvous(secret []byte, code Code) Code {
	return (&sessionKeys{secret: secret, code: code}).rendezvous()
}

// Ask opens a channel with that label, as a hostile side may.
func (p *Pipe) Ask(ctx context.Context, label string) (io.ReadWriteCloser, error) {
	c, err := p.open(ctx, label)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// BaseOf is baseOf.
var BaseOf = baseOf

// Move makes the Session look for a better path now.
func (p *Pipe) Move() { p.better <- struct{}{} }

// MoveLabel and RenewLabel are those of channels on which the two move or renew their connection, MovesMost how often one side may
// within an hour.
const (
	MoveLabel  = moveLabel
	RenewLabel = renewLabel
	MovesMost  = movesMost
)

// ApartLabel is that of a channel for the descriptions of a further connection.
const ApartLabel = apartLabel

// Long returns the full size of a proof, or the short one if go test -short asks for that.
func Long[T any](full, short T) T {
	if testing.Short() {
		return short
	}
	return full
}

// BareQueued is Bare, except that a write never waits: SCTP then bundles the messages that wait, which is the
// fastest that small ones get. The caller bounds how many wait.
func BareQueued(ctx context.Context, c Config) (near, far io.ReadWriteCloser, hangUp func(), err error) {
	return bare(ctx, c, func(e *webrtc.SettingEngine) { e.EnableDataChannelBlockWrite(false) })
}
