// Package survey finds out what a network allows a peer: which STUN and TURN servers are reachable,
// over which protocol, and how the NAT in between behaves.
//
//	Probe   the URLs of ICE servers: reachable, round-trip time, address
//	Behave  mapping and filtering of the NAT (RFC 5780, or with the help of a relay)
//	MapPort whether the gateway maps ports
//
// It contacts only those servers, and the gateway.
package survey

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"p2pchat/signaling"
)

// limit is how long Probe may take. Behave may take twice as long.
const limit = 5 * time.Second

// A Reach is the result of [Probe] for one URL.
type Reach struct {
	URL     string         // RFC 7064, RFC 7065
	TURN    bool           // a TURN server, otherwise a STUN server
	Over    string         // udp, tcp or tls
	RTT     time.Duration  // of the first reply, including the time to connect
	Address netip.AddrPort // of this machine as the STUN server sees it, or of the allocation on the TURN server
	Err     error          // why there is no address
}

// ErrSilent is returned if a server did not reply in time.
var ErrSilent = errors.New("no answer")

var errUnsupported = errors.New("TURN over DTLS is not supported")

// A prober sends over a network: this machine's or, in tests, a virtual one.
type prober struct {
	lookup    func(ctx context.Context, network, host string) ([]netip.Addr, error)
	listen    func(family string) (net.PacketConn, error)    // opens a UDP socket; family is udp4 or udp6
	localAddr func(server netip.AddrPort) (netip.Addr, bool) // returns the address that packets to server have as source
	proxy     signaling.Dial                                 // connects over TCP; nil: this machine does
}

var machine = prober{
	lookup: net.DefaultResolver.LookupNetIP,
	listen: func(family string) (net.PacketConn, error) { return net.ListenUDP(family, nil) },
	localAddr: func(server netip.AddrPort) (netip.Addr, bool) {
		c, err := net.Dial("udp", server.String())
		if err != nil {
			return netip.Addr{}, false
		}
		defer c.Close()
		return addrPort(c.LocalAddr()).Addr(), true
	},
}

// Probe contacts the URLs of all servers at once, for 5 s at most. If proxy is not nil, it connects to TURN servers
// over TCP and TLS, and gets their names.
func Probe(ctx context.Context, servers []signaling.ICEServer, proxy signaling.Dial) []Reach {
	p := machine
	p.proxy = proxy
	return p.probe(ctx, servers)
}

func (p prober) probe(ctx context.Context, servers []signaling.ICEServer) []Reach {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var list []Reach
	for _, s := range servers {
		for _, u := range s.URLs {
			list = append(list, Reach{URL: u})
		}
	}
	var wg sync.WaitGroup
	i := 0
	for _, s := range servers {
		for range s.URLs {
			r := &list[i]
			i++
			wg.Go(func() { p.probeURL(ctx, r, s) })
		}
	}
	wg.Wait()
	return list
}

// probeURL completes r, one of the URLs of server s.
func (p prober) probeURL(ctx context.Context, r *Reach, s signaling.ICEServer) {
	u, err := stun.ParseURI(r.URL)
	if err != nil {
		r.Err = err
		return
	}
	secure := u.Scheme == stun.SchemeTypeSTUNS || u.Scheme == stun.SchemeTypeTURNS
	r.TURN = u.Scheme == stun.SchemeTypeTURN || u.Scheme == stun.SchemeTypeTURNS
	r.Over = u.Proto.String()
	if secure && u.Proto == stun.ProtoTypeTCP {
		r.Over = "tls"
	}
	started := time.Now()
	if r.TURN {
		r.Address, r.Err = p.relayedAddress(ctx, u, s)
	} else {
		r.Address, r.Err = p.mappedAddress(ctx, u)
	}
	r.RTT = time.Since(started)
	if ctx.Err() != nil && r.Err != nil {
		r.Err = ErrSilent
	}
}

// relayedAddress makes an allocation on a TURN server, ends it, and returns its address.
func (p prober) relayedAddress(ctx context.Context, u *stun.URI, s signaling.ICEServer) (netip.AddrPort, error) {
	r, err := p.allocate(ctx, u, s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer r.close()
	return addrPort(r.conn.LocalAddr()), nil
}

// An allocation is a port of a TURN server.
type allocation struct {
	under  net.PacketConn // to the server
	client *turn.Client
	conn   net.PacketConn
}

func (p prober) allocate(ctx context.Context, u *stun.URI, s signaling.ICEServer) (r *allocation, err error) {
	r = &allocation{}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	host := net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
	if r.under, err = p.dial(ctx, u, host); err != nil {
		return r, err
	}
	to := host
	if u.Proto == stun.ProtoTypeTCP {
		to = "" // the other end of the connection, and no look-up of its name
	}
	r.client, err = turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: to, Conn: r.under, Username: s.Username, Password: s.Credential,
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard}, RTO: firstInterval,
	})
	if err != nil {
		return r, err
	}
	if err = r.client.Listen(); err != nil {
		return r, err
	}
	r.conn, err = r.client.AllocateWithContext(ctx)
	return r, err
}

func (r *allocation) close() {
	if r.conn != nil {
		_ = r.conn.Close() // the server may be gone
	}
	if r.client != nil {
		r.client.Close()
	}
	if r.under != nil {
		_ = r.under.Close() // the client may have closed it
	}
}

// dial connects to a TURN server over the protocol in its URL.
func (p prober) dial(ctx context.Context, u *stun.URI, host string) (net.PacketConn, error) {
	secure := u.Scheme == stun.SchemeTypeTURNS
	switch {
	case u.Proto == stun.ProtoTypeUDP && secure:
		return nil, errUnsupported
	case u.Proto == stun.ProtoTypeUDP:
		at, err := p.resolve(ctx, host)
		if err != nil {
			return nil, err
		}
		return p.listen(family(at))
	}
	dial := p.proxy
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	c, err := dial(ctx, "tcp", host)
	if err == nil && secure {
		over := tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Host})
		if err = over.HandshakeContext(ctx); err != nil {
			_ = c.Close()
		}
		c = over
	}
	if err != nil {
		return nil, err
	}
	return turn.NewSTUNConn(c), nil
}

// resolve returns the address of host, an IPv4 address if it has one.
func (p prober) resolve(ctx context.Context, host string) (netip.AddrPort, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	all, err := p.lookup(ctx, "ip", name)
	if err != nil {
		return netip.AddrPort{}, err
	}
	best := all[0]
	for _, a := range all {
		if a.Unmap().Is4() && !best.Unmap().Is4() {
			best = a
		}
	}
	return netip.AddrPortFrom(best.Unmap(), uint16(number)), nil //nolint:gosec // a port
}

func addrPort(a net.Addr) netip.AddrPort {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// mappedAddress returns this machine's address as a STUN server sees it (RFC 8489).
func (p prober) mappedAddress(ctx context.Context, u *stun.URI) (netip.AddrPort, error) {
	if u.Proto != stun.ProtoTypeUDP || u.Scheme == stun.SchemeTypeSTUNS {
		return netip.AddrPort{}, fmt.Errorf("STUN over %v is not supported", u.Proto)
	}
	at, err := p.resolve(ctx, net.JoinHostPort(u.Host, strconv.Itoa(u.Port)))
	if err != nil {
		return netip.AddrPort{}, err
	}
	s, err := p.open(at)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer s.close()
	a, err := s.request(ctx, at, changeNothing)
	return a.mapped, err
}
