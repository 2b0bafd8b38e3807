package peer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// What the tests, which stand outside like everybody else, see beyond the API.
const (
	ConnectLimit  = connectLimit
	Attempts      = attempts
	MaxCandidates = maxCandidates
)

var ErrGarbled = errGarbled

// Over is the Config of a machine on the network n.
func (c Config) Over(n transport.Net) Config {
	c.net = n
	return c
}

// Held is how many channels pion holds on to that nobody has taken.
func (p *Pipe) Held() int {
	return reflect.ValueOf(p.pc.SCTP()).Elem().FieldByName("dataChannels").Len()
}

// Introduce joins two PeerConnections of a test's own.
var Introduce = introduce

// A Handshake is what a caller of the tests' own needs to pass for one of ours.
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

// Open is a candidate of the callee's.
func (h *Handshake) Open(c signaling.Candidate) (webrtc.ICECandidateInit, error) {
	n, err := h.keys.open(c)
	if err != nil || n.ICECandidateInit == nil {
		return webrtc.ICECandidateInit{}, err
	}
	return *n.ICECandidateInit, nil
}

func discarding() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Respond makes the answer of somebody who knows the code, or guesses it.
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

// ErrUnprovenCaller is what a callee is told of an answer that was given in vain.
var ErrUnprovenCaller = errUnprovenCaller

// Bounded is what a session uses of a server's list.
func Bounded(list []signaling.ICEServer) []signaling.ICEServer {
	return (&Session{config: Config{Log: slog.New(slog.DiscardHandler)}}).bounded(context.Background(), list)
}

// NextCode is where two meet again whose key exchange came to secret, and who met with code.
func NextCode(secret []byte, code Code) Code {
	return (&sessionKeys{secret: secret, code: code}).rendezvous()
}
