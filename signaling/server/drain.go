package server

import (
	"context"
	"sync/atomic"
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
	waits           atomic.Pointer[wait] // nil until a read waits
}

// A wait ends with its request, and when the server drains.
type wait struct {
	context.Context
	end func() // frees it
}

// Done implements context.Context.
func (c *drainContext) Done() <-chan struct{} {
	if c.waits.Load() == nil {
		ctx, cancel := context.WithCancel(c.Context)
		stop := context.AfterFunc(c.draining, cancel)
		made := &wait{ctx, func() {
			stop()
			cancel()
		}}
		if !c.waits.CompareAndSwap(nil, made) { // another goroutine was first
			made.end()
		}
	}
	return c.waits.Load().Done()
}

// Err implements context.Context.
func (c *drainContext) Err() error {
	if w := c.waits.Load(); w != nil {
		return w.Err()
	}
	return c.Context.Err()
}

// stop frees what Done has made. All who use the context have returned by then.
func (c *drainContext) stop() {
	if w := c.waits.Load(); w != nil {
		w.end()
	}
}
