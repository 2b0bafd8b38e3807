package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

// errWaiting is no store's: the reads are the server's own.
var errWaiting = fmt.Errorf("%w: too many reads wait", signaling.ErrServerFull)

// What a read is of.
type watched struct {
	signaling.Ticket
	of   signaling.Side
	what signaling.Document
}

// A reading looks for what a request wants, waiting for it up to wait. It returns what
// writes the response, too, if there is one although there is nothing new.
type reading func(ctx context.Context, wait time.Duration) (write func() error, err error)

// await has read answer a request as soon as there is something to say, or when it has
// waited for as long as it wants.
func (s *Server) await(c echo.Context, w watched, read reading) error {
	wait, asked := preferredWait(c.Request().Header.Values("Prefer"))
	g := c.(*guest)
	if wait > 0 && g.before == nil {
		if s.parked.Add(1) > int64(s.config.MaxWaiting) {
			s.parked.Add(-1)
			return errWaiting
		}
		defer func() {
			if !g.aside { // else its place is kept
				s.parked.Add(-1)
			}
		}()
		g.waits = true
	}
	if asked {
		c.Response().Header().Set("Preference-Applied", fmt.Sprintf("wait=%d", wait/time.Second))
	}
	ctx, until, short := c.Request().Context(), time.Now().Add(wait), min(wait, s.asideAfter)
	if wait > 0 {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(s.draining, func() { cancel(signaling.ErrDraining) })()
	}
	if again := g.before; again != nil {
		until, short = again.until, 0
		if again.outcome != nil {
			return again.outcome
		}
	}
	write, err := read(ctx, short)
	if left := time.Until(until); left > 0 && short < left && nothingYet(err) {
		if (g.before == nil || !g.before.deaf) && s.setAside(c, w, until, read) {
			return nil
		}
		write, err = read(ctx, time.Until(until))
	}
	switch {
	case write != nil:
		return write()
	case context.Cause(ctx) != nil && errors.Is(err, ctx.Err()):
		return context.Cause(ctx) // that is why the read ended
	}
	return err
}
