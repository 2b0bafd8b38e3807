package chat

import (
	"fmt"
	"slices"
)

// resume goes on with what was kept.
func (c *Conversation) resume(r record) {
	c.id, c.out, c.finished = r.id, r.out, r.finished
	c.peer.Conversation, c.heard, c.shown, c.acked, c.quiet = r.peer, r.heard, r.heard, r.heard, r.quiet
	c.again, c.confirmed = r.again, r.confirmed
	for _, f := range slices.Clone(c.out.frames) { // offers of files that this program knows nothing of
		if f.kind == kindOffer {
			c.say(kindCancel, note{ID: f.seq, Of: c.id, Reason: "the sender's program was started anew"})
		}
	}
}

// record is, under mu, what has to be kept.
func (c *Conversation) record() record {
	return record{id: c.id, out: c.out, finished: c.finished, peer: c.peer.Conversation, heard: c.shown, quiet: c.quiet, again: c.again, confirmed: c.confirmed}
}

// note keeps, under mu, what is about to change.
func (c *Conversation) note(e entry) error {
	if c.config.Journal == nil {
		return nil
	}
	if err := c.config.Journal.note(e, c.record); err != nil {
		return fmt.Errorf("%w in %s: %w", ErrUnkept, c.config.Journal.path, err)
	}
	return nil
}

// Keep says how to meet the other side, before there is a Link: for the Journal, which has
// to know whom it is for.
func (c *Conversation) Keep(again string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepAgain(again, false)
}

// keepAgain notes, under mu, how to meet again.
func (c *Conversation) keepAgain(again string, confirmed bool) {
	if again == "" || again == c.again && confirmed == c.confirmed {
		return
	}
	if err := c.note(entry{Again: again, Confirmed: confirmed}); err != nil {
		c.config.Log.Warn("the outbox is not up to date", "why", err) // and is tried again with the next pipe
		return
	}
	c.again, c.confirmed = again, confirmed
}

// Kept tells, once Run has returned, whether there is something to go on with: nobody has said
// goodbye, or not everything arrived before this side did.
func (c *Conversation) Kept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := c.peer.Conversation != "" || len(c.out.frames) > 0
	return begun && !c.left && (!c.goodbye || len(c.out.frames) > 0)
}

// noted is note for what does no harm if it is lost: then something comes twice after a
// restart.
func (c *Conversation) noted(e entry) {
	if err := c.note(e); err != nil {
		c.config.Log.Warn("the outbox is not up to date", "why", err)
	}
}
