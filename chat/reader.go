package chat

import (
	"iter"

	"p2pchat/chat/reliable"
)

// Tell hands the reader a value of the program's own, in its place among the events of the
// conversation. It waits while the reader is busy. Once the reader has stopped, or has kept Run from
// ending, it does not wait, and drops a value that finds no room.
func (c *Conversation) Tell(e Event) { c.tell(e) }

// tell is Tell, and returns false if it drops the event.
func (c *Conversation) tell(e Event) bool {
	select {
	case c.events <- e: // first: even a late reader should learn how it ended
		return true
	default:
	}
	select {
	case c.events <- e:
		return true
	case <-c.deaf:
		return false
	}
}

// stopEvents makes tell drop events rather than wait for the reader.
func (c *Conversation) stopEvents() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isClosed(c.deaf) {
		close(c.deaf)
	}
	c.wakeSender()
}

// Events yields what happens, in order, until Close. There is one reader; if it
// stops earlier, this side leaves.
func (c *Conversation) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for len(c.queued) > 0 {
			e := c.queued[0]
			c.queued = c.queued[1:]
			if !yield(e) {
				c.stopEvents()
				c.Leave()
				return
			}
		}
		for {
			var e Event
			select {
			case e = <-c.events:
			case <-c.closed:
				select {
				case e = <-c.events:
				default:
					return
				}
			}
			if _, ok := e.(consumed); ok {
				c.done(e)
				continue
			}
			if !yield(e) {
				c.stopEvents()
				c.Leave()
				return
			}
			c.done(e)
		}
	}
}

// done notes that the reader is done with e.
func (c *Conversation) done(e Event) {
	switch e := e.(type) {
	case Message:
		if c.moveTheirs(e.at, open) {
			c.stream.Handled(e.at, entry{Speaks: true})
		} else {
			c.stream.Handled(e.at, nil)
		}
	case InputEnded:
		c.stream.Handled(e.at, entry{Quiet: true})
		c.moveTheirs(e.at, inputEnded)
	case consumed:
		c.stream.Handled(e.at, nil)
	case Left:
		c.mu.Lock()
		c.life.move(theirs, over)
		c.mu.Unlock()
	default:
		return
	}
	c.wakeSender()
}

// moveTheirs moves the other side to a stage because of the frame at a place, unless its program has begun from nothing since.
func (c *Conversation) moveTheirs(at reliable.Place, to stage) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return at.Of == c.peer.Conversation && c.life.move(theirs, to)
}
