// Package proxytest has proxies for tests. They know a name that no name server knows.
package proxytest

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/armon/go-socks5"

	"p2pchat/signaling"
)

// Name is the name of this machine that only the proxies know.
const Name = "chat.p2pchat.test"

const hidden = "127.0.0.1"

// An HTTP is an HTTP proxy that knows CONNECT only (RFC 9110, section 9.3.6).
type HTTP struct {
	User   string               // name:password; empty: it asks for none
	Status int                  // what it answers in place of a connection, if not 0
	Dial   signaling.Dial       // nil: from here
	Opened func(address string) // told of each connection, from any goroutine; may be nil
}

// ServeHTTP implements http.Handler.
func (h HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodConnect:
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	case h.User != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(h.User)):
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		return
	case h.Status != 0:
		http.Error(w, "no", h.Status)
		return
	}
	dial := h.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	to, err := dial(r.Context(), "tcp", strings.Replace(r.Host, Name, hidden, 1))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = to.Close() }()
	from, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = from.Close() }()
	if h.Opened != nil {
		h.Opened(to.RemoteAddr().String())
	}
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}

// Start starts the proxy on this machine, and returns its address.
func (h HTTP) Start(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A SOCKS is a SOCKS5 proxy (RFC 1928).
type SOCKS struct {
	User   string               // name:password; empty: it asks for none
	Refuse bool                 // all connections
	Opened func(address string) // told of each connection, from any goroutine; may be nil
}

// Start starts the proxy on this machine, and returns its address.
func (s SOCKS) Start(t testing.TB) string {
	t.Helper()
	config := &socks5.Config{Resolver: resolver{}, Rules: &socks5.PermitCommand{EnableConnect: !s.Refuse}, Logger: log.New(io.Discard, "", 0)}
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil && s.Opened != nil {
			s.Opened(address)
		}
		return c, err
	}
	if name, password, ok := strings.Cut(s.User, ":"); ok {
		config.Credentials = socks5.StaticCredentials{name: password}
	}
	server, err := socks5.New(config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { _ = server.Serve(l) }() // until l is closed
	return l.Addr().String()
}

type resolver struct{}

func (resolver) Resolve(ctx context.Context, name string) (context.Context, net.IP, error) {
	if name != Name {
		return ctx, nil, errors.New("there is no such name")
	}
	return ctx, net.ParseIP(hidden), nil
}
