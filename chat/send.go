package chat

import (
	"context"
	"time"
)

// send writes the frames of this side. It returns nil when no further one will follow.
func (c *Conversation) send(ctx context.Context, link Link, hello frame) error {
	if !link.Foreign {
		if err := c.write(ctx, link, hello); err != nil {
			return err
		}
	}
	tail := newTail(link.RoundTrip())
	defer tail.stop()
	for {
		f, todo, last := c.next(link.Foreign)
		switch {
		case last && !link.Foreign && c.peerMissesAck():
			return link.Flush(ctx)
		case last:
			return nil
		case todo && link.Foreign:
			if err := c.sendPlain(ctx, link, f); err != nil {
				return err
			}
		case todo:
			if err := c.write(ctx, link, f); err != nil {
				return err
			}
		default:
			if err := c.rest(ctx, link, tail); err != nil {
				return err
			}
		}
	}
}

// rest waits until there may be something to send. It probes what was written last if that may be lost: see tail.
func (c *Conversation) rest(ctx context.Context, link Link, t *tail) error {
	select {
	case <-c.wake:
		return nil
	case <-c.lost(t, link.Foreign):
		t.probe()
		return c.write(ctx, link, frame{kind: kindAck, seq: c.stream.Status().LastAck})
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lost returns what says that the last frame may be lost, so that one has to follow it.
func (c *Conversation) lost(t *tail, foreign bool) <-chan time.Time {
	c.mu.Lock()
	greeted := c.greeted
	c.mu.Unlock()
	if foreign || !greeted { // a stranger's program acknowledges nothing, and a hello comes before what is acknowledged
		return nil
	}
	return t.look(c.stream.Status(), time.Now())
}

// translate returns f as the other side understands it. An earlier version knows no parts, and shows each as a message. One that
// keeps no contacts, which came after one that does, takes a keep for the cancellation of a file that it does not have.
func (c *Conversation) translate(f frame) frame {
	if !needsHello(f.kind) {
		return f
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f.kind == kindPart && !c.peer.Parts:
		f.kind = kindMessage
	case (f.kind == kindKeep || f.kind == kindKept) && !c.peer.Contacts:
		f.kind, f.text = kindCancel, voidCancel
	}
	return f
}

// voidCancel is the text of a kindCancel that says nothing, for the other side has no file of that number.
const voidCancel = "{}"

// needsHello reports whether a frame of kind k waits for the other side's hello, which says whether it is understood.
func needsHello(k kind) bool { return k == kindPart || k == kindKeep || k == kindKept }

func (c *Conversation) introduce(shows string) frame {
	h := c.stream.Hello()
	_, unread := c.stream.Letter(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renamed = false
	return frame{kind: kindHello, hello: hello{
		Conversation: h.Conversation, Name: c.config.Name, First: h.First, Of: h.Of, Heard: h.Heard, Parts: true, Bundles: !c.config.unbundled,
		Stripes: c.config.Stripes != StripesNever, Haves: c.config.Stripes != StripesNever, Contacts: c.config.Keeper != nil, Holds: shows,
		Leaves: c.config.LeaveWhenSaid && c.config.AwaitsEnd, Waited: waitedOf(unread, time.Now()),
	}}
}

// next returns the next frame to write, if todo. It returns last if none will follow.
func (c *Conversation) next(foreign bool) (f frame, todo, last bool) {
	c.mu.Lock()
	was := c.life                         // before looking at the outbox: what was queued before a step goes out before the next step
	busy, parted := c.putting, c.parted() // before looking for an acknowledgement: what was read before the goodbye is acknowledged
	c.mu.Unlock()
	if f, todo = c.nextQueued(foreign, MaxMessage); todo {
		return f, true, false
	}
	files := c.transfers.Pending() // before the outbox, too: a file queues its last frame before it ends
	out := c.stream.Status()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !was.past(ours, leaving):
		if out.Left == 0 && !files && c.mayLeave(was, foreign) {
			c.early = !was.past(theirs, inputEnded)
			c.beginLeave() // which wakes send for the goodbye
		}
		return frame{}, false, false
	case busy: // what is being said goes out before the goodbye
		return frame{}, false, false
	case foreign:
		return frame{}, false, out.Left == 0
	case (!c.life.past(theirs, goodbye) || parted) && c.life.move(ours, goodbye):
		return frame{kind: kindGoodbye, seq: out.Confirmed, text: c.goodbyeText}, true, false
	}
	// If both leave at once, the last messages of this side are still to be acknowledged.
	if parted && (!c.life.first || out.Left == 0) {
		c.life.move(ours, over)
	}
	return frame{}, false, c.life.is(ours, over)
}

// mayLeave reports, under mu, whether this side leaves once everything is delivered: both inputs have ended, or its own
// is enough. If both sides leave at the end of their inputs, each would cut off what the other still says: so both wait for both
// ends.
func (c *Conversation) mayLeave(was life, foreign bool) bool {
	if !was.is(ours, inputEnded) || was.past(theirs, inputEnded) {
		return was.is(ours, inputEnded)
	}
	if c.config.AwaitsEnd && !foreign && (!c.greeted || c.peer.Leaves) {
		return false
	}
	return c.leavesAlone()
}

// nextQueued returns the next frame to write that is not a goodbye: an acknowledgement, a new name, or one of the
// outbox with at most limit bytes of text.
func (c *Conversation) nextQueued(foreign bool, limit int) (f frame, todo bool) {
	if seq, ok := c.stream.NextAck(); ok {
		return frame{kind: kindAck, seq: seq}, true
	}
	c.mu.Lock()
	renamed, name := c.renamed && !foreign && !c.life.past(ours, goodbye), c.config.Name
	c.renamed = c.renamed && !renamed
	known, left := c.greeted || foreign, c.life.past(theirs, goodbye)
	c.mu.Unlock()
	switch {
	case renamed:
		return frame{kind: kindName, text: name}, true
	case left, !known && needsHello(c.stream.Status().Next):
		return frame{}, false
	}
	next, todo := c.stream.Next(limit)
	return frame{kind: next.Kind, seq: next.Seq, text: next.Text}, todo
}
