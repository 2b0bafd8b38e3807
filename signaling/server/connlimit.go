package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
)

// Connections limits the open connections, silent, slow and waiting ones included.
type Connections struct {
	Client int // of one client, as in Rate; trusted proxies have no limit; no limit if zero
	All    int // of all clients together; no limit if zero
}

// A connLimiter counts open connections.
type connLimiter struct {
	limit   Connections
	exempt  func(netip.Addr) bool // from limit.Client
	clients clientCounter

	mu  sync.Mutex // guards what follows
	all int
}

// enter counts c, or returns the limit that c meets.
func (l *connLimiter) enter(c net.Conn) (limit string) {
	client, counted := l.client(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.limit.All > 0 && l.all >= l.limit.All:
		return limitConnections
	case counted && !l.clients.enter(client, 1, l.limit.Client):
		return limitClientConnections
	}
	l.all++
	return ""
}

// leave counts c no more.
func (l *connLimiter) leave(c net.Conn) {
	client, counted := l.client(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if counted {
		l.clients.leave(client, 1)
	}
}

func (l *connLimiter) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// client returns the client that opened c; counted is false if the client has no limit.
func (l *connLimiter) client(c net.Conn) (client netip.Addr, counted bool) {
	at, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || l.limit.Client == 0 {
		return client, false
	}
	from := at.AddrPort().Addr()
	return ratelimit.Client(from), !l.exempt(from)
}

// A limitedListener turns connections over the limits away.
type limitedListener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (l limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.server.refuse(limitFiles, netip.Addr{}) // net/http waits for up to a second, and tries again
		}
		if err != nil {
			return nil, err
		}
		limit := l.server.connections.enter(c)
		if limit == "" {
			return c, nil
		}
		client, _ := l.server.connections.client(c)
		l.server.refuse(limit, client)
		if _, plain := c.(*net.TCPConn); plain { // a TLS handshake would hold up Accept
			_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // a new connection has room for it
			_, _ = c.Write(turnedAway()[limit])
		}
		_ = c.Close()
	}
}

// connState counts the connections that net/http or longpoll closes: see http.Server.ConnState.
func (s *Server) connState(c net.Conn, state http.ConnState) {
	if state == http.StateClosed {
		s.connections.leave(c)
	}
}

// turnedAway has the HTTP responses for connections over a limit.
var turnedAway = sync.OnceValue(func() map[string][]byte { // not encoded at each start of a client
	return map[string][]byte{
		limitConnections:       refusal(signaling.Explain(signaling.ErrServerFull, "As many connections are open at this server as it can hold. Try again in a moment.")),
		limitClientConnections: refusal(signaling.Explain(signaling.ErrTooMany, "Your network address has too many open connections. Close some, or try again in a moment.")),
	}
})

// refusal returns the HTTP response for err.
func refusal(err error) []byte {
	p, _ := signaling.ProblemOf(err)
	body, _ := json.Marshal(p) // a Problem can always be encoded
	var b bytes.Buffer
	_ = (&http.Response{ // into memory
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/problem+json"}, "Retry-After": {retryAfter}, "Cache-Control": {"no-store"}},
	}).Write(&b)
	return b.Bytes()
}
