package pionnet

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"sync"
	"time"

	"github.com/pion/mdns/v2"
	"github.com/pion/transport/v5"
	"golang.org/x/net/ipv4"
)

const (
	nameLimit = 5 * time.Second // for an answer
	namePace  = time.Second     // between two questions
)

// hiddenName matches the names of draft-ietf-mmusic-mdns-ice-candidates, section 3.1.1. No other name is looked up.
var hiddenName = sync.OnceValue(func() *regexp.Regexp { // not compiled at each start
	return regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local$`)
})

// A Names asks the local network for the addresses behind the names that browsers give.
//
// Browsers hide a machine's own addresses behind names of multicast DNS (RFC 6762), as
// draft-ietf-mmusic-mdns-ice-candidates says. pion can look them up, but it joins the group when the agent
// starts, looks up any number of any names, and takes any address for an answer. A Names joins at the first
// name, and accepts only addresses of the local network. Bounds on pion's look-ups would retire this
// file.
type Names struct {
	ctx        context.Context // ends all look-ups
	interfaces []*transport.Interface
	log        *slog.Logger

	once sync.Once
	conn *mdns.Conn
	err  error
}

// NewNames returns the Names of a machine. It returns nil if machine is not a Net. Look-ups end with ctx.
func NewNames(ctx context.Context, machine transport.Net, log *slog.Logger) *Names {
	n, ok := machine.(*Net)
	if !ok {
		return nil
	}
	return &Names{ctx: ctx, interfaces: n.interfaces, log: log}
}

// IsHidden reports whether host is a name that a browser made to hide an address.
func IsHidden(host string) bool { return hiddenName().MatchString(host) }

// LookUp returns the address behind a name.
func (n *Names) LookUp(name string) (netip.Addr, error) {
	n.once.Do(n.join)
	if n.err != nil {
		return netip.Addr{}, n.err
	}
	ctx, cancel := context.WithTimeout(n.ctx, nameLimit)
	defer cancel()
	_, at, err := n.conn.QueryAddr(ctx, name)
	switch {
	case err != nil:
		return at, err
	case !isReachable(at) || at.IsLoopback() || !IsPrivate(at) && !inNetworks(at.Unmap(), networksOf(n.interfaces)):
		return at, errors.New("it is no address of a machine on this network")
	}
	return at.Unmap(), nil
}

// join opens a socket that hears the group's answers.
func (n *Names) join() {
	// Go lets other programs use the port, too, if the address is a group's.
	group, err := net.ResolveUDPAddr("udp4", mdns.DefaultAddressIPv4)
	if err != nil {
		n.err = err
		return
	}
	socket, err := net.ListenUDP("udp4", group)
	if err != nil {
		n.err = err
		return
	}
	interfaces := make([]net.Interface, len(n.interfaces))
	for i, each := range n.interfaces {
		interfaces[i] = each.Interface
	}
	n.conn, n.err = mdns.NewServer(ipv4.NewPacketConn(socket), nil, mdns.WithInterfaces(interfaces...), mdns.WithLoggerFactory(Log{n.log}), mdns.WithQueryInterval(namePace))
	if n.err != nil {
		_ = socket.Close() // nothing was read from it
	}
}

// Close leaves the group. No LookUp may be running. A nil Names has nothing to close.
func (n *Names) Close() {
	if n != nil && n.conn != nil {
		_ = n.conn.Close() // nothing is lost
	}
}
