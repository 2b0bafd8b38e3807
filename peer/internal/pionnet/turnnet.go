package pionnet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"
)

// A TURNNet is a network that answers requests for permissions in a TURN server's stead.
//
// pion asks a TURN server for the permission to send to an address (RFC 8656, section 9) before it sends
// there first, and does nothing else until the answer is there: a round trip for each address, during which
// pion checks no other pair. A TURNNet grants the permission itself, the first time for each address. The
// request goes out all the same, before the packet, and again until the server has answered. A server drops
// packets that it does not permit, and the check fails as if the address were unreachable.
//
// Where the server may not learn an address (see Outside), a TURNNet refuses the permission, and the request
// does not go out. If pion asked for permissions while it goes on checking, and had a filter of the addresses
// that a TURN server learns, that would retire turnnet.go, turnconn.go and turnfilter.go.
type TURNNet struct {
	transport.Net
	ctx       context.Context   // ends connecting to a server
	passwords map[string]string // by user: with these the servers sign their answers
	secure    map[string]bool   // servers that speak TLS, by name and port
	roots     *x509.CertPool    // nil: the system's
	outside   *Outside          // the only private addresses that servers of other networks learn; nil: all are
	proxy     Dial              // connects to servers over TCP and TLS; nil: this machine
	refused   func()            // see permits; may be nil
}

// A Dial connects to a TCP address as net.Dialer.DialContext does.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// NewTURNNet returns a TURNNet on another network. Connecting to a server ends with ctx. If outside is nil,
// servers learn all addresses. If proxy is not nil, it connects to servers over TCP and TLS, and gets their names. If refused is not
// nil, it is called when a server no longer keeps an allocation; it must not wait.
func NewTURNNet(ctx context.Context, n transport.Net, servers []webrtc.ICEServer, outside *Outside, proxy Dial, refused func()) *TURNNet {
	p := &TURNNet{Net: n, ctx: ctx, passwords: map[string]string{}, secure: map[string]bool{}, outside: outside, proxy: proxy, refused: refused}
	for _, s := range servers {
		if password, ok := s.Credential.(string); ok && s.Username != "" {
			p.passwords[s.Username] = password
		}
		for _, raw := range s.URLs {
			if u, err := stun.ParseURI(raw); err == nil && u.Scheme == stun.SchemeTypeTURNS {
				p.secure[net.JoinHostPort(u.Host, strconv.Itoa(u.Port))] = true
			}
		}
	}
	return p
}

// ListenPacket opens a socket to a TURN server over UDP. pion calls it for nothing else.
func (n *TURNNet) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := n.Net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	return &turnPackets{PacketConn: c, permits: n.permits()}, nil
}

// Dial connects to a TURN server over TCP or TLS. pion takes a TURNNet for a proxy, and so leaves TLS to it:
// otherwise the messages could not be read here.
func (n *TURNNet) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(n.ctx, lookupLimit)
	defer cancel()
	plain, server, err := n.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	stream := &turnStream{Conn: plain, server: server, permits: n.permits()}
	if !n.secure[address] {
		return stream, nil
	}
	host, _, _ := net.SplitHostPort(address)
	secure := tls.Client(plain, &tls.Config{ServerName: host, RootCAs: n.roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	stream.Conn = secure
	return stream, nil
}

// connect connects to a server over TCP, and returns the server's address. Behind a proxy, a server with a name has
// none: it is in another network.
func (n *TURNNet) connect(ctx context.Context, network, address string) (net.Conn, netip.Addr, error) {
	if n.proxy != nil {
		c, err := n.proxy(ctx, network, address)
		known, _ := netip.ParseAddrPort(address)
		return c, known.Addr(), err
	}
	at, err := n.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, netip.Addr{}, err
	}
	c, err := n.DialTCP(network, nil, at)
	return c, at.AddrPort().Addr(), err
}

func (n *TURNNet) permits() permits {
	return permits{passwords: n.passwords, outside: n.outside, refused: n.refused}
}

// permits are the answers that are given in a server's stead.
type permits struct {
	passwords map[string]string // by user
	outside   *Outside
	refused   func() // see turnrefusal.go; may be nil

	mu      sync.Mutex // guards what follows
	queued  [][]byte
	waking  bool                // a read is being ended, so that it returns a queued answer
	pending []transaction       // see expect
	given   map[netip.Addr]bool // later requests for these addresses wait for the server's answer
}

// A verdict is what becomes of a message that pion sends to a TURN server.
type verdict int

const (
	passed   verdict = iota // it goes to the server, which answers
	granted                 // it goes to the server, and was answered already
	withheld                // it was refused in the server's stead
)

// judge queues an answer to a message for the server at an address, if the message asks for a permission or
// names a peer that the server may not learn. It ends a read that waits, so that the read returns the answer.
func (p *permits) judge(message []byte, server netip.Addr, wake func(time.Time) error) (id transaction, v verdict) {
	p.expect(message)
	named := peersNamed(message)
	if slices.ContainsFunc(named, func(at netip.Addr) bool { return p.outside.hides(server, at) }) {
		if no, ok := p.signed(message, stun.ClassErrorResponse, stun.CodeForbidden); ok {
			p.queue(no, wake)
		}
		return id, withheld
	}
	id, asked := transactionOf(message, createPermission)
	if !asked || len(named) == 0 {
		return id, passed
	}
	yes, ok := p.signed(message, stun.ClassSuccessResponse)
	if !ok || !p.give(named[0]) {
		return id, passed // pion waits for the server's answer
	}
	p.queue(yes, wake)
	return id, granted
}

func (p *permits) queue(answer []byte, wake func(time.Time) error) {
	p.mu.Lock()
	p.queued, p.waking = append(p.queued, answer), true
	p.mu.Unlock()
	_ = wake(time.Unix(1, 0)) // a closed connection has no read that waits
}

// signed returns an answer to a request, signed as the server would sign it (RFC 8489, section 9.2).
func (p *permits) signed(request []byte, class stun.MessageClass, content ...stun.Setter) (answer []byte, ok bool) {
	var user stun.Username
	var realm stun.Realm
	m := &stun.Message{Raw: append([]byte(nil), request...)}
	if m.Decode() != nil || m.Type.Class != stun.ClassRequest || user.GetFrom(m) != nil || realm.GetFrom(m) != nil {
		return nil, false
	}
	password, known := p.passwords[user.String()]
	if !known {
		return nil, false
	}
	setters := append([]stun.Setter{stun.NewType(m.Type.Method, class), stun.NewTransactionIDSetter(m.TransactionID)}, content...)
	a, err := stun.Build(append(setters, stun.NewLongTermIntegrity(user.String(), realm.String(), password), stun.Fingerprint)...)
	if err != nil {
		return nil, false
	}
	return a.Raw, true
}

// give reports whether this is the first request for an address.
func (p *permits) give(address netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given[address] {
		return false
	}
	if p.given == nil {
		p.given = map[netip.Addr]bool{}
	}
	p.given[address] = true
	return true
}

// due reports whether an answer is queued. A message of the server that arrives then is returned after it: the
// message may be the server's own answer.
func (p *permits) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queued) > 0
}

func (p *permits) next() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queued) == 0 {
		return nil
	}
	b := p.queued[0]
	p.queued = p.queued[1:]
	return b
}

type transaction = [stun.TransactionIDSize]byte

// transactionOf returns the transaction ID of a STUN message that is of one of the types (RFC 8489, section 5).
func transactionOf(b []byte, types ...stun.MessageType) (id transaction, ok bool) {
	if len(b) < 20 || !stun.IsMessage(b) {
		return id, false
	}
	for _, t := range types {
		if binary.BigEndian.Uint16(b) == t.Value() {
			copy(id[:], b[8:20])
			return id, true
		}
	}
	return id, false
}

// woken reports whether err is that of a read that was ended for a queued answer. It then lets the next read wait.
func (p *permits) woken(err error, deadline func(time.Time) error) bool {
	var n net.Error
	if !errors.As(err, &n) || !n.Timeout() {
		return false
	}
	p.mu.Lock()
	waking := p.waking
	p.waking = false
	p.mu.Unlock()
	return waking && deadline(time.Time{}) == nil
}
