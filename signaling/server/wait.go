package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
	"p2pchat/signaling/server/longpoll"
)

const (
	maxWait   = 60 * time.Second       // for Prefer: wait=N
	parkAfter = 100 * time.Millisecond // many reads are answered sooner, and need not be parked

	clientShare = 50  // see maxClientWaits: with the default of MaxWaiting, a client alone may have 1,000
	fewestAlone = 200 // of a client alone, however small MaxWaiting is
	leastWaits  = 8   // two calls, or a listen with a hundred rooms
)

// Errors that the server itself returns to reads; a Store does not know them.
var (
	errWaiting  = signaling.Explain(signaling.ErrServerFull, "As many requests wait at this server as it can hold. Try again in a moment.")
	errWaiters  = signaling.Explain(signaling.ErrTooMany, "Your network address has as many requests wait as this server allows one address now. End some, or try again in a moment.")
	errUnopened = signaling.Explain(signaling.ErrTooMany, "Your network address waits in as many rooms that no one has opened as this server allows one address. Wait in fewer rooms, or try again in a moment.")
)

// A watchFunc calls wake once when what a read waits for may have changed, as [signaling.Watcher].Watch does. It is
// nil if the Store cannot tell.
type watchFunc func(wake func(error)) (stop func())

// awaited is what a read waits for: a document of a room, or anything else that can be watched. The watchFunc of a
// document is made only for a read that is parked.
type awaited struct {
	watch watchFunc // of anything else

	ticket signaling.Ticket // the zero one for anything else
	of     signaling.Side
	what   signaling.Document
}

// documentOf returns a document of a room to wait for.
func documentOf(t signaling.Ticket, of signaling.Side, what signaling.Document) awaited {
	return awaited{ticket: t, of: of, what: what}
}

// watch returns the watchFunc of what a read waits for.
func (s *Server) watch(a awaited) watchFunc {
	if a.ticket == (signaling.Ticket{}) || s.watcher == nil {
		return a.watch
	}
	return func(wake func(error)) (stop func()) { return s.watcher.Watch(a.ticket, a.of, a.what, wake) }
}

// A readFunc looks for the document that a request wants, and waits up to wait for it. With
// ErrUnchanged it may also return a function that writes the response for "nothing new".
type readFunc func(ctx context.Context, wait time.Duration) (write func() error, err error)

// await answers a request as soon as read finds something, or when the request's time is over.
func (s *Server) await(c echo.Context, news awaited, read readFunc) error {
	info, r := infoOf(c), c.Request()
	wait, asked := preferredWait(r.Header.Values("Prefer"))
	if wait > 0 && info.resumed == nil {
		if err := s.beginWait(info); err != nil {
			return err
		}
	}
	if asked {
		c.Response().Header()["Preference-Applied"] = applied()[wait/time.Second]
	}
	ctx := r.Context()
	if wait > 0 {
		drains := &drainContext{Context: ctx, draining: s.draining}
		defer drains.stop()
		ctx = drains
	}
	write, err := s.find(ctx, c, news, wait, read)
	switch {
	case info.parked:
		return nil
	case write != nil:
		return write()
	case s.draining.Err() != nil && r.Context().Err() == nil && errors.Is(err, context.Canceled):
		return signaling.ErrDraining // that is why the read ended
	}
	return err
}

// applied has the values of Preference-Applied by the seconds of the wait.
var applied = sync.OnceValue(func() (list [][]string) { // not made at each start of a program
	for n := range maxWait/time.Second + 1 {
		list = append(list, []string{fmt.Sprintf("wait=%d", n)})
	}
	return list
})

// find calls read until it finds something, or the time is over. Between the calls it may park the
// request.
func (s *Server) find(ctx context.Context, c echo.Context, news awaited, wait time.Duration, read readFunc) (write func() error, err error) {
	info := infoOf(c)
	until, first := time.Now().Add(wait), min(wait, s.parkAfter)
	if before := info.resumed; before != nil {
		until, first = before.Until, 0
		if before.Outcome != nil {
			return nil, before.Outcome
		}
	}
	write, err = read(ctx, first)
	if err = info.noticeClose(err); !nothingYet(err) || first >= time.Until(until) {
		return write, err
	}
	more, refusal := s.mayWaitOn(info, err)
	switch {
	case refusal != nil:
		return nil, refusal
	case !more || s.park(c, news, until, read):
		return write, err
	case info.closed: // as park has found
		return nil, signaling.ErrClosed
	}
	write, err = read(ctx, time.Until(until))
	return write, info.noticeClose(err)
}

// noticeClose returns the error of a read, or ErrClosed if an earlier read of the request has found the room, and this one has not. Between two
// reads no one watches the room, and one that another change has woken is told of that change alone: it would wait for the next call.
func (i *requestInfo) noticeClose(err error) error {
	switch {
	case errors.Is(err, signaling.ErrUnchanged), errors.Is(err, errUnanswered):
		i.found = true
	case i.found && nothingYet(err):
		i.closed = true
		return signaling.ErrClosed
	}
	return err
}

// mayWaitOn decides whether a read that has found nothing waits on. The refusal is not nil if the
// client waits in too many rooms that have no offer. more is false if the client's reads were
// resumed for nothing more often than the client may send requests: otherwise one write would
// cost the server as much as many requests.
func (s *Server) mayWaitOn(info *requestInfo, nothing error) (more bool, refusal error) {
	client := ratelimit.Client(info.client)
	if info.resumed != nil {
		if s.rates.wakes.Allow(client) || s.draining.Err() != nil {
			return true, nil //nolint:nilerr // a server that drains resumes its reads: no fault of the client
		}
		s.refuse(limitWakes, info.client)
		return false, nil
	}
	if errors.Is(nothing, signaling.ErrNoOffer) || errors.Is(nothing, signaling.ErrNoRoom) {
		if !s.unopened.enter(client, 1, s.config.ClientWaiting) {
			s.refuse(limitClientWaiting, info.client)
			return false, errUnopened
		}
		info.unopened = true
	}
	return true, nil
}

// park hands the request over to longpoll, and reports whether longpoll took it.
func (s *Server) park(c echo.Context, news awaited, until time.Time, read readFunc) bool {
	watch := s.watch(news)
	if watch == nil {
		return false
	}
	info, r := infoOf(c), c.Request()
	kept := new(*info)
	kept.resumed = nil // or each time it is parked would keep the one before
	info.parked = s.parker.Park(c.Response().Writer, r, longpoll.Wait{
		Body:  bytes.Clone(c.(*requestContext).body.Bytes()),
		Until: until,
		Watch: watch,
		NoNews: func() bool {
			_, err := read(r.Context(), 0)
			err = info.noticeClose(err)
			kept.found = info.found
			return nothingYet(err)
		},
		Gone: func() {
			s.endWait(kept)
			kept.status = hungUp
			s.recordEnd(kept)
		},
		State: kept,
	})
	return info.parked
}

// nothingYet reports whether a read that waits may still get another result than err.
func nothingYet(err error) bool {
	return errors.Is(err, signaling.ErrNoOffer) || errors.Is(err, signaling.ErrNoAnswer) ||
		errors.Is(err, signaling.ErrNoRoom) || errors.Is(err, signaling.ErrUnchanged)
}

// Waiting returns the number of reads that wait, parked ones included. One for the offers of many rooms counts as
// several: see listenCost.
func (s *Server) Waiting() int { return int(s.waiting.Load()) }

// beginWait counts a read that may wait. It returns errWaiting if there are too many, or errWaiters if there are too many of the client.
func (s *Server) beginWait(info *requestInfo) error {
	waiting := s.waiting.Add(info.cost)
	if waiting > int64(s.config.MaxWaiting) {
		s.waiting.Add(-info.cost)
		return errWaiting
	}
	if !s.waiters.enter(ratelimit.Client(info.client), int(info.cost), s.maxClientWaits(info.client, waiting-info.cost)) {
		s.waiting.Add(-info.cost)
		s.refuse(limitClientWaiting, info.client)
		return errWaiters
	}
	info.waits = true
	return nil
}

// maxClientWaits returns how many reads one client may have wait; waiting is how many wait in all: a fiftieth of MaxWaiting if no other client has
// any, and less with the square of the share that others leave free. So a crowd of clients leaves places for others, as it does of rooms (see memstore).
// Clients behind a proxy, and those with HTTP/2, need no connection for each read, so Connections does not bound them. It
// returns 0, which is no limit, if ClientWaiting is 0.
func (s *Server) maxClientWaits(client netip.Addr, waiting int64) int {
	if s.config.ClientWaiting == 0 {
		return 0
	}
	others := waiting - int64(s.waiters.of(ratelimit.Client(client)))
	free := 1 - float64(others)/float64(s.config.MaxWaiting)
	return max(leastWaits, int(free*free*float64(max(s.config.MaxWaiting/clientShare, fewestAlone))))
}

// endWait counts a read that no longer waits.
func (s *Server) endWait(info *requestInfo) {
	client := ratelimit.Client(info.client)
	s.waiting.Add(-info.cost)
	s.waiters.leave(client, int(info.cost))
	if info.unopened {
		s.unopened.leave(client, 1)
	}
}
