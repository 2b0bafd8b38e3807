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

// untilDrain returns ctx, which also ends, because of ErrDraining, when the server drains.
func (s *Server) untilDrain(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.draining, func() { cancel(signaling.ErrDraining) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
