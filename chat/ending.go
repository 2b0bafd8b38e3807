package chat

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"unicode/utf8"
)

// arrived ends a file of this side that the other one has.
func (c *Conversation) arrived(f *file) {
	c.mu.Lock()
	sum := f.sum
	c.mu.Unlock()
	if sum == nil {
		c.giveUp(f, "the receiver says that it has what was not sent", kindCancel)
		return
	}
	if !c.decide(f) {
		return
	}
	c.mu.Lock()
	c.files.sent[f.id] = true
	c.mu.Unlock()
	c.end(f, FileSent{ID: f.id, Name: f.Name, Size: f.Size, SHA256: *sum})
}

// giveUp ends a file that does not get through, and is false if it has ended before. The
// other side hears of it if say is kindCancel.
func (c *Conversation) giveUp(f *file, why string, say kind) bool {
	decides := c.decide(f)
	if decides {
		c.fail(f, why, say)
	}
	return decides
}

func (c *Conversation) fail(f *file, why string, say kind) {
	why = properReason(why) // it may name a file, and has to fit into a frame
	c.mu.Lock()
	if say != 0 && !c.leaving {
		c.word(say, f, why)
	}
	if !f.outgoing && c.config.AcceptFiles {
		c.files.missed++
	}
	c.mu.Unlock()
	c.end(f, FileFailed{ID: f.id, Outgoing: f.outgoing, Name: f.Name, Reason: why})
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
	l := f.landing
	c.mu.Unlock()
	if l != nil {
		l.discard()
	}
	f.telling.Lock()
	c.Tell(e)
	f.telling.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.outgoing {
		delete(c.files.out, f.id)
	} else {
		delete(c.files.in, f.id)
		c.files.offered = true
	}
	c.expect()
	c.toWork()
	c.poke()
}

// abandon ends all files when the conversation does.
func (c *Conversation) abandon() {
	c.mu.Lock()
	why := "the conversation has ended"
	if c.left && !c.first {
		why = "the other side has left"
	}
	c.mu.Unlock()
	for _, f := range c.list(func(*file) bool { return true }) {
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

// reasonOf says to both sides why a file could not be written.
func reasonOf(err error) string {
	if errors.Is(err, syscall.ENOSPC) {
		return "there is no space left where it was to be written"
	}
	return plain(err).Error()
}

// properReason makes a reason fit for a line, whoever gives it.
func properReason(why string) string {
	const most = 200
	shown := []rune(keep(visible, strings.ToValidUTF8(why, string(utf8.RuneError))))
	if len(shown) == 0 {
		return "the other side has given it up"
	}
	return string(shown[:min(len(shown), most)])
}
