package relay

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// What bounds connections to the relay (TCP), of which anybody may make one.
const (
	mostConnections = 4096
	firstPatience   = 10 * time.Second // for the first bytes, and a TLS handshake
	patience        = 15 * time.Minute // for the next ones: an allocation is refreshed before
)

// guard lets connections in that say something in time; those that begin with TLS speak it
// if there is a config for it.
func (r *Relay) guard(l net.Listener, config *tls.Config) net.Listener {
	return &guarded{netutil.LimitListener(l, mostConnections), config}
}

type guarded struct {
	net.Listener
	tls *tls.Config
}

func (g *guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, tls: g.tls, patience: firstPatience}, nil
}

// A conn finds out with its first byte whether it speaks TLS: that of a TLS handshake is
// none of STUN's or TURN's (RFC 7983). The server reads before it writes.
type conn struct {
	net.Conn
	tls *tls.Config

	// owned by Read:
	patience time.Duration

	mu     sync.Mutex // guards what follows
	secure *tls.Conn  // once it does
}

const handshakeRecord = 22 // RFC 8446, section 5.1

func (c *conn) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(c.patience)) // on a closed one: Read will say so
	if s := c.secured(); s != nil {
		n, err := s.Read(b)
		if n > 0 {
			c.patience = patience
		}
		return n, err
	}
	n, err := c.Conn.Read(b)
	if err != nil || n == 0 || c.patience == patience {
		return n, err
	}
	if b[0] != handshakeRecord || c.tls == nil {
		c.patience = patience
		return n, nil
	}
	c.mu.Lock()
	c.secure = tls.Server(&unread{Conn: c.Conn, head: append([]byte(nil), b[:n]...)}, c.tls)
	c.mu.Unlock()
	return c.Read(b)
}

func (c *conn) Write(b []byte) (int, error) {
	if s := c.secured(); s != nil {
		return s.Write(b)
	}
	return c.Conn.Write(b)
}

func (c *conn) secured() *tls.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secure
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
