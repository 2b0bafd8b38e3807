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
)

// Connections limit the open connections, silent, slow and waiting ones included.
type Connections struct {
	Client int // of one client, as in Rate; trusted proxies have no limit; no limit if zero
	All    int // of all clients together; no limit if zero
}

// A census counts open connections.
type census struct {
	limit   Connections
	proxies []netip.Prefix

	mu   sync.Mutex // guards what follows
	all  int
	from map[netip.Addr]int
}

// enter counts c, or returns the limit that c meets.
func (n *census) enter(c net.Conn) (limit string) {
	from, counted := n.client(c)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.limit.All > 0 && n.all >= n.limit.All:
		return limitConnections
	case counted && n.from[from] >= n.limit.Client:
		return limitClientConnections
	case counted:
		n.from[from]++
	}
	n.all++
	return ""
}

// leave counts c no more.
func (n *census) leave(c net.Conn) {
	from, counted := n.client(c)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all--
	if !counted {
		return
	}
	if n.from[from]--; n.from[from] <= 0 {
		delete(n.from, from)
	}
}

func (n *census) open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all
}

// client returns the client that opened c; counted is false if the client has no limit.
func (n *census) client(c net.Conn) (from netip.Addr, counted bool) {
	at, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || n.limit.Client == 0 {
		return from, false
	}
	from = at.AddrPort().Addr().Unmap()
	for _, p := range n.proxies {
		if p.Contains(from) {
			return from, false
		}
	}
	return client(from), true
}

// A counted listener turns connections over the limits away.
type counted struct {
	net.Listener
	*Server
}

// Accept implements net.Listener.
func (l counted) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.refuse(limitFiles, netip.Addr{}) // net/http waits for up to a second, and tries again
		}
		if err != nil {
			return nil, err
		}
		limit := l.connections.enter(c)
		if limit == "" {
			return c, nil
		}
		from, _ := l.connections.client(c)
		l.refuse(limit, from)
		if _, plain := c.(*net.TCPConn); plain { // a TLS handshake would hold up Accept
			_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // a new connection has room for it
			_, _ = c.Write(turnedAway[limit])
		}
		_ = c.Close()
	}
}

// turnedAway has the HTTP responses for connections over a limit.
var turnedAway = map[string][]byte{
	limitConnections:       refusal(signaling.Explain(signaling.ErrServerFull, "As many connections are open at this server as it can hold. Try again in a moment.")),
	limitClientConnections: refusal(signaling.Explain(signaling.ErrTooMany, "Your network address has too many open connections. Close some, or try again in a moment.")),
}

func refusal(why error) []byte {
	p, _ := signaling.ProblemOf(why)
	body, _ := json.Marshal(p) // it has nothing that cannot be
	var b bytes.Buffer
	_ = (&http.Response{ // into memory
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/problem+json"}, "Retry-After": {retrySecond}, "Cache-Control": {"no-store"}},
	}).Write(&b)
	return b.Bytes()
}
