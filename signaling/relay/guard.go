package relay

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
)

// Bounds of TCP connections to the relay, which any client may open.
const (
	mostConnections = 4096
	mostOfOne       = 64               // from one address (IPv6: a network of 64 bits)
	provePatience   = 10 * time.Second // in all, until it has shown credentials
	idlePatience    = 15 * time.Minute // between messages from then on: a client refreshes its allocation before
	writePatience   = 10 * time.Second // for a client that does not read
	acceptPause     = 5 * time.Millisecond
	longAcceptPause = time.Second
)

// A guard accepts connections within their limits, and keeps those that have shown
// credentials. A connection that begins with TLS speaks it, if there is a config for it.
type guard struct {
	net.Listener
	tls   *tls.Config
	relay *Relay

	mu     sync.Mutex // guards what follows
	open   map[source]*conn
	of     map[netip.Addr]int // customers, how many each
	closed bool
	done   chan struct{} // closed with the guard
}

func newGuard(l net.Listener, config *tls.Config, r *Relay) *guard {
	return &guard{Listener: l, tls: config, relay: r, open: map[source]*conn{}, of: map[netip.Addr]int{}, done: make(chan struct{})}
}

// Accept waits for a connection within the limits. pion accepts no further connection after an
// error, so Accept returns an error only if the listener is closed: the system may allow more
// files later.
func (g *guard) Accept() (net.Conn, error) {
	pause := acceptPause
	for {
		raw, err := g.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			g.relay.failed(err)
			select {
			case <-time.After(pause):
			case <-g.done:
			}
			pause = min(2*pause, longAcceptPause)
			continue
		}
		pause = acceptPause
		if c := g.admit(raw); c != nil {
			return c, nil
		}
		raw.Close()
	}
}

// admit returns nil for a connection over the limits, and for a second connection from the same
// port to another address of this machine, because the two would share an allocation.
func (g *guard) admit(raw net.Conn) *conn {
	c := &conn{Conn: raw, guard: g, from: sourceOf(raw.RemoteAddr()), tls: g.tls, until: time.Now().Add(provePatience)}
	who := customer(c.from.at.Addr())
	g.mu.Lock()
	ok := !g.closed && len(g.open) < mostConnections && g.of[who] < mostOfOne && g.open[c.from] == nil
	if ok {
		g.open[c.from] = c
		g.of[who]++
	}
	closed := g.closed
	g.mu.Unlock()
	switch {
	case ok:
		return c
	case !closed:
		g.relay.refuse(RefusedConnection, "last_client", who)
	}
	return nil
}

func (g *guard) forget(c *conn) {
	who := customer(c.from.at.Addr())
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c.from)
	if g.of[who]--; g.of[who] == 0 {
		delete(g.of, who)
	}
}

// proven notes that the connection from an address has shown credentials.
func (g *guard) proven(from net.Addr) {
	g.mu.Lock()
	c := g.open[sourceOf(from)]
	g.mu.Unlock()
	if c != nil {
		c.prove()
	}
}

// Close ends the listener and all its connections.
func (g *guard) Close() error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.done)
	}
	var all []*conn
	for _, c := range g.open {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // the other side may have
	}
	return g.Listener.Close()
}

// A conn finds out with its first byte whether it speaks TLS: no message of STUN or TURN
// begins with that of a TLS handshake (RFC 7983). Each Read returns one whole message, so that
// pion, which keeps the parts of a message, never keeps much.
type conn struct {
	net.Conn
	guard *guard
	from  source
	tls   *tls.Config
	once  sync.Once     // closes it
	in    *bufio.Reader // owned by Read: decrypted; nil before the first

	mu     sync.Mutex // guards what follows
	until  time.Time  // by when it has to show credentials; zero once it has
	secure *tls.Conn  // nil if it does not speak TLS
}

const (
	handshakeRecord = 22   // RFC 8446, section 5.1
	mostMessage     = 1599 // bytes: what pion reads at once, see turn.ServerConfig.InboundMTU
	stunHeader      = 20   // RFC 8489, section 5
	channelHeader   = 4    // RFC 8656, section 12.4
)

var errMessage = errors.New("that is no message of STUN or TURN")

func (c *conn) prove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}

// deadline returns when the next message has to be complete.
func (c *conn) deadline() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.IsZero() {
		return time.Now().Add(idlePatience)
	}
	return c.until
}

// Read returns the next message that passes the relay's filter.
func (c *conn) Read(b []byte) (int, error) {
	for {
		_ = c.SetReadDeadline(c.deadline()) // on a closed one: reading will say so
		n, err := c.message(b)
		if err != nil {
			return n, err
		}
		pass, ticket := c.guard.relay.pass(c.RemoteAddr(), b[:n])
		if pass && (ticket == nil || c.guard.relay.hold(c.RemoteAddr(), *ticket)) {
			return n, nil
		}
	}
}

// message reads one whole message.
func (c *conn) message(b []byte) (int, error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	head, err := c.in.Peek(channelHeader)
	if err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	switch head[0] >> 6 {
	case 0:
		n += stunHeader
		if head, err = c.in.Peek(stunHeader); err != nil || !stun.IsMessage(head) {
			return 0, cmp.Or(err, errMessage)
		}
	case 1:
		n = channelHeader + (n+3)/4*4 // padded, over a stream
	default:
		return 0, errMessage
	}
	if n > min(len(b), mostMessage) {
		return 0, errMessage
	}
	return io.ReadFull(c.in, b[:n])
}

// begin finds out what the connection speaks.
func (c *conn) begin() error {
	if c.in != nil {
		return nil
	}
	raw := bufio.NewReaderSize(c.Conn, 2048)
	first, err := raw.Peek(1)
	if err != nil {
		return err
	}
	if first[0] != handshakeRecord || c.tls == nil {
		c.in = raw
		return nil
	}
	secure := tls.Server(&buffered{c.Conn, raw}, c.tls)
	c.in = bufio.NewReaderSize(secure, 2048)
	c.mu.Lock()
	c.secure = secure
	c.mu.Unlock()
	return nil
}

func (c *conn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writePatience)) // on a closed one: Write will say so
	c.mu.Lock()
	secure := c.secure
	c.mu.Unlock()
	if secure != nil {
		return secure.Write(b)
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.once.Do(func() { c.guard.forget(c) })
	return c.Conn.Close()
}

// buffered is a connection with bytes that were read ahead.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// Write does not wait long for a client that does not read: reading from a tls.Conn may write
// a handshake or an alert.
func (b *buffered) Write(p []byte) (int, error) {
	_ = b.SetWriteDeadline(time.Now().Add(writePatience)) // on a closed one: Write will say so
	return b.Conn.Write(p)
}
