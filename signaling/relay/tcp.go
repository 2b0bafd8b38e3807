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

	"p2pchat/signaling/internal/ratelimit"
)

// Bounds of TCP connections to the relay, which any client may open.
const (
	maxConnections     = 4096
	maxConnectionsFrom = 64               // from one address, or one IPv6 network of 64 bits
	authTimeout        = 10 * time.Second // from its start until the client has shown credentials
	idleTimeout        = 15 * time.Minute // between two messages afterwards: a client refreshes its allocation in less
	writeTimeout       = 10 * time.Second // for a client that does not read
	firstAcceptPause   = 5 * time.Millisecond
	maxAcceptPause     = time.Second
)

// A tcpListener accepts connections within the limits above. A connection whose first byte is one
// of TLS uses TLS, if there is a config for it.
type tcpListener struct {
	net.Listener
	tls   *tls.Config
	relay *Relay

	mu     sync.Mutex // guards what follows
	open   map[source]*conn
	of     map[netip.Addr]int // number of connections, by ratelimit.Client
	closed bool
	done   chan struct{} // closed by Close
}

func newTCPListener(on net.Listener, config *tls.Config, r *Relay) *tcpListener {
	return &tcpListener{Listener: on, tls: config, relay: r, open: map[source]*conn{}, of: map[netip.Addr]int{}, done: make(chan struct{})}
}

// Accept waits for a connection within the limits. pion accepts no further connection after an
// error, so Accept returns an error only if the listener is closed: if the process has too many
// open files, for example, Accept tries again later.
func (l *tcpListener) Accept() (net.Conn, error) {
	pause := firstAcceptPause
	for {
		raw, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			l.relay.countSocketError(err)
			select {
			case <-time.After(pause):
			case <-l.done:
			}
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = firstAcceptPause
		if c := l.admit(raw); c != nil {
			return c, nil
		}
		raw.Close()
	}
}

// admit returns nil if a connection exceeds the limits. It also returns nil for a second connection
// from the same port to another address of this machine, because the two would share an allocation.
func (l *tcpListener) admit(raw net.Conn) *conn {
	c := &conn{Conn: raw, listener: l, from: sourceOf(raw.RemoteAddr()), tls: l.tls, until: time.Now().Add(authTimeout)}
	network := ratelimit.Client(c.from.at.Addr())
	l.mu.Lock()
	ok := !l.closed && len(l.open) < maxConnections && l.of[network] < maxConnectionsFrom && l.open[c.from] == nil
	if ok {
		l.open[c.from] = c
		l.of[network]++
	}
	closed := l.closed
	l.mu.Unlock()
	switch {
	case ok:
		return c
	case !closed:
		l.relay.refuse(RefusedConnection, "last_client", network)
	}
	return nil
}

func (l *tcpListener) forget(c *conn) {
	network := ratelimit.Client(c.from.at.Addr())
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c.from)
	if l.of[network]--; l.of[network] == 0 {
		delete(l.of, network)
	}
}

// authenticated notes that the client at an address has shown credentials.
func (l *tcpListener) authenticated(from net.Addr) {
	l.mu.Lock()
	c := l.open[sourceOf(from)]
	l.mu.Unlock()
	if c != nil {
		c.setAuthenticated()
	}
}

// Close closes the listener and all its connections.
func (l *tcpListener) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	var all []*conn
	for _, c := range l.open {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // the client may have closed it
	}
	return l.Listener.Close()
}

// A conn is a client's TCP connection. Its first byte decides whether it uses TLS: no message of
// STUN or TURN begins with the first byte of a TLS handshake (RFC 7983). Each Read returns one
// whole message, so that pion buffers no parts of messages.
type conn struct {
	net.Conn
	listener *tcpListener
	from     source
	tls      *tls.Config
	once     sync.Once     // closes it
	in       *bufio.Reader // owned by Read: decrypted; nil before the first byte

	mu     sync.Mutex // guards what follows
	until  time.Time  // by when the client has to show credentials; zero once it has
	secure *tls.Conn  // nil without TLS
}

const (
	handshakeRecord = 22   // RFC 8446, section 5.1
	maxMessage      = 1599 // bytes: what pion reads at once: see turn.ServerConfig.InboundMTU
	stunHeader      = 20   // RFC 8489, section 5
	channelHeader   = 4    // RFC 8656, section 12.4
)

var errMessage = errors.New("these bytes are not a message of STUN or TURN")

func (c *conn) setAuthenticated() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}

// deadline returns when the next message has to be complete.
func (c *conn) deadline() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.IsZero() {
		return time.Now().Add(idleTimeout)
	}
	return c.until
}

// Read returns the next message that passes the relay's filter.
func (c *conn) Read(b []byte) (int, error) {
	for {
		_ = c.SetReadDeadline(c.deadline()) // if the connection is closed, reading returns that
		n, err := c.readMessage(b)
		if err != nil {
			return n, err
		}
		pass, ticket := c.listener.relay.filter(c.RemoteAddr(), b[:n])
		if pass && (ticket == nil || c.listener.relay.hold(c.RemoteAddr(), *ticket)) {
			return n, nil
		}
	}
}

// readMessage reads one whole message.
func (c *conn) readMessage(b []byte) (int, error) {
	if err := c.detectTLS(); err != nil {
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
	if n > min(len(b), maxMessage) {
		return 0, errMessage
	}
	return io.ReadFull(c.in, b[:n])
}

// detectTLS reads the first byte, and sets c.in.
func (c *conn) detectTLS() error {
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
	secure := tls.Server(&bufferedConn{c.Conn, raw}, c.tls)
	c.in = bufio.NewReaderSize(secure, 2048)
	c.mu.Lock()
	c.secure = secure
	c.mu.Unlock()
	return nil
}

func (c *conn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // if the connection is closed, Write returns that
	c.mu.Lock()
	secure := c.secure
	c.mu.Unlock()
	if secure != nil {
		return secure.Write(b)
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.once.Do(func() { c.listener.forget(c) })
	return c.Conn.Close()
}

// A bufferedConn is a connection of which some bytes were read ahead.
type bufferedConn struct {
	net.Conn
	in *bufio.Reader
}

func (b *bufferedConn) Read(p []byte) (int, error) { return b.in.Read(p) }

// Write waits no longer than writeTimeout for a client that does not read: reading from a tls.Conn
// may write a handshake or an alert.
func (b *bufferedConn) Write(p []byte) (int, error) {
	_ = b.SetWriteDeadline(time.Now().Add(writeTimeout)) // if the connection is closed, Write returns that
	return b.Conn.Write(p)
}
