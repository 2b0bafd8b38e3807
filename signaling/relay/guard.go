package relay

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// What bounds connections to the relay (TCP), of which anybody may make one.
const (
	mostConnections = 4096
	mostOfOne       = 64               // from one address
	provePatience   = 10 * time.Second // in all, until it has shown credentials
	idlePatience    = 15 * time.Minute // from then on: an allocation is refreshed before
	writePatience   = 10 * time.Second // for whoever does not read what it is sent
)

// A guard lets connections in, and keeps those that have shown credentials. Those that
// begin with TLS speak it if there is a config for it.
type guard struct {
	net.Listener
	tls *tls.Config

	mu     sync.Mutex // guards what follows
	open   map[string]*conn
	of     map[string]int // addresses, how many each
	closed bool
}

func newGuard(l net.Listener, config *tls.Config) *guard {
	return &guard{Listener: l, tls: config, open: map[string]*conn{}, of: map[string]int{}}
}

// Accept waits for a connection that is not one too many.
func (g *guard) Accept() (net.Conn, error) {
	for {
		raw, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := g.admit(raw); c != nil {
			return c, nil
		}
		raw.Close()
	}
}

func (g *guard) admit(raw net.Conn) *conn {
	host, _, _ := net.SplitHostPort(raw.RemoteAddr().String())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.open) >= mostConnections || g.of[host] >= mostOfOne {
		return nil
	}
	c := &conn{Conn: raw, guard: g, host: host, tls: g.tls, until: time.Now().Add(provePatience)}
	g.open[raw.RemoteAddr().String()] = c
	g.of[host]++
	return c
}

func (g *guard) forget(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c.RemoteAddr().String())
	if g.of[c.host]--; g.of[c.host] == 0 {
		delete(g.of, c.host)
	}
}

// proven notes that the connection from an address has shown credentials.
func (g *guard) proven(from net.Addr) {
	g.mu.Lock()
	c := g.open[from.String()]
	g.mu.Unlock()
	if c != nil {
		c.prove()
	}
}

// Close ends the listener and all its connections.
func (g *guard) Close() error {
	g.mu.Lock()
	g.closed = true
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

// A conn finds out with its first byte whether it speaks TLS: that of a TLS handshake is
// none of STUN's or TURN's (RFC 7983). The server reads before it writes.
type conn struct {
	net.Conn
	guard *guard
	host  string
	tls   *tls.Config
	once  sync.Once // closes it

	mu     sync.Mutex // guards what follows
	until  time.Time  // for whoever has shown no credentials; zero for who has
	spoken bool
	secure *tls.Conn // once it speaks TLS
}

const handshakeRecord = 22 // RFC 8446, section 5.1

func (c *conn) prove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}

// state is the connection to use, and until when a read may take.
func (c *conn) state() (secure *tls.Conn, spoken bool, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until = c.until; until.IsZero() {
		until = time.Now().Add(idlePatience)
	}
	return c.secure, c.spoken, until
}

func (c *conn) Read(b []byte) (int, error) {
	secure, spoken, until := c.state()
	_ = c.SetReadDeadline(until) // on a closed one: Read will say so
	if secure != nil {
		return secure.Read(b)
	}
	n, err := c.Conn.Read(b)
	if err != nil || n == 0 || spoken {
		return n, err
	}
	c.mu.Lock()
	c.spoken = true
	if b[0] == handshakeRecord && c.tls != nil {
		c.secure = tls.Server(&unread{Conn: c.Conn, head: append([]byte(nil), b[:n]...)}, c.tls)
	}
	secure = c.secure
	c.mu.Unlock()
	if secure != nil {
		return secure.Read(b)
	}
	return n, nil
}

func (c *conn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writePatience)) // on a closed one: Write will say so
	if secure, _, _ := c.state(); secure != nil {
		return secure.Write(b)
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.once.Do(func() { c.guard.forget(c) })
	return c.Conn.Close()
}

// unread reads again what was read.
type unread struct {
	net.Conn
	head []byte
}

func (u *unread) Read(b []byte) (int, error) {
	if len(u.head) == 0 {
		return u.Conn.Read(b)
	}
	n := copy(b, u.head)
	u.head = u.head[n:]
	return n, nil
}
