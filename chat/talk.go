package chat

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
	"unicode/utf8"
)

// talk holds the conversation over one pipe, until that breaks or both sides have
// said goodbye. Whoever said it first may close the pipe; the other one waits for
// that, so that the last acknowledgements arrive.
func (c *Conversation) talk(ctx context.Context, link Link) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	received, sent := make(chan error, 1), make(chan error, 1)
	c.begin(link)
	wg.Go(func() { received <- c.receive(ctx, link) })
	wg.Go(func() { sent <- c.send(ctx, link) })
	parting := c.parting
	var hurry <-chan time.Time
	for {
		select {
		case err := <-received:
			return err
		case err := <-sent:
			if err != nil || c.maySever(link) {
				return err
			}
			sent = nil
		case <-parting:
			parting = nil
			hurry = time.After(farewell)
		case <-hurry:
			c.deafen() // receive may wait for a reader that is stuck
			return nil
		}
	}
}

// begin makes ready for a new pipe.
func (c *Conversation) begin(link Link) {
	c.mu.Lock()
	c.out.rewind()
	c.acked = c.shown
	c.mu.Unlock()
	if link.Foreign {
		c.connected(link, Stranger)
	}
}

func (c *Conversation) connected(link Link, peer string) {
	c.Tell(Connected{
		Peer: peer, Foreign: link.Foreign, Path: link.Path, Took: link.Took,
		Verified: link.Verified, SafetyWords: link.SafetyWords,
	})
}

func (c *Conversation) maySever(link Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first || link.Foreign
}

// trails tells whether the other side's goodbye leaves open what it has of this one:
// it has all that went out before its own was asked for.
func (c *Conversation) trails() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trailing
}

// send writes what there is to write, until the last goodbye is out.
func (c *Conversation) send(ctx context.Context, link Link) error {
	if !link.Foreign {
		if err := write(ctx, link, c.introduce()); err != nil {
			return err
		}
	}
	for {
		f, todo, last := c.next(link.Foreign)
		switch {
		case last && (link.Foreign || c.trails()):
			return link.Flush(ctx)
		case last:
			return nil
		case todo && link.Foreign:
			if err := c.sendPlain(ctx, link, f); err != nil {
				return err
			}
		case todo:
			if err := write(ctx, link, f); err != nil {
				return err
			}
		default:
			select {
			case <-c.wake:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func write(ctx context.Context, link Link, f frame) error {
	b, err := f.encode()
	if err != nil {
		return err
	}
	return link.Send(ctx, b)
}

// sendPlain speaks to a side that acknowledges nothing: sent is all one can know.
func (c *Conversation) sendPlain(ctx context.Context, link Link, f frame) error {
	if f.kind == kindMessage {
		if err := link.Send(ctx, []byte(f.text)); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.ack(f.seq)
	c.free()
	return nil
}

func (c *Conversation) introduce() frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return frame{kind: kindHello, hello: hello{
		Conversation: c.id, Name: c.config.Name, First: c.out.first(), Of: c.peer.Conversation, Heard: c.heard,
	}}
}

// next is the next frame to write, if there is one; last says that none will follow.
func (c *Conversation) next(foreign bool) (f frame, todo, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown > c.acked {
		c.acked, c.trailing = c.shown, c.goodbye
		return frame{kind: kindAck, seq: c.shown}, true, false
	}
	if !c.left {
		if f, todo = c.out.next(); todo {
			return f, true, false
		}
	}
	if c.finished && len(c.out.frames) == 0 && (c.quiet || c.config.LeaveWhenSaid) {
		c.part()
	}
	switch {
	case !c.leaving:
		return frame{}, false, false
	case foreign:
		return frame{}, false, true
	case !c.goodbye && (!c.left || c.gone):
		c.goodbye, c.first = true, !c.left
		return frame{kind: kindGoodbye}, true, false
	}
	return frame{}, false, c.goodbye && c.gone
}

// receive takes what arrives, until the pipe ends.
func (c *Conversation) receive(ctx context.Context, link Link) error {
	greeted := false
	for {
		b, err := link.Recv(ctx)
		if link.Foreign && errors.Is(err, io.EOF) { // the only goodbye that it knows
			c.hear(frame{kind: kindGoodbye})
		}
		if err != nil {
			return err
		}
		if link.Foreign {
			c.hearPlain(b)
			continue
		}
		f, err := decode(b)
		switch {
		case err != nil:
			c.config.Log.Warn("dropped what the other side sent", "why", err)
		case f.kind == kindHello && greeted:
			c.config.Log.Warn("dropped what the other side sent", "why", "a second hello")
		case f.kind == kindHello:
			greeted = true
			c.greet(f.hello, link)
		case !greeted:
			c.config.Log.Warn("dropped what the other side sent", "why", "no hello before it", "kind", f.kind)
		default:
			c.hear(f)
		}
	}
}

// greet takes the other side's hello: from where on it goes.
func (c *Conversation) greet(h hello, link Link) {
	h.Name = shorten(h.Name)
	c.mu.Lock()
	if h.Conversation != c.peer.Conversation && h.First > 0 { // a program that is new to this one
		c.heard, c.shown, c.acked, c.quiet = h.First-1, h.First-1, h.First-1, false
	}
	c.peer = h
	c.mu.Unlock()
	c.connected(link, h.Name)
	if h.Of == c.id {
		c.delivered(h.Heard)
	}
}

func (c *Conversation) hear(f frame) {
	switch f.kind {
	case kindAck:
		c.delivered(f.seq)
	case kindGoodbye:
		c.mu.Lock()
		again, reply := c.left, c.goodbye
		c.left = true
		c.part()
		c.mu.Unlock()
		if !again {
			c.Tell(Left{Reply: reply})
		}
	default: // message, end
		c.mu.Lock()
		due, from := f.seq == c.heard+1, c.peer.Name
		if due {
			c.heard = f.seq
		}
		late := f.seq <= c.heard
		c.mu.Unlock()
		switch {
		case due && f.kind == kindMessage:
			c.Tell(Message{ID: f.seq, From: from, Text: f.text, seq: f.seq})
		case due:
			c.Tell(InputEnded{seq: f.seq})
		case !late:
			c.config.Log.Warn("dropped what the other side sent", "why", "a frame out of order", "seq", f.seq)
		}
	}
}

func (c *Conversation) hearPlain(b []byte) {
	if !utf8.Valid(b) {
		c.config.Log.Warn("dropped what the other side sent", "why", errFrame, "bytes", len(b))
		return
	}
	c.mu.Lock()
	c.strange++
	id := c.strange
	c.mu.Unlock()
	c.Tell(Message{ID: id, From: Stranger, Text: string(b)})
}

// delivered drops from the outbox what the other side's reader was handed.
func (c *Conversation) delivered(seq uint64) {
	c.mu.Lock()
	frames, ok := c.out.ack(seq)
	c.free()
	c.poke()
	c.mu.Unlock()
	if !ok {
		c.config.Log.Warn("dropped what the other side sent", "why", "an acknowledgement of what was not said", "seq", seq)
	}
	for _, f := range frames {
		if f.kind == kindMessage {
			c.Tell(Delivered{ID: f.seq})
		}
	}
}

// shorten makes a name that a stranger chose fit for a line.
func shorten(name string) string {
	const most = 64
	if name == "" || !utf8.ValidString(name) {
		return Stranger
	}
	if r := []rune(name); len(r) > most {
		return string(r[:most])
	}
	return name
}
