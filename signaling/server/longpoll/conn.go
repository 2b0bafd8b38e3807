package longpoll

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

var errHungUp = errors.New("the client hung up")

// A stage is a part of the life of a parkedConn:
//
//	parking ─┬─────────▶ parked ──▶ over
//	         └─▶ woken ─────────────▶┘
type stage int

const (
	parking stage = iota // the request is watched, and may still be its handler's
	woken                // the same, but its wait is over already
	parked               // it waits without a goroutine
	over                 // a goroutine returns the connection, or net/http has it
)

// A parkedConn is the connection of a request that is parked, or was. Once it is returned, net/http
// owns it, and reads the head of the request first.
type parkedConn struct {
	net.Conn  // nil while the request is its handler's
	parker    *Parker
	epoll     *epoll
	key       uint64 // names it to epoll
	head      []byte // of the request, and what the client sent after it
	stop      func() // Watch's
	gone      func() // Wait.Gone
	unwatched bool   // epoll does not take it: a hang-up would not be noticed, so it is not parked again

	// request is what Resume returns, and nil from then on. Once parked, the goroutine that
	// returns the connection owns it, then net/http.
	request *Parked

	mu    sync.Mutex // guards what follows
	stage stage
	timer *time.Timer // ends the wait
}

// takeOver takes the connection from net/http, and reports whether it could.
func (c *parkedConn) takeOver(w http.ResponseWriter) bool {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	c.head = append(c.head, early...)
	if before, ok := conn.(*parkedConn); ok {
		c.head = append(c.head, before.head...)
		conn = before.Conn
	}
	c.Conn = conn
	return true
}

// wait leaves the connection until the wait ends.
func (c *parkedConn) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage == parking {
		c.unwatched = c.epoll.add(c.Conn, c.key) != nil
		if !c.unwatched {
			c.stage = parked
			c.timer = time.AfterFunc(time.Until(c.request.Until), func() { c.wake(nil) })
			return
		}
	}
	c.stage = over
	go c.end()
}

// wake ends the wait.
func (c *parkedConn) wake(outcome error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.stage {
	case parking:
		c.stage = woken
	case parked:
		c.stage = over
		go c.end()
	case woken, over:
		return
	}
	c.request.Outcome = outcome
}

// end returns the connection to net/http, or closes it if the client hung up.
func (c *parkedConn) end() {
	c.mu.Lock() // wait and wake still hold it
	timer, outcome := c.timer, c.request.Outcome
	c.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	c.stop()
	c.epoll.remove(c.Conn)
	if !errors.Is(outcome, errHungUp) && c.parker.listener.give(c) {
		return
	}
	_ = c.Close()
	c.parker.connState(c, http.StateClosed)
}

// forget ends what the Parker knows of the request.
func (c *parkedConn) forget() {
	c.parker.remove(c)
	c.request, c.gone, c.stop, c.timer = nil, nil, nil, nil
}

// Read returns the request that was parked, then what the client sends.
func (c *parkedConn) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}
