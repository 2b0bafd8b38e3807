package lan

import (
	"context"
	"net"
	"net/netip"
)

// Listen listens on TCP port of all addresses, for this machine and its neighbours: connections from elsewhere are closed
// at once. Port 0 means any.
func Listen(ctx context.Context, port string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return nil, err
	}
	return neighbours{l}, nil
}

// neighbours is a net.Listener for connections of neighbours.
type neighbours struct{ net.Listener }

func (n neighbours) Accept() (net.Conn, error) {
	for {
		c, err := n.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil && isNeighbour(from.Addr()) {
			return c, nil
		}
		c.Close()
	}
}
