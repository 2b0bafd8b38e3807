package peer

import (
	"net"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// A fastNet is the machine's network, with faster sockets.
type fastNet struct{ *stdnet.Net }

// ListenUDP is where ICE gets its sockets from.
func (n fastNet) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, at)
	if err != nil {
		return nil, err
	}
	return fast(c), nil
}
