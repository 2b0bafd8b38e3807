package chat

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// resume goes on with what was kept.
func (c *Conversation) resume(r record) {
	c.id, c.out, c.finished = r.id, r.out, r.finished
	c.peer.Conversation, c.heard, c.shown, c.acked, c.quiet = r.peer, r.heard, r.heard, r.heard, r.quiet
	c.again, c.confirmed = r.again, r.confirmed
	for _, k := range r.files {
		f := &file{offer: k.Offer, id: k.ID, outgoing: k.Outgoing, accepted: k.Accepted, kept: &k}
		if k.Outgoing {
			c.files.out[k.ID] = f
		} else {
			c.files.in[k.ID] = f
		}
	}
}

// resumeFiles goes on, before the first pipe, with the files that an earlier run of the program was
// to receive or to send.
func (c *Conversation) resumeFiles() {
	for _, f := range c.list(func(f *file) bool { return !f.outgoing && f.accepted && f.kept != nil }) {
		c.resumeReceiving(f)
	}
	for _, f := range c.list(func(f *file) bool { return f.outgoing && f.kept != nil }) {
		k := c.keptOf(f)
		if k == nil { // SendFiles was quicker
			continue
		}
		s, err := newSource(k.Path)
		if err == nil && c.resumeSending(f, s) {
			continue
		}
		if err == nil {
			s.close()
		}
		if c.keptOf(f) != nil {
			c.giveUp(f, "it changed while the sender's program was not running", kindCancel)
		}
	}
}

func (c *Conversation) keptOf(f *file) *keptFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.kept
}

// resumeSending goes on with f if s is what it was, and is true then. The hash of what was sent is made
// once it is known how much that is: see catchUp.
func (c *Conversation) resumeSending(f *file, s *source) bool {
	c.mu.Lock()
	k := f.kept
	if k == nil || k.Path != s.path || k.Stamp != s.stamp || k.Offer.Size != s.Size {
		c.mu.Unlock()
		return false
	}
	f.source, f.kept, f.hash, f.unread = s, nil, sha256.New(), true
	if len(k.Sum) == sha256.Size {
		f.sum = (*[sha256.Size]byte)(k.Sum)
	}
	c.mu.Unlock()
	c.offering(f)
	return true
}

// catchUp reads for the hash what an earlier run of the program has sent.
func (c *Conversation) catchUp(ctx context.Context, f *file, to int64) error {
	c.mu.Lock()
	at, unread := f.hashed, f.unread
	c.mu.Unlock()
	if !unread {
		return nil
	}
	from := f.source.open(at)
	defer from.Close()
	b := make([]byte, fileChunk)
	for at < to {
		n, err := io.ReadFull(from, b[:min(fileChunk, to-at)])
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		at += int64(n)
		c.mu.Lock()
		f.hash.Write(b[:n])
		f.hashed = at
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.unread = false
	return nil
}

func (c *Conversation) resumeReceiving(f *file) {
	l, err := resumeLanding(f.kept.Dir, f.kept.Temp, f.offer)
	if err != nil {
		c.giveUpWriting(f, f.kept.Dir, err)
		return
	}
	c.mu.Lock()
	f.landing, f.kept = l, nil
	c.word(kindAccept, f, "") // the earlier run may not have come to it
	c.mu.Unlock()
	c.Tell(Notice{Text: map[bool]string{
		false: fmt.Sprintf("Resuming %q.", f.Name),
		true:  fmt.Sprintf("The folder %q was not complete: it starts over.", f.Name),
	}[f.Folder]})
}

// offerAgain tells the reader of the offers that the program knows from its Journal, and which
// nobody has answered.
func (c *Conversation) offerAgain(from string) {
	for _, f := range c.list(func(f *file) bool { return f.kept != nil && !f.outgoing && !f.accepted }) {
		c.mu.Lock()
		f.kept = nil // once
		c.mu.Unlock()
		c.offered(f, from)
	}
}

// noteFile keeps, under mu, what is known of a file.
func (c *Conversation) noteFile(f *file) {
	if c.config.Journal != nil {
		c.noted(entry{File: f.keep()})
	}
}

// keep is, under mu, what has to be kept of f.
func (f *file) keep() *keptFile {
	if f.kept != nil {
		return f.kept
	}
	k := &keptFile{fileRef: fileRef{f.id, f.outgoing}, Offer: f.offer, Accepted: f.accepted}
	if f.landing != nil {
		k.Dir, k.Temp = f.landing.whole, f.landing.temp
	}
	if f.source != nil {
		k.Path, k.Stamp = f.source.path, f.source.stamp
	}
	if f.sum != nil {
		k.Sum = f.sum[:]
	}
	return k
}

// record is, under mu, what has to be kept.
func (c *Conversation) record() record {
	r := record{
		id: c.id, out: c.out, finished: c.finished, peer: c.peer.Conversation, heard: c.shown, quiet: c.quiet, again: c.again, confirmed: c.confirmed,
		files: map[fileRef]keptFile{},
	}
	for _, of := range []map[uint64]*file{c.files.out, c.files.in} {
		for _, f := range of {
			k := f.keep()
			r.files[k.fileRef] = *k
		}
	}
	for _, k := range c.files.suspended {
		r.files[k.fileRef] = k
	}
	return r
}

// note keeps, under mu, what is about to change.
func (c *Conversation) note(e entry) error {
	if c.config.Journal == nil {
		return nil
	}
	if err := c.config.Journal.note(e, c.record); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnkept, c.config.Journal.path, plain(err))
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
		c.tellStale(fmt.Errorf("%w: %s: %w", ErrUnkept, c.config.Journal.path, plain(err)))
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
func (c *Conversation) noted(e entry) { c.tellStale(c.note(e)) }

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
