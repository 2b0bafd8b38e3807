package peer

import (
	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// The one DataChannel, and what is spoken on it (RFC 8832, section 8.2.1).
const (
	channelLabel    = "chat"
	channelProtocol = "p2pchat.v1"
)

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

// trusted tells whether both sides know of each other that they have the code: the
// callee must have been able to hear it, or it would be left with half a connection.
func (a *attempt) trusted() bool {
	return a.foreign || a.trust.proven() && (a.ticket.Side == signaling.Callee || a.told)
}

func (a *attempt) openHeld() (*Pipe, error) {
	if a.channel == nil || !a.trusted() {
		return nil, nil
	}
	return a.open(a.channel)
}

// open makes the Pipe of the channel, if it is the one that is meant, and as soon as
// the other side has shown that it knows the code.
func (a *attempt) open(dc *webrtc.DataChannel) (*Pipe, error) {
	whole := dc.Ordered() && dc.MaxRetransmits() == nil && dc.MaxPacketLifeTime() == nil
	switch {
	case !a.foreign && (dc.Label() != channelLabel || dc.Protocol() != channelProtocol || !whole), a.channel != nil && a.channel != dc:
		a.decline(dc)
		return nil, nil
	case !a.trusted():
		a.channel = dc
		return nil, nil
	}
	// pion has compared the two; it would take any of several fingerprints, though.
	if err := a.promised.check(a.pc); err != nil {
		return nil, err
	}
	p, err := newPipe(a, dc)
	if err != nil {
		return nil, err
	}
	a.kept = true
	return p, nil
}
