package chat

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A page that closes cannot know whether the person closes or reloads it. It says
// kindAway, which counts as a goodbye unless the page is back in time.

// maxAway is the longest that the other side may ask this side to wait.
const maxAway = time.Minute

var errAway = errors.New("the page was not back in time")

// handleAway notes that the other side's page closes, and may be back within that many seconds.
func (c *Conversation) handleAway(seconds uint64) {
	away := time.Duration(min(seconds, uint64(maxAway/time.Second))) * time.Second
	c.away = &away
}

// lossOf returns what the reader is told when a pipe ends.
func (c *Conversation) lossOf(err error) string {
	if c.away != nil {
		return fmt.Sprintf("the other side closed or reloaded its page. If the page is not back within %d s, the call ends", int(c.away.Seconds()))
	}
	return err.Error()
}

// awaitLink returns the link that next brings. If the other side's page is away, awaitLink waits for
// as long as the page asked, and then counts the page as closed: the conversation is over.
func (c *Conversation) awaitLink(ctx context.Context, next func(context.Context) (Link, error)) (Link, error) {
	if c.away == nil {
		return next(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, *c.away, errAway)
	defer cancel()
	link, err := next(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errAway) {
		c.mu.Lock()
		c.life.move(theirs, goodbye)
		c.beginLeave()
		c.mu.Unlock()
		c.Tell(Left{Closed: true})
	}
	return link, err
}
