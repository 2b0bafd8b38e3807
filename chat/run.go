package chat

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	goodbyeTimeout = 2 * time.Second  // for what is still to be sent, and the other side's goodbye
	helloTimeout   = 10 * time.Second // for the other side's hello
)

// Run holds the conversation over the pipe that next returns and, each time that it breaks, over the next one. It
// returns nil when both inputs have ended or a side has left, else ErrSilent, ErrPurpose, ErrDeclined, ErrUnanswered, ErrUnsaid, or the error of next
// or of the context. The error is, or wraps, Undelivered if messages did not get through, and Incomplete if files did not.
func (c *Conversation) Run(ctx context.Context, next func(context.Context) (Link, error)) error {
	talking, hangUp := context.WithCancel(ctx)
	awaiting, stop := context.WithCancel(talking)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer hangUp()
	defer context.AfterFunc(talking, c.stopEvents)() // then no stuck reader is waited for
	wg.Go(func() {
		defer stop()
		select {
		case <-c.parting:
		case <-talking.Done():
			return
		}
		stop() // no further pipe is needed
		select {
		case <-time.After(goodbyeTimeout):
			hangUp()
		case <-talking.Done():
		}
	})
	c.transfers.Resume(ctx)
	err := c.run(talking, awaiting, next)
	c.mu.Lock()
	c.beginLeave() // what is said from now on would not arrive
	if c.gaveUp && err == nil {
		err = ErrUnanswered
	}
	c.mu.Unlock()
	unended := c.drain(ctx)
	c.endFiles()
	c.saying.Lock() // what is being said is counted
	left := c.stream.Count(kindMessage)
	c.saying.Unlock()
	missed := c.transfers.Missed()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted = true
	if n := left + c.late; n > 0 || unended {
		err = and(err, &Undelivered{n, c.config.Input})
	}
	if missed > 0 {
		err = and(err, &Incomplete{missed})
	}
	if c.unsaid && err == nil {
		err = ErrUnsaid
	}
	return err
}

// drain waits, if the other side has left, for the end of the input, and counts what still comes of it. It returns true
// if Run was to deliver all of an input that has not ended.
func (c *Conversation) drain(ctx context.Context) (unended bool) {
	c.mu.Lock()
	theyLeft, begun := c.life.theyEndedIt(), c.begun
	c.mu.Unlock()
	if !theyLeft || c.config.Drain == 0 || !begun && !c.config.LeaveWhenSaid {
		return false
	}
	late := time.NewTimer(c.config.Drain)
	defer late.Stop()
	select {
	case <-c.ended:
	case <-c.quit:
	case <-ctx.Done():
	case <-late.C:
		return c.config.LeaveWhenSaid
	}
	return false
}

// run talks over one pipe after another, until the conversation is over.
func (c *Conversation) run(ctx, awaiting context.Context, next func(context.Context) (Link, error)) error {
	var replaced *Link
	for pipes := 0; ; pipes++ {
		wait := awaiting
		if replaced != nil { // the next one is there, and takes the goodbye, too
			wait = ctx
		}
		link, err := c.awaitLink(wait, next)
		switch {
		case err != nil && c.isParting():
			return nil
		case err != nil:
			return err
		}
		link.before, link.since, link.path, replaced = replaced, time.Now(), &shownPath{kind: link.Path, route: link.Route}, nil
		err = c.talk(ctx, link, pipes > 0)
		switch {
		case err != nil && isClosed(link.Replaced) && ctx.Err() == nil:
			c.leaveAgain()
			replaced = &Link{Details: link.Details, since: link.since, path: link.path}
			continue
		case c.isParting():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrSilent), errors.Is(err, ErrPurpose), errors.Is(err, ErrDeclined), errors.Is(err, ErrUnanswered): // the next pipe would be no different
			return err
		case errors.Is(err, io.EOF):
			err = errHungUp
		}
		c.Tell(Disconnected{Reason: c.lossOf(err)})
	}
}
