package chat

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// arrived ends a file of this side that the other one has.
func (c *Conversation) arrived(f *file, said note) {
	c.mu.Lock()
	sum := f.sum
	c.mu.Unlock()
	if sum == nil {
		c.giveUp(f, "the receiver confirmed what was not sent", kindCancel)
		return
	}
	if !c.decide(f) {
		return
	}
	c.mu.Lock()
	c.files.sent[f.id] = true
	spoiled := f.source.leftOuts()
	if f.must {
		c.files.missed += missing(spoiled)
	}
	c.mu.Unlock()
	c.tellLeftOut(f, spoiled)
	c.end(f, FileSent{
		ID: f.id, Name: f.Name, Size: f.Size, SHA256: *sum, As: string([]rune(said.As)[:min(len([]rune(said.As)), maxName)]), Renamed: said.Renamed,
	})
}

// giveUp ends a file that does not get through, and is false if it has ended before. The
// other side hears of it if say is kindCancel.
func (c *Conversation) giveUp(f *file, why string, say kind) bool {
	decides := c.decide(f)
	if decides {
		c.fail(f, why, why, say)
	}
	return decides
}

// giveUpWriting ends a file that cannot be received, because of err.
func (c *Conversation) giveUpWriting(f *file, dir string, err error) {
	if c.decide(f) {
		c.failWriting(f, dir, err)
	}
}

func (c *Conversation) failWriting(f *file, dir string, err error) {
	c.fail(f, unwritable(dir, err).Error(), reasonOf(err), kindCancel)
}

// fail says why f has failed to the reader, and if say is kindCancel, told to the other side.
func (c *Conversation) fail(f *file, why, told string, say kind) {
	c.mu.Lock()
	if say != 0 && !c.leaving {
		c.word(say, f, properReason(told, reasonTold)) // it may name a file, and has to fit into a frame
	}
	if f.outgoing && (f.must || c.files.cutOff) || !f.outgoing && c.config.AcceptFiles {
		c.files.missed++
	}
	c.mu.Unlock()
	c.end(f, FileFailed{ID: f.id, Outgoing: f.outgoing, Name: f.Name, Reason: properReason(why, reasonOwn)})
}

// decide is true for the first who wants to end f.
func (c *Conversation) decide(f *file) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.decided {
		return false
	}
	f.decided = true
	if f.stop != nil {
		f.stop()
	}
	return true
}

// end tells how f ended. The conversation is not over before.
func (c *Conversation) end(f *file, e Event) {
	if f.source != nil {
		f.source.close()
	}
	c.mu.Lock()
	l, goesOn := f.landing, c.files.goOn
	c.mu.Unlock()
	switch {
	case l != nil && goesOn:
		l.suspend()
	case l != nil:
		l.discard()
	}
	f.telling.Lock()
	c.Tell(e)
	f.telling.Unlock()
	c.mu.Lock()
	if f.outgoing {
		delete(c.files.out, f.id)
	} else {
		delete(c.files.in, f.id)
		c.files.offered = true
	}
	if goesOn {
		c.files.suspended = append(c.files.suspended, *f.keep())
	} else {
		c.noted(entry{Ended: &fileRef{f.id, f.outgoing}})
	}
	c.expect()
	c.toWork()
	c.poke()
	c.mu.Unlock()
	c.offerQueued()
}

// abandon ends all files when the conversation does. With a Journal that goes on, the next run of
// the program goes on with those of the other side.
func (c *Conversation) abandon() {
	c.mu.Lock()
	c.files.goOn = c.config.Journal != nil && c.goesOn()
	goOn, theyLeft := c.files.goOn, c.left && !c.first
	c.files.cutOff = !goOn && !isClosed(c.quit)
	queue := c.files.queue
	c.files.queue = nil
	for _, q := range queue {
		if q.must || c.files.cutOff {
			c.files.missed++
		}
	}
	c.mu.Unlock()
	if len(queue) > 0 {
		c.Tell(Notice{Text: fmt.Sprintf("%d more files were not offered: the conversation has ended.", len(queue))})
	}
	for _, q := range queue {
		q.source.close()
	}
	for _, f := range c.list(func(*file) bool { return true }) {
		why := "the conversation has ended"
		switch {
		case goOn:
			why = "this program ended before the transfer did. To go on, start it again with the same --outbox"
		case theyLeft:
			why = "the other side has left"
		}
		c.giveUp(f, why, 0)
	}
}

// unknown are, under mu, the files that a program which is new to this one knows nothing of:
// all but those whose offers it has yet to hear.
func (c *Conversation) unknown(program hello) (fs []*file) {
	heard := c.out.first() - 1
	if program.Of == c.id {
		heard = max(heard, program.Heard)
	}
	for _, f := range c.files.in {
		fs = append(fs, f)
	}
	for _, f := range c.files.out {
		if f.accepted || f.id <= heard {
			fs = append(fs, f)
		}
	}
	return fs
}

// plain is err without the names of paths that the person has given, or must not be told to
// the other side.
func plain(err error) error {
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return path.Err
	default:
		return err
	}
}

// reasonOf says to the other side why a file cannot be received: nothing of this side's file
// system but the kind of trouble.
func reasonOf(err error) string {
	system := syscall.Errno(0)
	switch {
	case !errors.As(err, &system):
		return plain(err).Error()
	case errors.Is(err, syscall.ENOSPC):
		return "the receiver's disk is full"
	}
	return "the receiver could not write it: " + system.Error()
}

// unwritable says the same to the person who was to receive it in dir.
func unwritable(dir string, err error) error {
	if errors.As(err, new(syscall.Errno)) {
		whole, _ := filepath.Abs(dir) // or else it is empty
		return fmt.Errorf("it cannot be written to %s: %w. %s", cmp.Or(whole, dir), plain(err), remedy(err))
	}
	return err
}

// remedy is what a person can do when a file cannot be written.
func remedy(err error) string {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return "Make room there, then ask for the file again"
	}
	return "Choose another folder with --download-dir, then ask for the file again"
}

// What a reason may have, in characters: one of the other side's, and what it is told; and one of
// this program's own, which may have a path in it.
const (
	reasonTold = 200
	reasonOwn  = 4000
)

// properReason makes a reason fit for a line, whoever gives it.
func properReason(why string, most int) string {
	shown := []rune(keep(visible, strings.ToValidUTF8(why, string(utf8.RuneError))))
	if len(shown) == 0 {
		return "the other side cancelled it"
	}
	return string(shown[:min(len(shown), most)])
}
