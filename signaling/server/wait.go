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

// watched is the document that a read is for.
type watched struct {
	signaling.Ticket
	of   signaling.Side
	what signaling.Document
}

// A reading looks for the document that a request wants, and waits up to wait for it. With
// ErrUnchanged it may also return a function that writes the response for "nothing new".
type reading func(ctx context.Context, wait time.Duration) (write func() error, err error)

// await answers a request as soon as read finds something, or when the request's time is over.
func (s *Server) await(c echo.Context, w watched, read reading) error {
	wait, asked := preferredWait(c.Request().Header.Values("Prefer"))
	g := c.(*guest)
	if wait > 0 && g.before == nil {
		if s.parked.Add(1) > int64(s.config.MaxWaiting) {
			s.parked.Add(-1)
			return errWaiting
		}
		defer func() {
			if !g.aside { // a parked read stays counted
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

// mustEnd decides whether a read that has found nothing waits on. The refusal is not nil if the
// client waits in too many rooms that have no offer. over is true if the client's reads were
// woken for nothing more often than the client may send requests: otherwise one write would
// cost the server as much as many requests.
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

// unpark counts a read that no longer waits.
func (s *Server) unpark(v *visit) {
	s.parked.Add(-1)
	if v.squats {
		v.squats = false
		s.squatters.leave(client(v.client))
	}
}

// squatters count the reads of each client that wait in rooms without an offer.
type squatters struct {
	mu   sync.Mutex // guards what follows
	from map[netip.Addr]int
}

// enter counts a read, and returns false if the client has most reads already; 0 is no limit.
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
