package chat

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"
)

// ErrUnsaid is returned by Run if a plain WebRTC program closes its channel before either side has said
// anything.
var ErrUnsaid = errors.New("the other program closed the channel before anything was said")

// sendPlain sends a message as plain text: the other side acknowledges nothing.
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

// confirmPlain drops from the outbox what has reached the other machine: a plain program acknowledges
// nothing itself. Sending goes on while it waits.
func (c *Conversation) confirmPlain(ctx context.Context, link Link) {
	for {
		select {
		case <-c.confirm:
		case <-ctx.Done():
			return
		}
		sent := c.stream.Status().Out
		if link.Flush(ctx) != nil {
			return // receive returns the reason
		}
		c.stream.Acked(sent)
		c.wakeSender()
		c.transfers.OfferQueued() // sendPlain refuses what it offers
	}
}

func (c *Conversation) receivePlain(ctx context.Context, link Link) error {
	c.connected(link, Stranger)
	for {
		b, err := link.Recv(ctx)
		if errors.Is(err, io.EOF) { // a plain program has no other goodbye
			c.trustPlain()
			c.handleFrame(frame{kind: kindGoodbye})
		}
		if err != nil {
			return err
		}
		c.hearPlain(b)
	}
}

// trustPlain counts what was sent as delivered once a plain program has closed the channel: the
// acknowledgement of SCTP may come 200 ms later. It does not trust a channel on which nothing ever passed.
func (c *Conversation) trustPlain() {
	out := c.stream.Status()
	if c.strange > 0 || out.Confirmed > 0 {
		c.stream.Acked(out.Out)
		return
	}
	silent := out.Left == 0 // if not, Run returns Undelivered
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.life.past(ours, leaving) {
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
