// Package survey finds out what a network lets a peer do: which STUN and TURN servers it
// reaches, over which protocol, and how the NAT between them behaves.
//
//	Probe   a URL of an ICE server: does it answer, how soon, with which address
//	Behave  mapping and filtering of the NAT (RFC 5780, or with a relay's help)
//
// It asks as a peer does, and contacts only those servers.
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

// limit is how long one question may take.
const limit = 5 * time.Second

// A Reach is the result for one URL.
type Reach struct {
	URL     string         // RFC 7064, RFC 7065
	TURN    bool           // otherwise STUN
	Over    string         // udp, tcp or tls
	RTT     time.Duration  // of its first answer, connections included
	Address netip.AddrPort // of this machine as STUN saw it, or that TURN relays at
	Err     error          // why there is no address
}

// ErrSilent says that a server did not answer in time.
var ErrSilent = errors.New("no answer")

// errUnsupported says that a URL is of a kind that this program does not use.
var errUnsupported = errors.New("TURN over DTLS is not supported")

// Probe asks all URLs of the servers at once, for 5 s at most.
func Probe(ctx context.Context, servers []signaling.ICEServer) []Reach {
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
			wg.Go(func() { r.probe(ctx, s) })
		}
	}
	wg.Wait()
	return list
}

func (r *Reach) probe(ctx context.Context, s signaling.ICEServer) {
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
	begun := time.Now()
	if r.TURN {
		r.Address, r.Err = allocated(ctx, u, s)
	} else {
		r.Address, r.Err = mapped(ctx, u)
	}
	r.RTT = time.Since(begun)
	if ctx.Err() != nil && r.Err != nil {
		r.Err = ErrSilent
	}
}

// allocated returns the address that a TURN server relays at, and gives it up again.
func allocated(ctx context.Context, u *stun.URI, s signaling.ICEServer) (netip.AddrPort, error) {
	r, err := allocate(ctx, u, s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer r.close()
	return addrPort(r.conn.LocalAddr()), nil
}

// A relayed is an allocation.
type relayed struct {
	under  net.PacketConn
	client *turn.Client
	conn   net.PacketConn
}

func allocate(ctx context.Context, u *stun.URI, s signaling.ICEServer) (r *relayed, err error) {
	r = &relayed{}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	host := net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
	if r.under, err = dial(ctx, u, host); err != nil {
		return r, err
	}
	r.client, err = turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: host, Conn: r.under, Username: s.Username, Password: s.Credential,
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard}, RTO: firstPause,
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

func (r *relayed) close() {
	if r.conn != nil {
		_ = r.conn.Close() // the server may be gone
	}
	if r.client != nil {
		r.client.Close()
	}
	if r.under != nil {
		_ = r.under.Close() // the client may have
	}
}

// dial connects to a TURN server as its URL says.
func dial(ctx context.Context, u *stun.URI, host string) (net.PacketConn, error) {
	secure := u.Scheme == stun.SchemeTypeTURNS
	switch {
	case u.Proto == stun.ProtoTypeUDP && secure:
		return nil, errUnsupported
	case u.Proto == stun.ProtoTypeUDP:
		at, err := resolve(ctx, host)
		if err != nil {
			return nil, err
		}
		return listen(at)
	}
	var c net.Conn
	var err error
	if secure {
		c, err = (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Host}}).DialContext(ctx, "tcp", host)
	} else {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp", host)
	}
	if err != nil {
		return nil, err
	}
	return turn.NewSTUNConn(c), nil
}

// resolve returns the address of host, IPv4 if it has one.
func resolve(ctx context.Context, host string) (netip.AddrPort, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
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

// mapped returns this machine's address as a STUN server sees it (RFC 8489).
func mapped(ctx context.Context, u *stun.URI) (netip.AddrPort, error) {
	if u.Proto != stun.ProtoTypeUDP || u.Scheme == stun.SchemeTypeSTUNS {
		return netip.AddrPort{}, fmt.Errorf("STUN over %v is not supported", u.Proto)
	}
	at, err := resolve(ctx, net.JoinHostPort(u.Host, strconv.Itoa(u.Port)))
	if err != nil {
		return netip.AddrPort{}, err
	}
	s, err := open(at)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer s.close()
	a, err := s.ask(ctx, at, changeNothing)
	return a.mapped, err
}
