package chat

import (
	"fmt"
	"strings"
	"time"

	"p2pchat/chat/disk"
	"p2pchat/chat/reliable"
	"p2pchat/chat/transfer"
)

// resume continues what an earlier run has kept, and returns the files of both sides.
func (c *Conversation) resume() []transfer.Record {
	j := c.config.Journal
	if j == nil {
		c.stream = reliable.New(nil, nil)
		return nil
	}
	c.stream = reliable.New(j.file, func(err error) { c.tellStale(c.unkept(err)) })
	c.queued = c.queue()
	if c.config.MoreInput { // the other side must not take the end of that run's input for the end of this one's
		c.stream.Replace(kindEnd, kindCancel, voidCancel)
	} else if j.memory.Finished {
		c.life.move(ours, inputEnded)
		close(c.ended)
	}
	if j.memory.Quiet {
		c.life.move(theirs, inputEnded)
	}
	if c.config.Name != j.memory.Own {
		c.noted(entry{Own: c.config.Name})
	}
	c.resumption, c.confirmed = j.Resumption()
	c.peer.Conversation = c.stream.Peer()
	return j.memory.records()
}

// queue returns the events about the messages in the outbox, in order.
func (c *Conversation) queue() (all []Queued) {
	_, frames := c.stream.Letter(0)
	for _, f := range frames {
		if f.Kind == kindMessage || f.Kind == kindPart {
			q := Queued{ID: f.Seq, Text: f.Text, GoesOn: f.Kind == kindPart}
			if f.At > 0 {
				q.Written = time.Unix(f.At, 0)
			}
			all = append(all, q)
		}
	}
	return all
}

// Keep notes in the Journal how to meet the other side, before there is a Link.
func (c *Conversation) Keep(resumption string) {
	c.noting.Lock()
	defer c.noting.Unlock()
	c.keepResumption(resumption, false)
}

// Commit is Keep for what a crash must not undo, of the machine too: it returns once the
// Journal is on disk. The error wraps ErrUnkept. Without a Journal it does nothing.
func (c *Conversation) Commit(resumption string) error {
	j := c.config.Journal
	if j == nil {
		return nil
	}
	c.noting.Lock()
	defer c.noting.Unlock()
	if err := c.unkept(j.file.Note(entry{Resumption: resumption}, false)); err != nil {
		return err
	}
	c.resumption, c.confirmed = resumption, false
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("%w in %s: %w", ErrUnkept, j.file.Path(), err)
	}
	return nil
}

// keepLink keeps how the two meet again after this pipe, so that it survives a crash of the machine: the other side
// forgets how they met before as soon as this side says hello.
func (c *Conversation) keepLink(resumption string) {
	c.noting.Lock()
	defer c.noting.Unlock()
	if resumption == c.resumption {
		return
	}
	c.keepResumption(resumption, false)
	if j := c.config.Journal; j != nil {
		if err := j.file.Sync(); err != nil {
			c.tellStale(c.unkept(err))
		}
	}
}

// confirmLink keeps that the other side was heard on the pipe that leads to resumption.
func (c *Conversation) confirmLink(resumption string) {
	c.noting.Lock()
	defer c.noting.Unlock()
	if resumption == c.resumption {
		c.keepResumption(resumption, true)
	}
}

// keepResumption keeps, under noting, how to meet again.
func (c *Conversation) keepResumption(resumption string, confirmed bool) {
	if resumption == "" || resumption == c.resumption && confirmed == c.confirmed {
		return
	}
	if j := c.config.Journal; j != nil {
		err := c.unkept(j.file.Note(entry{Resumption: resumption, Confirmed: confirmed}, false))
		if c.tellStale(err); err != nil {
			return // the next pipe tries again
		}
	}
	c.resumption, c.confirmed = resumption, confirmed
}

// Resumable reports, once Run has returned, whether a later run can go on: no side has said
// goodbye, or this side did before everything had arrived.
func (c *Conversation) Resumable() bool {
	waiting := c.stream.Status().Left > 0
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := c.peer.Conversation != "" || waiting
	return begun && !c.life.past(theirs, goodbye) && (!c.life.past(ours, goodbye) || waiting)
}

// noted keeps an entry whose loss does no harm: something comes twice after a restart. The reader is told.
func (c *Conversation) noted(e entry) {
	if j := c.config.Journal; j != nil {
		c.tellStale(c.unkept(j.file.Note(e, true)))
	}
}

// unkept wraps an error of the Journal.
func (c *Conversation) unkept(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnkept, c.config.Journal.file.Path(), disk.WithoutPath(err))
}

// tellStale tells the reader once that the Journal is no longer up to date, and once that it is
// again. It does not wait: if the events are full, the next call tells.
func (c *Conversation) tellStale(err error) {
	j := c.config.Journal
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if (err != nil) == j.stale {
		return
	}
	text := fmt.Sprintf("The outbox %s is up to date again.", j.file.Path())
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
