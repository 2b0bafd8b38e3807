package server

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

// A read that waits has, in net/http, all that a request in progress has: two goroutines,
// their stacks, buffers. So after a moment it is set aside:
//
//	handler ─▶ nothing yet ─▶ takes the connection over, keeps the request's head
//	                                 │ until something is written in the room, the
//	                                 │ time is over, or the client hangs up
//	net/http ◀─ the connection, ─────┘
//	            with the head to be read once more
//
// There it is a request like any other, and is answered like one.
const (
	asideAfter = 100 * time.Millisecond // many reads are answered sooner, and need not be made twice
	mostHead   = 4 << 10                // bytes of a head that is worth keeping
)

var errHungUp = errors.New("the client hung up")

// An aside is a read that was set aside. It has its place among those that wait.
type aside struct {
	of    *Server
	to    *handedBack
	conn  net.Conn
	head  []byte // the request's, and what came after it
	until time.Time
	timer *time.Timer
	stop  func() // watching the room
	key   uint64 // among the hangups
	visit

	mu      sync.Mutex // guards what follows
	waits   bool
	over    bool
	deaf    bool  // nobody would tell that its client hangs up: it must not be set aside again
	outcome error // if another look is not worth it
}

// setAside lets a request go on waiting without its handler, if it can. read looks once
// more, when nothing can be missed any longer.
func (s *Server) setAside(c echo.Context, w watched, until time.Time, read reading) bool {
	r := c.Request()
	to, _ := r.Context().Value(handedBackKey{}).(*handedBack)
	if to == nil || s.watcher == nil || r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.TLS != nil || r.ContentLength != 0 {
		return false
	}
	p := &aside{of: s, to: to, until: until, visit: c.(*guest).visit}
	p.route = c.Path()
	if p.head = head(r, p.id); len(p.head) > mostHead || !s.asides.add(p) {
		return false
	}
	p.stop = s.watcher.Watch(w.Ticket, w.of, w.what, p.end)
	if _, err := read(r.Context(), 0); nothingYet(err) && p.takeOver(c) {
		p.begin()
		return true
	}
	p.stop()
	s.asides.remove(p)
	return false
}

// takeOver takes the connection from net/http.
func (p *aside) takeOver(c echo.Context) bool {
	conn, buffered, err := http.NewResponseController(c.Response().Writer).Hijack()
	if err != nil {
		return false
	}
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	p.head = append(p.head, early...)
	if before, ok := conn.(*returned); ok {
		p.head = append(p.head, before.head...)
		conn = before.Conn
	}
	p.conn = conn
	c.(*guest).aside = true
	return true
}

// begin waits for the first reason to end. Without hangups there is only the time.
func (p *aside) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = true
	p.timer = time.AfterFunc(time.Until(p.until), func() { p.end(nil) })
	if !p.over {
		p.deaf = !p.of.asides.watch(p)
		p.over = p.deaf
	}
	if p.over {
		go p.after()
	}
}

// end ends the wait, with an outcome if there is no use in another look.
func (p *aside) end(outcome error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.over, p.outcome = true, outcome
	if p.waits {
		go p.after()
	}
}

// after is what comes after the wait: the request once more, if its client is there.
func (p *aside) after() {
	p.timer.Stop()
	p.stop()
	p.of.asides.unwatch(p)
	if !errors.Is(p.outcome, errHungUp) && p.to.hand(&returned{Conn: p.conn, head: p.head, request: p}) {
		return
	}
	_ = p.conn.Close()
	p.of.connections.leave(p.conn)
	p.gone()
}

// gone says that nobody is there to be answered.
func (p *aside) gone() {
	p.of.unpark(&p.visit)
	p.status = hungUp
	p.of.served(&p.visit)
	p.of.asides.remove(p)
}

// head writes what made net/http read that request.
func head(r *http.Request, id string) []byte {
	h := r.Header.Clone()
	h.Set(echo.HeaderXRequestID, id)
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.RequestURI + " HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	_ = h.Write(&b) // into memory
	b.WriteString("\r\n")
	return bytes.Clone(b.Bytes())
}

// nothingYet tells whether a read may yet have another answer than err.
func nothingYet(err error) bool {
	return errors.Is(err, signaling.ErrNoOffer) || errors.Is(err, signaling.ErrNoAnswer) ||
		errors.Is(err, signaling.ErrNoRoom) || errors.Is(err, signaling.ErrUnchanged)
}

// Asides are all that are set aside.
type asides struct {
	going   sync.WaitGroup
	hangups // of their clients

	mu   sync.Mutex // guards what follows
	all  map[uint64]*aside
	last uint64 // key
	shut bool
}

func (a *asides) add(p *aside) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.shut || !a.usable() {
		return false
	}
	a.last++
	p.key = a.last
	a.all[p.key] = p
	a.going.Add(1)
	return true
}

func (a *asides) remove(p *aside) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, p.key)
	a.going.Done()
}

// hungUp is told by hangups.
func (a *asides) hungUp(key uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.all[key]; p != nil {
		p.end(errHungUp)
	}
}

// end has all of them made again, and takes no more.
func (a *asides) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shut = true
	for _, p := range a.all {
		p.end(nil)
	}
}
