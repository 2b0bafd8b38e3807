// Package pipenet serves HTTP over connections in memory, so that tests of clients and servers run
// in virtual time (package testing/synctest).
package pipenet

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// URL is the address of every server.
const URL = "http://127.0.0.1"

// A Listener accepts the connections that its Dial makes.
type Listener struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once // closes closed
}

// Serve serves h until the test ends. Use it within a bubble of testing/synctest.
func Serve(t testing.TB, h http.Handler) *Listener {
	l := &Listener{accept: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) }) // http.ErrServerClosed
	t.Cleanup(func() {
		_ = s.Close() // closing a pipe does not fail
		serving.Wait()
	})
	return l
}

// Dial connects to the server. It has the signature of [http.Transport.DialContext], and ignores
// the network and the address. It returns ECONNREFUSED if the server is closed.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.accept <- conn{far}:
		return conn{near}, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return address }

// A conn is one end of a pipe, with an address that a server can parse.
type conn struct{ net.Conn }

var address = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:80"))

func (conn) LocalAddr() net.Addr  { return address }
func (conn) RemoteAddr() net.Addr { return address }
