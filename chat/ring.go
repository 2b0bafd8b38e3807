package chat

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A side that is called may be a program that waits for many. It asks its person before the conversation begins:
//
//	Run ── hello ─────────────▶ (it waits until the person has decided)
//	Ringing ◀────── ringing ──── Ring, every few seconds
//	Connected ◀─────── hello ──── Run, or
//	ErrDeclined ◀─── declined ──── Decline
//
// A caller who hangs up while it rings says goodbye, and hears declined: the two keep the keys that they had. So does a caller that gives up
// at Link.AnswerBy.

const (
	ringInterval = 3 * time.Second // between two ringing frames
	longestRing  = 2 * time.Minute // that a caller waits
)

// Errors of a Conversation whose other side did not answer.
var (
	ErrDeclined   = errors.New("the other side declined the call")
	ErrUnanswered = errors.New("the other side did not answer the call")
)

// unanswered is the text of a declined frame if the person has not decided.
const unanswered = "unanswered"

// ErrHungUp is returned by Ring when the caller has hung up.
var ErrHungUp = errors.New("the caller hung up")

// Ring tells the caller at the other end of a pipe that this side's person is being asked, until ctx ends. A Conversation may then
// begin on the pipe that it returns, which has what the caller has sent by then. It returns ErrHungUp if the caller, who
// then waits for Decline, hangs up; or the error of the pipe.
func Ring(ctx context.Context, p Pipe) (Pipe, error) {
	b, err := frame{kind: kindRinging}.encode()
	if err != nil {
		return nil, err
	}
	ringing, stop := context.WithCancelCause(ctx)
	rung := &rungPipe{Pipe: p}
	var wg sync.WaitGroup
	wg.Go(func() { stop(rung.read(ringing)) })
	for ringing.Err() == nil {
		if err := p.Send(context.WithoutCancel(ctx), b); err != nil {
			stop(err)
		}
		select {
		case <-time.After(ringInterval):
		case <-ringing.Done():
		}
	}
	wg.Wait()
	if why := context.Cause(ringing); ctx.Err() == nil || errors.Is(why, ErrHungUp) {
		return nil, why
	}
	return rung, nil
}

// mostHeld is how many bytes of the caller are read while it rings, and one message more. An empty message takes memory, too.
const (
	mostHeld    = 64 << 10
	heldMessage = 64
)

// A rungPipe is a pipe with what was read of it while it rang.
type rungPipe struct {
	Pipe
	held [][]byte // owned by Ring, then by the Conversation's receive
}

// read holds what comes, until ctx ends. It returns ErrHungUp if the caller says goodbye.
func (p *rungPipe) read(ctx context.Context) error {
	for size := 0; size < mostHeld; {
		b, err := p.Pipe.Recv(ctx)
		if err != nil {
			return err
		}
		size += len(b) + heldMessage
		p.held = append(p.held, b)
		for f, err := range frames(b) {
			if err == nil && f.kind == kindGoodbye {
				return ErrHungUp
			}
		}
	}
	<-ctx.Done() // a caller who has written so much is not heard to hang up: its pipe ends
	return ctx.Err()
}

// Recv returns what was held, and then what comes.
func (p *rungPipe) Recv(ctx context.Context) ([]byte, error) {
	if len(p.held) > 0 {
		b := p.held[0]
		p.held = p.held[1:]
		return b, nil
	}
	return p.Pipe.Recv(ctx)
}

// Decline tells the caller at the other end of a pipe that the person declines the call, or (missed) has not decided. It waits until
// the caller hangs up, or ctx ends. No Conversation may follow on the pipe.
func Decline(ctx context.Context, p Pipe, missed bool) error {
	b, err := frame{kind: kindDeclined, text: map[bool]string{true: unanswered}[missed]}.encode()
	if err == nil {
		err = p.Send(ctx, b)
	}
	if err == nil {
		err = p.Flush(ctx)
	}
	for gone := err; gone == nil; { // the caller's machine has it, but to close the pipe now would take it from the caller's program
		_, gone = p.Recv(ctx)
	}
	return err
}

// awaitHello handles the other side's hello, and drops what comes before. While the other side rings, it waits up to
// longestRing. It returns ErrSilent if nothing comes within helloTimeout, ErrPurpose if the other side does not chat, and
// ErrDeclined or ErrUnanswered if it does not answer.
func (c *Conversation) awaitHello(ctx context.Context, link Link) error {
	begun := time.Now()
	last, late := begun, ErrSilent
	stop := func() bool { return false }
	defer func() { stop() }()
	for {
		f, err := recvFrame(ctx, link, min(helloTimeout-time.Since(last), longestRing-time.Since(begun)), late)
		switch {
		case errors.Is(err, errFrame):
			c.drop(err)
		case err != nil:
			return err
		case f.kind == kindRinging:
			if late != ErrUnanswered { //nolint:errorlint // nothing is wrapped around it
				c.Tell(Ringing{})
				stop = c.giveUpAt(link.AnswerBy)
			}
			last, late = time.Now(), ErrUnanswered
		case f.kind == kindDeclined:
			if link.Shows != "" && c.config.Keeper != nil {
				c.config.Keeper.Declined(link.Shows)
			}
			return map[bool]error{true: ErrUnanswered, false: ErrDeclined}[f.text == unanswered]
		case f.kind != kindHello:
			c.drop("no hello before it", "kind", f.kind)
		case f.hello.Purpose != "":
			return ErrPurpose
		default:
			c.handleHello(f.hello, link)
			return nil
		}
	}
}

// giveUpAt hangs up at a time, unless the other side has answered by then or stop was called: Run then returns ErrUnanswered. A zero time
// never comes. A pipe that takes the place of one that rang leaves the time as it was.
func (c *Conversation) giveUpAt(at time.Time) (stop func() bool) {
	if c.answerBy.IsZero() {
		c.answerBy = at
	}
	if c.answerBy.IsZero() {
		return func() bool { return false }
	}
	return time.AfterFunc(time.Until(c.answerBy), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.greeted && !c.life.past(ours, leaving) {
			c.gaveUp = true
			c.beginLeave()
		}
	}).Stop
}

// recvFrame receives a frame. After limit it returns late.
func recvFrame(ctx context.Context, link Link, limit time.Duration, late error) (frame, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	b, err := link.Recv(ctx)
	switch {
	case ctx.Err() != nil:
		return frame{}, context.Cause(ctx)
	case err != nil:
		return frame{}, err
	}
	return decode(b)
}
