package chat

import (
	"context"
	"math/bits"
	"sync"
	"time"

	"p2pchat/chat/reliable"
	"p2pchat/chat/transfer"
)

// talk holds the conversation over one pipe. It returns when the pipe breaks or is replaced, or both sides have said
// goodbye. The side that said it first may close the pipe; the other side waits for that, so that the
// last acknowledgements arrive.
func (c *Conversation) talk(ctx context.Context, link Link, again bool) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	received, sent := make(chan error, 1), make(chan error, 1)
	defer c.begin(link)()
	hello := c.introduce(link.Shows) // before receive runs: the hello says what came over earlier pipes
	if link.Foreign {
		wg.Go(func() { c.confirmPlain(ctx, link) })
	} else {
		wg.Go(func() { c.transfers.Run(ctx, link) })
	}
	wg.Go(func() { received <- c.receive(ctx, link, again) })
	if link.Relayed != nil {
		wg.Go(func() { c.awaitRelay(ctx, link) })
	}
	wg.Go(func() { sent <- c.send(ctx, link, hello) })
	for {
		select {
		case err := <-received:
			return err
		case <-link.Replaced:
			return errReplaced
		case err := <-sent:
			if err != nil || c.maySever(link) {
				return err
			}
			sent = nil
		}
	}
}

// begin prepares for a new pipe, and returns what ends it.
func (c *Conversation) begin(link Link) (end func()) {
	c.transfers.Attach(link, link.Foreign)
	c.agreeOn(link)
	c.keepLink(link.Resumption)
	return func() {
		c.transfers.Detach()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.greeted = false
	}
}

// A shownPath is the path of a Link, as far as it is known.
type shownPath struct {
	mu          sync.Mutex // guards what follows, and orders what the reader is told
	kind, route string
	told        bool
}

// awaitRelay tells the reader if the path turns out to be a relay's.
func (c *Conversation) awaitRelay(ctx context.Context, link Link) {
	select {
	case route := <-link.Relayed:
		link.path.mu.Lock()
		defer link.path.mu.Unlock()
		if link.path.kind, link.path.route = "relay", route; link.path.told {
			c.Tell(Relayed{route})
		}
	case <-ctx.Done():
	}
}

func (c *Conversation) connected(link Link, peer string) {
	link.path.mu.Lock()
	defer link.path.mu.Unlock()
	link.path.told = true
	kind, route := link.path.kind, link.path.route
	if link.before != nil && c.told { // or else the place was taken while it rang
		if before := link.before.path.kind; !link.Renewed || before != kind {
			c.Tell(Moved{From: before, To: kind, Route: route, After: time.Since(link.before.since), Reason: link.Reason, Theirs: link.Theirs})
		}
		return
	}
	c.told = true
	c.Tell(Connected{
		Peer: peer, Foreign: link.Foreign, Path: kind, Route: route, Took: link.Took,
		Verified: link.Verified, SafetyWords: link.SafetyWords, Contact: c.config.Contact != "",
	})
}

func (c *Conversation) maySever(link Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life.first || link.Foreign
}

// peerMissesAck reports whether the other side said goodbye before it had the last
// acknowledgement, which may be on its way.
func (c *Conversation) peerMissesAck() bool {
	acked := c.stream.Status().LastAck
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known < acked
}

// receive handles what arrives, until the pipe ends. It tells the reader of the pipe, so that send never waits for a
// slow reader.
func (c *Conversation) receive(ctx context.Context, link Link, again bool) error {
	if again && link.before == nil {
		c.Tell(Reconnected{})
	}
	if link.Foreign {
		return c.receivePlain(ctx, link)
	}
	if err := c.awaitHello(ctx, link); err != nil {
		return err
	}
	for {
		b, err := link.Recv(ctx)
		if err != nil {
			return err
		}
		for f, err := range frames(b) {
			switch {
			case err != nil:
				c.drop(err)
			case f.kind == kindHello:
				c.drop("a second hello")
			default:
				c.handleFrame(f)
			}
		}
	}
}

// handleHello continues from where the other side's hello says.
func (c *Conversation) handleHello(h hello, link Link) {
	h.Name = c.peerName(h.Name)
	c.away = nil
	fresh, heard := c.stream.Greet(reliable.Hello{Conversation: h.Conversation, First: h.First, Heard: h.Heard, Of: h.Of})
	c.mu.Lock()
	if c.peer = h; fresh {
		c.life.move(theirs, open)
		c.partial = false
	}
	c.mu.Unlock()
	c.confirmLink(link.Resumption)
	if c.config.Keeper != nil && c.config.Contact != "" && h.Holds != "" { // else there are no keys of this call
		c.config.Keeper.Shown(h.Holds)
	}
	if h.Name != "" {
		c.noted(entry{Name: h.Name})
	}
	c.connected(link, h.Name)
	if fresh {
		c.transfers.Restarted(heard)
	}
	if h.Of == c.stream.ID() {
		c.delivered(h.Heard)
	}
	c.answerBy = time.Time{}
	c.mu.Lock()
	c.greeted, c.gaveUp = true, false
	c.mu.Unlock()
	c.wakeSender()
	c.transfers.Greeted(transfer.Greeting{Name: h.Name, Stripes: h.Stripes, Haves: h.Haves})
	c.keepAtOnce()
}

func (c *Conversation) handleFrame(f frame) {
	switch f.kind {
	case kindAck:
		c.delivered(f.seq)
	case kindGoodbye:
		c.handleGoodbye(f)
	case kindName:
		c.rename(f.text)
	case kindAway:
		c.handleAway(f.seq)
	case kindRinging, kindDeclined:
		c.drop("a ring after the hello")
	default:
		switch at, verdict := c.stream.Receive(f.seq); verdict {
		case reliable.Fresh:
			c.take(f, at)
		case reliable.Gap:
			if !isClosed(c.deaf) { // or else the gap is this side's own: it has dropped what no one reads
				c.drop("a frame out of order", "seq", f.seq)
			}
		case reliable.Known:
		}
	}
}

func (c *Conversation) handleGoodbye(f frame) {
	c.mu.Lock()
	again, reply := !c.life.move(theirs, goodbye), c.life.past(ours, goodbye)
	repeated, early := again && c.repeats, reply && c.early
	c.known = f.seq
	c.beginLeave()
	c.wakeSender()
	c.repeats = c.repeats && !again
	c.mu.Unlock()
	if repeated {
		return
	}
	if again {
		c.drop("a second goodbye")
		return
	}
	c.Tell(Left{Reply: reply, Early: early, Overheard: f.text == wordsDiffer})
}

// rename notes the other side's new name.
func (c *Conversation) rename(name string) {
	name = c.peerName(name)
	c.mu.Lock()
	was := c.peer.Name
	c.peer.Name = name
	c.mu.Unlock()
	if name != was {
		c.Tell(Renamed{From: was, To: name})
	}
}

// take hands the reader the next numbered frame.
func (c *Conversation) take(f frame, at reliable.Place) {
	c.mu.Lock()
	from := c.peer
	c.mu.Unlock()
	var e Event
	switch f.kind {
	case kindMessage, kindPart:
		e = Message{
			ID: f.seq, From: from.Name, Text: f.text, GoesOn: f.kind == kindPart, Continues: c.partial,
			Written: writtenAt(from.Waited, f.seq, time.Now()), at: at,
		}
	case kindEnd:
		e = InputEnded{at}
	case kindKeep, kindKept:
		if told := c.handleAgreement(f, from); told != nil {
			c.Tell(told)
		}
		e = consumed{at}
	default:
		c.handleFile(f, from)
		e = consumed{at}
	}
	if !c.tell(e) { // it was dropped, so that what follows is not the next one either
		return
	}
	c.stream.Took(at)
	if m, ok := e.(Message); ok {
		c.partial = m.GoesOn
	}
}

// drop logs that something of the other side was not handled: the 1st, 2nd, 4th, 8th and so on, because
// a hostile side could fill the log.
func (c *Conversation) drop(why any, args ...any) {
	c.dropped++
	if bits.OnesCount64(c.dropped) == 1 {
		c.config.Log.Warn("dropped what the other side sent", append([]any{"why", why, "count", c.dropped}, args...)...)
	}
}

// delivered notes that the other side's reader has handled all up to seq.
func (c *Conversation) delivered(seq uint64) {
	frames, ok := c.stream.Acked(seq)
	c.wakeSender()
	if !ok {
		c.drop("an acknowledgement of what was not said", "seq", seq)
	}
	c.transfers.OfferQueued()
	for _, f := range frames {
		if f.Kind == kindMessage {
			c.Tell(Delivered{ID: f.Seq})
		}
	}
}
