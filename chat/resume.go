package chat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"p2pchat/chat/internal/disk"
	"p2pchat/chat/transfer"
)

// resume continues what an earlier run has kept, and returns the files of both sides.
func (c *Conversation) resume(r record) (files []transfer.Record) {
	c.id, c.out, c.finished = r.id, r.out, r.finished
	c.peer.Conversation, c.heard, c.shown, c.acked, c.quiet = r.peer, r.heard, r.heard, r.heard, r.quiet
	c.again, c.confirmed = r.again, r.confirmed
	return slices.Collect(maps.Values(r.files))
}

// note keeps, under mu, what is about to change.
func (c *Conversation) note(e entry) error {
	if c.config.Journal == nil {
		return nil
	}
	return c.unkept(c.config.Journal.note(e, false))
}

// Keep says how to meet the other side, before there is a Link: for the Journal, which has
// to know whom it is for.
func (c *Conversation) Keep(again string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepAgain(again, false)
}

// Commit is Keep for what a crash must not undo, of the machine too: it returns once the
// Journal is on disk. The error wraps ErrUnkept. Without a Journal it does nothing.
func (c *Conversation) Commit(again string) error {
	if c.config.Journal == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.note(entry{Again: again}); err != nil {
		return err
	}
	c.again, c.confirmed = again, false
	if err := c.config.Journal.file.Sync(); err != nil {
		return fmt.Errorf("%w in %s: %w", ErrUnkept, c.config.Journal.path, err)
	}
	return nil
}

// syncJournal, under mu, makes what was noted survive a crash of the machine.
func (c *Conversation) syncJournal() {
	if c.config.Journal == nil {
		return
	}
	if err := c.config.Journal.file.Sync(); err != nil {
		c.tellStale(fmt.Errorf("%w: %s: %w", ErrUnkept, c.config.Journal.path, disk.WithoutPath(err)))
	}
}

// keepAgain notes, under mu, how to meet again.
func (c *Conversation) keepAgain(again string, confirmed bool) {
	if again == "" || again == c.again && confirmed == c.confirmed {
		return
	}
	err := c.note(entry{Again: again, Confirmed: confirmed})
	if c.tellStale(err); err != nil {
		return // it is tried again with the next pipe
	}
	c.again, c.confirmed = again, confirmed
}

// Kept tells, once Run has returned, whether there is something to go on with: nobody has said
// goodbye, or not everything arrived before this side did.
func (c *Conversation) Kept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.goesOn()
}

// goesOn is Kept, under mu.
func (c *Conversation) goesOn() bool {
	begun := c.peer.Conversation != "" || len(c.out.frames) > 0
	return begun && !c.left && (!c.goodbye || len(c.out.frames) > 0)
}

// noted is note for what does no harm if it is lost: then something comes twice after a
// restart. The reader is told.
func (c *Conversation) noted(e entry) {
	if c.config.Journal != nil {
		c.tellStale(c.unkept(c.config.Journal.note(e, true)))
	}
}

func (c *Conversation) unkept(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnkept, c.config.Journal.path, disk.WithoutPath(err))
}

// tellStale tells the reader once that the Journal is no longer up to date, and once that it is
// again. It is called under mu, and does not wait: a reader who is late is told by the next call.
func (c *Conversation) tellStale(err error) {
	j := c.config.Journal
	if j == nil || (err != nil) == j.stale {
		return
	}
	text := fmt.Sprintf("The outbox %s is up to date again.", j.path)
	if err != nil {
		c.config.Log.Debug("the outbox is not up to date", "why", err)
		text = sentence(err) + ". Make room there: if this program is killed before that, it may show messages twice, or not find the other side again."
	}
	select {
	case c.events <- Notice{Text: text}:
		j.stale = err != nil
	default:
	}
}

func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
