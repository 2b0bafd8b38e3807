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

// In net/http a read that waits costs as much as any request in progress: two goroutines,
// their stacks, buffers. So after asideAfter the server parks it:
//
//	handler ─▶ nothing yet ─▶ takes the connection over, keeps the request's head
//	                                 │ until a client writes in the room, the time
//	                                 │ is over, or the client hangs up
//	net/http ◀─ the connection, ─────┘
//	            with the head to be read again
//
// net/http handles the returned request like any other.
const (
	asideAfter = 100 * time.Millisecond // many reads are answered sooner, and need not be parked
	mostHead   = 4 << 10                // bytes of a request's head that is kept
)

var errHungUp = errors.New("the client hung up")

// An aside is a parked read. It counts as one of the waiting reads.
type aside struct {
	of    *Server
	to    *handedBack
	conn  net.Conn
	head  []byte // of the request, and the bytes that came after it
	until time.Time
	timer *time.Timer
	stop  func() // watching the room
	key   uint64 // names it to hangups
	visit

	mu      sync.Mutex // guards what follows
	waits   bool
	over    bool
	deaf    bool  // a hang-up would not be noticed, so it must not be parked again
	outcome error // of the read, if looking again is of no use
}

// setAside parks a request, and reports whether it did. read looks once more after the room is
// watched, so that no change is missed.
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

// takeOver takes the connection from net/http, and reports whether it could.
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

// begin waits for the first reason to end. Without hang-up notification, only the timeout and
// changes in the room end the wait.
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

// end ends the wait. An outcome that is not nil is the result of the read; otherwise the read
// looks again.
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

// after runs when the wait is over: it returns the request to net/http, unless the client hung up.
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

// gone counts a read whose client hung up.
func (p *aside) gone() {
	p.of.unpark(&p.visit)
	p.status = hungUp
	p.of.served(&p.visit)
	p.of.asides.remove(p)
}

// head returns the bytes from which net/http reads the same request again.
func head(r *http.Request, id string) []byte {
	h := r.Header.Clone()
	h.Set(echo.HeaderXRequestID, id)
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.RequestURI + " HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	_ = h.Write(&b) // into memory
	b.WriteString("\r\n")
	return bytes.Clone(b.Bytes())
}

// nothingYet reports whether a read that waits may get another result than err.
func nothingYet(err error) bool {
	return errors.Is(err, signaling.ErrNoOffer) || errors.Is(err, signaling.ErrNoAnswer) ||
		errors.Is(err, signaling.ErrNoRoom) || errors.Is(err, signaling.ErrUnchanged)
}

// asides are all parked reads.
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

// hungUp ends the read with a key, whose client hung up. hangups calls it.
func (a *asides) hungUp(key uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.all[key]; p != nil {
		p.end(errHungUp)
	}
}

// end returns all parked reads to net/http, and takes no more.
func (a *asides) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shut = true
	for _, p := range a.all {
		p.end(nil)
	}
}
