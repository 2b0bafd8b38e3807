package chat

import (
	"context"
	"errors"

	"p2pchat/chat/transfer"
)

// Errors returned by the methods about files, besides ErrOver and ErrUnkept.
var (
	// ErrNoFiles says that the other side is a plain WebRTC program.
	ErrNoFiles = transfer.ErrNoFiles
	// ErrNoFile says that no file of that ID waits for this.
	ErrNoFile = transfer.ErrNoFile
	// ErrTooManyFiles says that too many files wait to be offered.
	ErrTooManyFiles = transfer.ErrTooManyFiles
)

// Stripes is [transfer.Stripes].
type Stripes = transfer.Stripes

// FolderContent is [transfer.Content].
type FolderContent = transfer.Content

// The values of Stripes.
const (
	StripesAuto   = transfer.StripesAuto
	StripesNever  = transfer.StripesNever
	StripesAlways = transfer.StripesAlways
)

// Cancelled is the Reason of a FileFailed that this side cancelled.
const Cancelled = transfer.Cancelled

// Sweep removes partial files from dir: see transfer.Sweep.
func Sweep(dir string) (removed int) { return transfer.Sweep(dir) }

// CheckFolder returns an error unless files can be written to dir: see transfer.CheckFolder.
func CheckFolder(dir string) error { return transfer.CheckFolder(dir) }

// SendFiles offers the other side the files and folders at these paths, in this order, now or as
// soon as there is one, and returns the IDs that their events will name, of those that need not wait
// for others. If one cannot be sent, none is offered. It returns ErrNoFiles, ErrOver, ErrUnkept,
// ErrTooManyFiles, the context's error, or which path cannot be sent and why.
func (c *Conversation) SendFiles(ctx context.Context, paths ...string) (ids []uint64, err error) {
	defer c.wakeSender()
	return c.transfers.SendFiles(ctx, false, paths)
}

// MustSend is SendFiles, and Run's error wraps Incomplete unless the other side gets them all.
func (c *Conversation) MustSend(ctx context.Context, paths ...string) error {
	defer c.wakeSender()
	_, err := c.transfers.SendFiles(ctx, true, paths)
	return err
}

// Sent reports whether the other side has the file of this side with that ID.
func (c *Conversation) Sent(id uint64) bool { return c.transfers.Sent(id) }

// Accept takes the file that the other side offered. It returns ErrNoFile, ErrOver, with a
// Journal ErrUnkept, or why the download folder cannot be written to.
func (c *Conversation) Accept(id uint64) error { return c.transfers.Accept(id) }

// Decline refuses the file that the other side offered. It returns ErrNoFile if it waits for no answer.
func (c *Conversation) Decline(id uint64) error { return c.transfers.Decline(id) }

// Cancel gives up a file, this side's if outgoing, else the other side's, whether it was accepted
// or not. It returns ErrNoFile if the file has ended.
func (c *Conversation) Cancel(id uint64, outgoing bool) error {
	return c.transfers.Cancel(id, outgoing)
}

// A host is the Conversation as its transfers see it.
type host struct{ *Conversation }

// Send queues a frame about a file.
func (h host) Send(k transfer.Kind, text string) (seq uint64, err error) {
	c := h.Conversation
	c.mu.Lock()
	left := c.life.past(ours, leaving)
	c.mu.Unlock()
	switch {
	case left && (k == transfer.KindOffer || k == transfer.KindAccept):
		return 0, ErrOver
	case k == transfer.KindOffer && c.stream.Status().Full:
		return 0, transfer.ErrFull
	}
	return c.enqueue(kind(k), text)
}

// Queued tells the reader whether the Journal could be written.
func (h host) Queued(err error) {
	if err == nil || errors.Is(err, ErrUnkept) {
		h.tellStale(err)
	}
}

// Emit tells the reader an event of a file.
func (h host) Emit(e transfer.Event) { h.Tell(e) }

// Keep notes in the Journal what a later run needs of a file.
func (h host) Keep(r transfer.Record) {
	c := h.Conversation
	if r.Ended {
		c.noted(entry{Ended: &r.Ref})
	} else {
		c.noted(entry{File: &r})
	}
	c.wakeSender() // no file may be left
}

// handleFile hands the transfers a frame about a file.
func (c *Conversation) handleFile(f frame, from hello) {
	peer := transfer.Peer{Conversation: from.Conversation, Name: from.Name}
	if err := c.transfers.Handle(peer, f.seq, transfer.Kind(f.kind), f.text, c.stream.Status().Full); err != nil {
		c.drop(err)
	}
}

// endFiles ends all files when the conversation does. With a Journal that goes on, the next run of
// the program continues them.
func (c *Conversation) endFiles() {
	suspend := c.config.Journal != nil && c.Resumable()
	c.mu.Lock()
	theyLeft := c.life.theyEndedIt()
	cutOff := !suspend && !isClosed(c.quit)
	c.mu.Unlock()
	why := "the conversation has ended"
	switch {
	case suspend:
		if why = "this program ended before the file had arrived"; c.config.GoOn != "" {
			why += ". To go on with it, " + c.config.GoOn
		}
	case theyLeft:
		why = "the other side has left"
	}
	c.transfers.Close(why, suspend, cutOff)
}
