package peer

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"syscall"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

// An Address is a candidate that a call would offer the other side.
type Address struct {
	Type     string // host, srflx or relay
	Protocol string // udp or tcp
	Address  string // IPv4 or IPv6
	Port     uint16
}

// Gather returns the addresses that a call would offer with these servers, in the order in
// which they were found, once all are found or ctx ends.
func Gather(ctx context.Context, servers []signaling.ICEServer, config Config) ([]Address, error) {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	s := &Session{config: config}
	s.config.ICEServers = servers
	list, err := s.iceServers(ctx, signaling.Ticket{}, 0)
	if err != nil {
		return nil, err
	}
	machine, err := ownNet(ctx, config)
	if err != nil {
		return nil, err
	}
	pc, err := newPeerConnection(ctx, config, machine, list, guards{})
	if err != nil {
		return nil, err
	}
	defer pionnet.Close(pc, config.Log)
	found := make(chan *webrtc.ICECandidate, 256)
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		select {
		case found <- c:
		default: // no machine has that many
		}
	})
	if _, err := pc.CreateDataChannel(channelLabel, nil); err != nil {
		return nil, fmt.Errorf("preparing a connection: %w", err)
	}
	offer, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err != nil {
		return nil, fmt.Errorf("preparing a connection: %w", err)
	}
	var all []Address
	for {
		select {
		case c := <-found:
			if c == nil {
				return all, nil
			}
			all = append(all, Address{Type: c.Typ.String(), Protocol: c.Protocol.String(), Address: c.Address, Port: c.Port})
		case <-ctx.Done():
			return all, nil
		}
	}
}

// DefaultAddresses returns this machine's addresses on the interfaces that have the default routes, one of each
// family at most, IPv4 first. No packet is sent.
func DefaultAddresses() []netip.Addr { return pionnet.DefaultAddresses() }

// AvoidDeadLink is a [net.Dialer]'s Control. If the link that leads to an address has no carrier, as that of a cable that was unplugged, and the
// system has kept its route, the socket uses another link. It does nothing on systems other than Linux.
func AvoidDeadLink(network, address string, c syscall.RawConn) error {
	return pionnet.AvoidDeadLink(network, address, c)
}
