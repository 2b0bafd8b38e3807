package chat

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"
)

// ErrUnsaid says that a plain WebRTC program closed its channel before either side had said
// anything.
var ErrUnsaid = errors.New("the other program closed the channel before anything was said")

// sendPlain speaks to a side that acknowledges nothing.
func (c *Conversation) sendPlain(ctx context.Context, link Link, f frame) error {
	if f.kind == kindMessage || f.kind == kindPart {
		if err := link.Send(ctx, []byte(f.text)); err != nil {
			return err
		}
	}
	if f.kind == kindOffer {
		c.transfers.Refuse(f.seq)
	}
	select {
	case c.confirm <- struct{}{}:
	default:
	}
	return nil
}

// confirmPlain drops from the outbox what the other machine has: more cannot be known of a side
// that acknowledges nothing. Sending goes on while it waits.
func (c *Conversation) confirmPlain(ctx context.Context, link Link) {
	for {
		select {
		case <-c.confirm:
		case <-ctx.Done():
			return
		}
		sent := c.stream.Out()
		if link.Flush(ctx) != nil {
			return // and receive says why
		}
		c.stream.Acked(sent)
		c.wakeSender()
	}
}

func (c *Conversation) receivePlain(ctx context.Context, link Link) error {
	c.connected(link, Stranger)
	for {
		b, err := link.Recv(ctx)
		if errors.Is(err, io.EOF) { // the only goodbye that it knows
			c.trustPlain()
			c.handleFrame(frame{kind: kindGoodbye})
		}
		if err != nil {
			return err
		}
		c.hearPlain(b)
	}
}

// trustPlain takes what was sent to a plain program for delivered when it has closed the channel: the
// acknowledgement of SCTP may be 200 ms behind. A channel on which nothing ever passed is not trusted.
func (c *Conversation) trustPlain() {
	if c.strange > 0 || c.stream.Confirmed() > 0 {
		c.stream.Acked(c.stream.Out())
		return
	}
	silent := c.stream.Left() == 0 // or else Run returns Undelivered
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leaving {
		c.unsaid = silent
	}
}

func (c *Conversation) hearPlain(b []byte) {
	if !utf8.Valid(b) {
		c.drop("a message that is not UTF-8", "bytes", len(b))
		return
	}
	c.strange++
	c.Tell(Message{ID: c.strange, From: Stranger, Text: string(b)})
}
