package server

import (
	"context"

	"p2pchat/signaling"
)

// Drain answers every waiting read with 503, and every read that would wait from now on.
// /readyz answers 503 from now on.
func (s *Server) Drain() {
	s.drain()
	s.parker.Drain()
}

// A drainContext is the context of a request until a read waits with it. Then it also ends, because of
// ErrDraining, when the server drains. Most reads find what they want, and need not wait. The first call of
// Done must not be concurrent with others.
type drainContext struct {
	context.Context
	server *Server
	end    func() // nil before Done
}

// Done implements context.Context.
func (c *drainContext) Done() <-chan struct{} {
	if c.end == nil {
		ctx, cancel := context.WithCancelCause(c.Context)
		stop := context.AfterFunc(c.server.draining, func() { cancel(signaling.ErrDraining) })
		c.Context, c.end = ctx, func() {
			stop()
			cancel(nil)
		}
	}
	return c.Context.Done()
}

func (c *drainContext) stop() {
	if c.end != nil {
		c.end()
	}
}
