package longpoll

import (
	"net"
	"sync"
)

// listener is a net.Listener that returns parked connections to net/http.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once // closes it
	at     net.Addr
}

func newListener(at net.Addr) *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{}), at: at}
}

// give gives c to net/http. It returns false if net/http has closed the listener.
func (l *listener) give(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.closed:
		return false
	}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.at }
