package peer

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

// pion asks a TURN server for the permission to send to an address (RFC 8656, section 9) when
// it does so first, and does nothing else until the answer is there: a round trip for
// each address, during which no check of any other way goes on. A permissive network
// says yes in the server's stead, the first time for each address. The request goes out all
// the same, before what is sent, and until it was answered. What a server does not permit it
// drops, and the check fails as if the address were unreachable.
//
// Where the server may not hear of an address (see outsideAddresses), a permissive network says
// no in its stead, and the request does not go out.
type permissive struct {
	transport.Net
	ctx       context.Context   // of connecting to a server
	passwords map[string]string // of the servers' users: an answer is signed with it
	secure    map[string]bool   // addresses of servers, by name and port, that speak TLS
	roots     *x509.CertPool    // nil: the system's
	outside   *outsideAddresses // no other private address is told to servers outside its network
}

func newPermissive(ctx context.Context, n transport.Net, servers []webrtc.ICEServer, outside *outsideAddresses) permissive {
	p := permissive{Net: n, ctx: ctx, passwords: map[string]string{}, secure: map[string]bool{}, outside: outside}
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

// ListenPacket is what pion reaches a TURN server by, over UDP, and nobody else.
func (n permissive) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := n.Net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	return &permissivePackets{PacketConn: c, permits: permits{passwords: n.passwords, outside: n.outside}}, nil
}

// Dial is the same over TCP and TLS. pion takes it for a proxy, and so leaves TLS to it: else
// there would be no looking into the messages.
func (n permissive) Dial(network, address string) (net.Conn, error) {
	at, err := n.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, err
	}
	plain, err := n.DialTCP(network, nil, at)
	if err != nil {
		return nil, err
	}
	stream := &permissiveStream{Conn: plain, server: at.AddrPort().Addr(), permits: permits{passwords: n.passwords, outside: n.outside}}
	if !n.secure[address] {
		return stream, nil
	}
	host, _, _ := net.SplitHostPort(address)
	secure := tls.Client(plain, &tls.Config{ServerName: host, RootCAs: n.roots, MinVersion: tls.VersionTLS12})
	ctx, cancel := context.WithTimeout(n.ctx, lookupLimit)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	stream.Conn = secure
	return stream, nil
}

// permits are the answers that no server gave.
type permits struct {
	passwords map[string]string // by user
	outside   *outsideAddresses

	mu     sync.Mutex // guards what follows
	queued [][]byte
	waking bool                // a read is being ended, to look for one
	given  map[netip.Addr]bool // when pion asks again for one the server says whether it still may
}

// What becomes of what pion sends to a TURN server.
type fate int

const (
	passed   fate = iota // it goes to the server, which answers
	granted              // it goes to the server, and was answered already
	withheld             // it was refused in the server's stead
)

// answer queues one to a message for the server at an address, if it asks for a permission or
// names a peer that the server may not hear of, and makes the read that waits look for it.
func (p *permits) answer(message []byte, server netip.Addr, wake func(time.Time) error) (id transaction, f fate) {
	named := named(message)
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
		return id, passed // it waits for the server's
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

// signed is an answer to a request, signed as the server would (RFC 8489, section 9.2).
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

// give is true for the first time that an address is asked for.
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

// due tells whether there is one. What the server says meanwhile comes after it: that may be
// its own answer.
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

// transactionOf is that of a STUN message, if it is of one of those types (RFC 8489, section 5).
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

// woken tells whether a read was ended to look for an answer, and has it go on.
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

// permissivePackets asks again until the server answers, because a packet may be lost.
type permissivePackets struct {
	net.PacketConn
	permits permits

	// owned by ReadFrom:
	held     []byte // came after an answer of its own was due
	heldFrom net.Addr

	mu      sync.Mutex // guards what follows
	server  net.Addr
	asking  map[transaction]*time.Timer
	stopped bool
}

// How often a permission is asked for that nobody answers.
const (
	permissionPause = 200 * time.Millisecond
	permissionAsked = 7
)

func (c *permissivePackets) WriteTo(b []byte, server net.Addr) (int, error) {
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	// Before the server may answer: the first answer is the one.
	switch id, f := c.permits.answer(b, addressOf(server), c.SetReadDeadline); f {
	case withheld:
		return len(b), nil
	case granted:
		c.ask(id, append([]byte(nil), b...), server, permissionPause, permissionAsked)
	case passed:
	}
	return c.PacketConn.WriteTo(b, server)
}

// ask sends request once more after a pause, and again, until the server answers.
func (c *permissivePackets) ask(id transaction, request []byte, server net.Addr, pause time.Duration, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || times == 0 {
		delete(c.asking, id)
		return
	}
	if c.asking == nil {
		c.asking = map[transaction]*time.Timer{}
	}
	c.asking[id] = time.AfterFunc(pause, func() {
		_, _ = c.PacketConn.WriteTo(request, server) // it may be closed
		c.ask(id, request, server, 2*pause, times-1)
	})
}

func (c *permissivePackets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if yes := c.permits.next(); yes != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			return copy(b, yes), c.server, nil
		}
		if c.held != nil {
			n, from := copy(b, c.held), c.heldFrom
			c.held = nil
			return n, from, nil
		}
		n, from, err := c.PacketConn.ReadFrom(b)
		if c.permits.woken(err, c.SetReadDeadline) {
			continue
		}
		if err != nil {
			return n, from, err
		}
		c.answered(b[:n])
		if !c.permits.due() {
			return n, from, nil
		}
		c.held, c.heldFrom = append([]byte(nil), b[:n]...), from
	}
}

// answered ends the asking for what the server answers.
func (c *permissivePackets) answered(b []byte) {
	id, ok := transactionOf(b, stun.NewType(stun.MethodCreatePermission, stun.ClassSuccessResponse), stun.NewType(stun.MethodCreatePermission, stun.ClassErrorResponse))
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.asking[id]; t != nil {
		t.Stop()
		delete(c.asking, id)
	}
}

func (c *permissivePackets) Close() error {
	c.mu.Lock()
	c.stopped = true
	for _, t := range c.asking {
		t.Stop()
	}
	c.mu.Unlock()
	return c.PacketConn.Close()
}

// permissiveStream puts its answers between two messages of the server's.
type permissiveStream struct {
	net.Conn
	server  netip.Addr
	permits permits

	// owned by Read:
	yes   []byte // to be handed on first
	ready []byte // the beginning of a message, to be handed on
	head  []byte // the same, until its length is known
	left  int    // bytes of the message that is being handed on
}

// Write takes one message, as pion writes them.
func (c *permissiveStream) Write(b []byte) (int, error) {
	// Before the server may answer.
	if _, f := c.permits.answer(b, c.server, c.SetReadDeadline); f == withheld {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *permissiveStream) Read(b []byte) (int, error) {
	for {
		if len(c.yes) == 0 && (len(c.ready) == lengthSize || len(c.ready)+len(c.head)+c.left == 0) {
			c.yes = c.permits.next()
		}
		if len(c.yes) > 0 {
			n := copy(b, c.yes)
			c.yes = c.yes[n:]
			return n, nil
		}
		if len(c.ready) > 0 {
			n := copy(b, c.ready)
			c.ready = c.ready[n:]
			return n, nil
		}
		n, err := c.read(b)
		if c.permits.woken(err, c.SetReadDeadline) {
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

const lengthSize = 4 // of a message's beginning that has its length

// read hands on what it can of a message, or finds out how long the next one is.
func (c *permissiveStream) read(b []byte) (int, error) {
	if c.left > 0 {
		n, err := c.Conn.Read(b[:min(len(b), c.left)])
		c.left -= n
		return n, err
	}
	var part [lengthSize]byte
	n, err := c.Conn.Read(part[:lengthSize-len(c.head)])
	if c.head = append(c.head, part[:n]...); len(c.head) == lengthSize {
		c.ready, c.left, c.head = c.head, messageLength(c.head)-lengthSize, nil
	}
	return 0, err
}

// messageLength is that of a STUN message (RFC 8489, section 5) or of ChannelData (RFC 8656,
// section 12.5) that begins so.
func messageLength(head []byte) int {
	n := int(binary.BigEndian.Uint16(head[2:]))
	if head[0]>>6 == 0 {
		return 20 + n
	}
	return lengthSize + (n+3)/4*4
}
