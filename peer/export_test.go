package peer

import (
	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"
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

// Bare is pion as this package sets it, and nothing around it.
func Bare(c Config) (*webrtc.PeerConnection, error) { return newPeerConnection(c, nil) }
