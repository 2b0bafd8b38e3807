// Package longpoll parks HTTP requests that wait for news.
//
// In net/http a waiting request costs as much as any request in progress: two goroutines, their
// stacks, buffers, 28 KB in all. A parked request costs 3 KB: its connection, its head, a timer.
//
//	net/http ──▶ handler ──▶ Park ──▶ parkedConn
//	    ▲                                 │
//	    │       news, the time is over,   │   the client
//	    │       or Drain                  │   hangs up
//	    └──────── listener.Accept ◀───────┴───────────▶ Wait.Gone
//
// From a returned connection, net/http reads the head once more, and handles the request like any
// other. There Resume gives the handler what was kept of the request.
//
// A request can be parked if it came over HTTP/1.1 without TLS, and without a body or with one of
// known length, to a system with epoll (Linux). Park returns false for other requests, whose handlers have to wait themselves.
package longpoll

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxHead bounds the bytes of a request's head that are kept.
const maxHead = 4 << 10

// A Wait is what a request waits for.
type Wait struct {
	// Body is the request's body, which the handler has read. The Parker keeps it.
	Body []byte
	// Until is when the wait ends without news.
	Until time.Time
	// Watch calls wake when there may be news: with nil if the handler has to look, else with the
	// error that is the request's outcome. wake does not block, and only its first call counts.
	// stop ends the watch.
	Watch func(wake func(outcome error)) (stop func())
	// NoNews looks for news while Watch runs already, so that none is missed, and reports whether
	// there is none yet.
	NoNews func() bool
	// Gone is called if the client hangs up: no handler sees the request again.
	Gone func()
	// State is what Resume returns of the request.
	State any
}

// Parked is what a Parker keeps of a request.
type Parked struct {
	State   any
	Until   time.Time
	Outcome error // the argument of wake; nil if the handler has to look for news
}

// A Parker parks requests of one http.Server. A nil Parker parks none.
type Parker struct {
	listener *listener
	state    func(net.Conn, http.ConnState) // the server's own hook; may be nil
	pending  sync.WaitGroup                 // what conns holds

	mu       sync.Mutex // guards what follows
	epoll    *epoll     // nil before Attach and after Close
	conns    map[uint64]*parkedConn
	keys     uint64 // given out so far
	draining bool
}

// New returns a Parker that parks nothing until Attach.
func New() *Parker { return &Parker{conns: map[uint64]*parkedConn{}} }

type (
	parkerKey struct{} // in the context of requests that may be parked
	connKey   struct{} // in the context of requests on a returned connection
)

// Attach makes p park requests of h, whose hooks it sets: BaseContext, ConnContext and ConnState. It
// keeps the ConnState of h, and tells it of the connections that p closes. h also has to serve the
// listener, which returns parked connections and has the address at. Attach is called once, before
// h serves. It returns errors.ErrUnsupported on systems without epoll.
func (p *Parker) Attach(h *http.Server, at net.Addr) (net.Listener, error) {
	if p == nil {
		return nil, errors.ErrUnsupported
	}
	e, err := newEpoll(p.hungUp)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.epoll = e
	p.mu.Unlock()
	p.listener, p.state = newListener(at), h.ConnState
	h.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), parkerKey{}, p)
	}
	h.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if c, ok := c.(*parkedConn); ok {
			return context.WithValue(ctx, connKey{}, c)
		}
		return ctx
	}
	h.ConnState = p.connState
	return p.listener, nil
}

// Park parks the request r, and reports whether it did. Then its handler has to return without an
// answer: w is no longer of use.
func (p *Parker) Park(w http.ResponseWriter, r *http.Request, wait Wait) bool {
	if !p.mayPark(r) || r.ContentLength != int64(len(wait.Body)) {
		return false
	}
	c := &parkedConn{parker: p, head: head(r), gone: wait.Gone, request: &Parked{State: wait.State, Until: wait.Until}}
	if len(c.head) > maxHead || !p.add(c) {
		return false
	}
	c.head = append(c.head, wait.Body...)
	c.stop = wait.Watch(c.wake)
	if !wait.NoNews() || !c.takeOver(w) {
		c.stop()
		p.remove(c)
		return false
	}
	c.wait()
	return true
}

func (p *Parker) mayPark(r *http.Request) bool {
	if p == nil || r.Context().Value(parkerKey{}) != p || r.TLS != nil || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
		return false
	}
	before, _ := r.Context().Value(connKey{}).(*parkedConn)
	return before == nil || !before.unwatched
}

// head returns the bytes from which net/http reads the same request again.
func head(r *http.Request) []byte {
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.RequestURI + " HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	_ = r.Header.WriteSubset(&b, map[string]bool{"Expect": true}) // into memory; the client has sent its body
	b.WriteString("\r\n")
	return bytes.Clone(b.Bytes()) // without the buffer's spare room
}

// Resume returns what was kept of a request that was parked, and nil for any other request. Its
// handler has to call it, once, before it waits again.
func Resume(r *http.Request) *Parked {
	c, _ := r.Context().Value(connKey{}).(*parkedConn)
	if c == nil || c.request == nil {
		return nil
	}
	request := c.request
	c.forget()
	return request
}

// Len returns the number of parked requests.
func (p *Parker) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Drain returns all parked requests to net/http, and parks no more.
func (p *Parker) Drain() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	for _, c := range p.conns {
		c.wake(nil)
	}
}

// Close drains p, and returns when net/http handles all requests that were parked, or has closed
// their connections.
func (p *Parker) Close() {
	if p == nil {
		return
	}
	p.Drain()
	p.pending.Wait()
	p.mu.Lock()
	e := p.epoll
	p.epoll = nil
	p.mu.Unlock()
	if e != nil {
		e.close()
	}
}

// add gives c a key, and reports whether p may park it.
func (p *Parker) add(c *parkedConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining || p.epoll == nil {
		return false
	}
	p.keys++
	c.key, c.epoll = p.keys, p.epoll
	p.conns[c.key] = c
	p.pending.Add(1)
	return true
}

func (p *Parker) remove(c *parkedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c.key)
	p.pending.Done()
}

// hungUp ends the wait of the connection with a key, whose client hung up.
func (p *Parker) hungUp(key uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.conns[key]; c != nil {
		c.wake(errHungUp)
	}
}

// connState is the http.Server's hook. net/http may close a returned connection before it has read
// the request.
func (p *Parker) connState(conn net.Conn, state http.ConnState) {
	if p.state != nil {
		p.state(conn, state)
	}
	if c, ok := conn.(*parkedConn); ok && state == http.StateClosed && c.request != nil {
		c.gone()
		c.forget()
	}
}
