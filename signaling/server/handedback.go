package server

import (
	"net"
	"net/http"
	"sync"
)

// handedBack is a net.Listener that returns parked connections to net/http.
type handedBack struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
	at    net.Addr
}

type handedBackKey struct{} // in the context of requests that may be parked

func newHandedBack(at net.Addr) *handedBack {
	return &handedBack{conns: make(chan net.Conn), shut: make(chan struct{}), at: at}
}

// hand gives a connection to net/http. It returns false if net/http has closed the listener.
func (h *handedBack) hand(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.shut:
		return false
	}
}

// Accept implements net.Listener.
func (h *handedBack) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.shut:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handedBack) Close() error {
	h.once.Do(func() { close(h.shut) })
	return nil
}

// Addr implements net.Listener.
func (h *handedBack) Addr() net.Addr { return h.at }

// A returned connection begins with the request that was parked.
type returned struct {
	net.Conn
	head    []byte
	request *aside // until it is taken
}

type returnedKey struct{} // in the context of requests on a returned connection

func (r *returned) Read(b []byte) (int, error) {
	if len(r.head) == 0 {
		return r.Conn.Read(b)
	}
	n := copy(b, r.head)
	if r.head = r.head[n:]; len(r.head) == 0 {
		r.head = nil
	}
	return n, nil
}

// taken returns the parked read that this request was, or nil if it was none.
func taken(r *http.Request) *aside {
	on, _ := r.Context().Value(returnedKey{}).(*returned)
	if on == nil || on.request == nil {
		return nil
	}
	p := on.request
	on.request = nil
	p.of.asides.remove(p)
	return p
}

// changed counts connections that net/http has closed: see http.Server.ConnState.
func (s *Server) changed(c net.Conn, state http.ConnState) {
	if state != http.StateClosed {
		return
	}
	s.connections.leave(c)
	if r, ok := c.(*returned); ok && r.request != nil {
		r.request.gone()
	}
}
