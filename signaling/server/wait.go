package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

// What the server itself refuses to readers; a Store does not know them.
var (
	errWaiting = signaling.Explain(signaling.ErrServerFull, "As many requests wait at this server as it can hold. Try again in a moment.")
	errSquats  = signaling.Explain(signaling.ErrTooMany, "Your network address waits in as many rooms that nobody has opened as this server allows one address. Wait in fewer rooms, or try again in a moment.")
)

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
				s.unpark(&g.visit)
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
		if over, refusal := s.mustEnd(g, err); refusal != nil {
			return refusal
		} else if over && write != nil {
			return write()
		} else if over {
			return err
		}
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

// mustEnd decides whether a read that has found nothing waits on. It is refused if its client
// waits in too many rooms where nobody calls. It is over, as if its time were, if it was woken
// for nothing more often than its client may ask: to wake many readers must not be cheaper
// than as many requests.
func (s *Server) mustEnd(g *guest, nothing error) (over bool, refusal error) {
	if g.before != nil {
		ok, _, _ := s.wakes.allows(g.client)
		if ok = ok || s.draining.Err() != nil; !ok {
			s.refuse(limitWakes, g.client)
		}
		return !ok, nil
	}
	if errors.Is(nothing, signaling.ErrNoOffer) || errors.Is(nothing, signaling.ErrNoRoom) {
		if !s.squatters.enter(client(g.client), s.config.ClientWaiting) {
			s.refuse(limitClientWaiting, g.client)
			return false, errSquats
		}
		g.squats = true
	}
	return false, nil
}

// unpark counts a read out that waited.
func (s *Server) unpark(v *visit) {
	s.parked.Add(-1)
	if v.squats {
		v.squats = false
		s.squatters.leave(client(v.client))
	}
}

// squatters count the reads of each client that wait in rooms where nobody calls.
type squatters struct {
	mu   sync.Mutex // guards what follows
	from map[netip.Addr]int
}

// enter returns false if the client has as many as it may have.
func (q *squatters) enter(from netip.Addr, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if most > 0 && q.from[from] >= most {
		return false
	}
	if q.from == nil {
		q.from = map[netip.Addr]int{}
	}
	q.from[from]++
	return true
}

func (q *squatters) leave(from netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.from[from]--; q.from[from] <= 0 {
		delete(q.from, from)
	}
}
