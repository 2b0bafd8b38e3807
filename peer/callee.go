package peer

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"p2pchat/signaling"
)

const (
	livingOffer  = 30 * time.Second // for how long a callee waits for a newer offer; longer than an attempt
	lookInterval = 3 * time.Second  // how often it looks for one from then on
	noCallAfter  = time.Second      // without an offer, until NoCall is reported
)

// errUnprovenCaller is reported, because each such offer may have been a guess.
var errUnprovenCaller = errors.New("a caller in this room did not prove that it knows the code")

// errForgotten says that the server has lost the room with this side's answer.
var errForgotten = errors.New("the server was away, and has lost this call before the caller had proven that it knows the code")

// errUnread says that the caller's program was started again before it could read this side's answer.
var errUnread = errors.New("the caller's program was started again, and has not read the answer")

// An offer as the callee read it.
type offer struct {
	code        Code // in whose room
	description signaling.Description
	version     signaling.Version
	cuts        int64 // Session.interruptions by then
	// handled lets watchRoom read on. It is called when the answer and its candidates are at the Store, or the offer is
	// not answered now: a waiting read holds a connection, and a write that opens another one pays a TCP handshake.
	handled func()
}

// A calleeState is what a callee does:
//
//	           an offer arrived
//	listening ─────────────────▶ answering ──▶ over: connected, or failed for good
//	    ▲  │                      │   │  ▲
//	    │  └─▶ over: the call     │   └──┘ a newer offer arrived during the attempt
//	    │      has ended          │
//	    └─────────────────────────┘ the attempt failed
type calleeState int

const (
	listening calleeState = iota // for an offer in one of the rooms
	answering                    // an offer
	over
)

// A callee answers the newest offer in any of its rooms, until one of its answers leads to a connection.
// Offers of callers that have died may fail without end. A caller that is alive closes the room when it gives
// up: then the two cannot reach each other.
type callee struct {
	s          *Session
	rooms      rooms
	invited    invitations
	groundwork chan groundwork // of the first attempt
	hasSecret  bool
	state      calleeState
	silence    *time.Timer // until NoCall
	newest     *offer      // the one to answer; nil while listening
	failed     int         // attempts that found no path
	noPath     error       // of the last of them
	taken      bool        // another program has answered the last offer

	pipe *Pipe // once over
	err  error // once over
}

// rooms are where a callee listens.
type rooms struct {
	codes   []Code
	offers  chan offer
	closed  chan struct{} // a room was closed
	lost    chan error    // a room can no longer be watched
	refused chan error    // the server refuses its ICE servers for now
}

// answer meets as the callee.
func (s *Session) answer(ctx context.Context, codes []Code) (*Pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	n := len(codes)
	c := &callee{
		s: s, hasSecret: codes[0].Secret != "", noPath: ErrNoPath, groundwork: make(chan groundwork, 1),
		rooms: rooms{codes, make(chan offer), make(chan struct{}, 1), make(chan error, 2*n), make(chan error, n)},
	}
	if !s.met { // or else the connection was lost, perhaps with the network
		wg.Go(func() { c.layGroundwork(ctx) })
	}
	for _, code := range codes {
		wg.Go(func() { c.rooms.lost <- s.watchRoom(ctx, code, c.rooms) })
	}
	var err error
	if c.invited, err = s.invite(ctx, &wg, c.rooms); err != nil {
		return nil, err
	}
	s.config.Report(Waiting{codes[0], s.resumption(signaling.Ticket{}, codes[0])})
	c.silence = time.NewTimer(noCallAfter)
	defer c.silence.Stop()
	for c.state != over {
		switch c.state {
		case listening:
			c.listen()
		case answering:
			c.answer(ctx)
		}
	}
	return c.pipe, c.err
}

// end moves to over.
func (c *callee) end(p *Pipe, err error) { c.state, c.pipe, c.err = over, p, err }

// listen waits for an offer, or until the call has ended.
func (c *callee) listen() {
	select {
	case o := <-c.rooms.offers:
		c.silence.Stop()
		c.state, c.newest, c.taken = answering, &o, false
	case <-c.silence.C:
		if !c.s.met { // two who have met know that they wait for each other
			c.s.config.Report(NoCall{c.rooms.codes[0]})
		}
	case <-c.rooms.closed:
		switch {
		case c.taken && c.hasSecret:
			c.end(nil, ErrTaken)
		case c.failed >= attempts:
			c.end(nil, c.noPath)
		default: // there may be another call
			c.failed, c.taken = 0, false
			c.silence.Reset(noCallAfter)
		}
	case why := <-c.rooms.refused:
		c.s.retrying(why)
	case err := <-c.rooms.lost:
		c.end(nil, err)
	}
}

// answer answers the newest offer, and moves to where the attempt has led.
func (c *callee) answer(ctx context.Context) {
	select {
	case <-c.rooms.closed: // before this offer was made
	default:
	}
	in, err := c.invited.take(ctx, c.s, c.newest.code.Room, c.rooms)
	if err != nil {
		c.end(nil, err)
		return
	}
	p, newer, err := c.answerOnce(ctx, in)
	if p != nil {
		c.end(p, nil)
		return
	}
	if c.state, c.newest = listening, newer; newer != nil {
		c.state = answering
	}
	if err := c.afterFailure(err); err != nil {
		c.end(nil, err)
	}
}

// afterFailure reports why an attempt has failed; the error is nil if a newer offer ended it. It returns the
// error with which the call ends, or nil if the callee goes on.
func (c *callee) afterFailure(why error) error {
	s := c.s
	switch {
	case why == nil: // the caller, if it is the same, has given this attempt up
		c.failed++
		s.allowTCP()
	case errors.Is(why, signaling.ErrAnswered):
		c.taken = c.newest == nil
		s.config.Report(Taken{})
	case errors.Is(why, signaling.ErrNoOffer) && c.hasSecret && c.newest == nil:
		return ErrTaken // there will be no other call with that code
	case errors.Is(why, signaling.ErrSuperseded), errors.Is(why, signaling.ErrNoOffer), errors.Is(why, errUnread):
		s.config.Log.Info("the offer is gone; waiting for the next", "why", why)
	case errors.Is(why, errGarbled), errors.Is(why, errForgotten):
		s.retrying(why)
	case errors.Is(why, ErrNoPath):
		c.failed++
		c.noPath = why
		s.allowTCP()
		s.retrying(why)
	case errors.Is(why, ErrWrongCode):
		s.config.Report(WrongCode{Left: -1})
		return why
	default:
		return why
	}
	return nil
}

// answerOnce answers the newest offer. Some errors come with a newer one.
func (c *callee) answerOnce(ctx context.Context, in invitation) (*Pipe, *offer, error) {
	s, o := c.s, *c.newest
	defer o.handled()
	g := s.newGuess(in.ticket, o.code)
	if g.counts && s.guesses.burnt() {
		return nil, nil, g.now.Burnt()
	}
	description, err := parseDescription(o.description, nil, s.config.Log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var a *attempt
	defer func() { g.end(a != nil && !a.unproven()) }() // after the attempt
	on, err := c.takeGroundwork(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err = s.newAttemptOver(ctx, on, in.ticket, o.code, inTime(in.servers, description), func(ctx context.Context, d signaling.Description) error {
		if err := g.give(); err != nil {
			return err
		}
		_, err := s.store.Answer(ctx, in.ticket, o.version, d)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	a.readOn, a.eager = o.handled, c.failed == 0 && !s.config.patient
	defer a.end()
	defer cancel()                    // before end waits
	a.wg.Go(func() { _ = g.count() }) // while candidates are gathered; give returns the error
	if err := a.answer(description); err != nil {
		return nil, nil, err
	}
	p, newer, err := a.run(ctx, c.rooms.offers, c.rooms.closed)
	if p != nil || !a.unproven() || ctx.Err() != nil {
		return p, newer, err
	}
	return nil, newer, s.unproven(o, g.counts, err)
}

// unproven returns the error of an attempt on an offer whose caller has not proven that it knows the code, and tells the person if that says
// something about the caller.
func (s *Session) unproven(o offer, counts bool, err error) error {
	gone := err == nil || errors.Is(err, errRoomClosed) || errors.Is(err, signaling.ErrNoOffer) || errors.Is(err, signaling.ErrSuperseded) // by the call that was opened again
	switch {
	case gone && s.interruptions() != o.cuts: // the server may have been restarted
		err = errForgotten
	case counts && !errors.Is(err, ErrWrongCode) && !errors.Is(err, signaling.ErrAnswered):
		s.config.Report(Retrying{errUnprovenCaller})
	}
	return err
}

// interruptions returns how often the server was away so far, if the Store knows.
func (s *Session) interruptions() int64 {
	if server, ok := s.store.(interface{ Interruptions() int64 }); ok {
		return server.Interruptions()
	}
	return 0
}

// handOver passes on an offer, and waits until it is handled.
func (r rooms) handOver(ctx context.Context, o offer) error {
	handled := make(chan struct{})
	o.handled = sync.OnceFunc(func() { close(handled) })
	select {
	case r.offers <- o:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-handled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchRoom passes on every new offer of a room, and each time that the room is closed.
func (s *Session) watchRoom(ctx context.Context, code Code, r rooms) error {
	var known signaling.Version
	var since time.Time // when that offer was passed on
	var pause backoff
	for {
		// Waiting in a room keeps it alive. A room whose caller has died must be able to
		// end, or no other caller could use it: so after a while it is only looked at.
		wait := signaling.Forever
		if known != "" {
			wait = max(0, livingOffer-time.Since(since))
		}
		d, v, err := s.store.Description(ctx, signaling.Ticket{Room: code.Room}, signaling.Caller, known, wait)
		switch {
		case err == nil:
			known, since = v, time.Now()
			if err = r.handOver(ctx, offer{code: code, description: d, version: v, cuts: s.interruptions()}); err == nil {
				err = cmp.Or(sleep(ctx, lull), pause.wait(ctx))
			}
		case errors.Is(err, signaling.ErrUnchanged):
			err = sleep(ctx, lookInterval)
		case errors.Is(err, signaling.ErrClosed), errors.Is(err, signaling.ErrNoOffer): // for any reason: there may be another call
			known = ""
			select {
			case r.closed <- struct{}{}:
			default: // the callee has one to read
			}
			err = pause.wait(ctx)
		}
		if err != nil {
			return err
		}
	}
}
