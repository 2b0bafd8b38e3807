package server

import (
	"context"
	"sync"
)

// Drain answers every waiting read with 503, and every read that would wait from now on.
// /readyz answers 503 from now on.
func (s *Server) Drain() {
	s.drain()
	s.parker.Drain()
}

// A drainContext is the context of a request that may wait. It also ends when the server drains. Most reads find
// what they want at once: only the first one that waits makes what can end.
type drainContext struct {
	context.Context // the request's
	draining        context.Context

	once  sync.Once       // makes what follows
	waits context.Context // ends with either
	end   func()          // frees it
}

// Done implements context.Context.
func (c *drainContext) Done() <-chan struct{} {
	c.once.Do(func() {
		ctx, cancel := context.WithCancel(c.Context)
		stop := context.AfterFunc(c.draining, cancel)
		c.waits, c.end = ctx, func() {
			stop()
			cancel()
		}
	})
	return c.waits.Done()
}

// Err implements context.Context.
func (c *drainContext) Err() error {
	c.Done()
	return c.waits.Err()
}

// stop frees what Done has made. No other method may be called afterwards.
func (c *drainContext) stop() {
	c.once.Do(func() { c.end = func() {} })
	c.end()
}
