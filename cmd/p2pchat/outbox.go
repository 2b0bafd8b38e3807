package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// errKept says that undelivered messages are on disk.
var errKept = errors.New("kept")

// An outbox is the file of --outbox, or one in the folder of the user's state. With --no-outbox it is empty, and nothing is saved.
type outbox struct {
	path    string
	journal *chat.Journal // nil without an outbox
	resume  *resumePoint  // of the conversation that an earlier run did not end; nil for a new one
	own     bool          // the program chose the file: see earlier.go
	side    signaling.Side
	with    string // the contact whom the conversation is with; empty with a code
	guessed bool   // wrong codes were tried before the two sides met: the next run must count them
}

// A resumePoint says where and how to meet the other side again. The journal keeps it as JSON.
type resumePoint struct {
	Server  string
	Again   peer.Resumption
	Contact string `json:",omitempty"` // the ID of the contact whom the conversation is with; Again is empty then
}

// String returns the resumePoint as JSON.
func (r resumePoint) String() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // each member can be marshalled
	}
	return string(b)
}

// fits reports whether a run of that side can go on: before the two have met, either side may wait in a room that anyone can enter. Only
// a caller may be without a code.
func (r resumePoint) fits(side signaling.Side) bool {
	open := r.Again.Rendezvous == (peer.Code{}) && r.Again.Typed.Secret == "" && r.Again.Typed.Room != ""
	return r.Contact != "" || r.Again.Side == side || open
}

// open opens the file at path, if one is named, for a conversation of that side.
func (b *outbox) open(path string, side signaling.Side) (err error) {
	if path == "" {
		return nil
	}
	b.path, b.side = path, side
	b.journal, err = chat.OpenJournal(path)
	switch {
	case brokenHint(err) != "":
		return fmt.Errorf("the outbox cannot be written: %w", err)
	case errors.Is(err, chat.ErrJournalInUse):
		return &usageError{err: fmt.Errorf("--outbox: %w", err), hint: "stop that program first, or name another file"}
	case err != nil:
		return &usageError{err: fmt.Errorf("--outbox: %w", err), hint: "name a file that only you can read and write, or a new one"}
	}
	text, heard := b.journal.Resumption()
	if text == "" {
		return nil
	}
	b.resume = &resumePoint{}
	if err := json.Unmarshal([]byte(text), b.resume); err != nil {
		return &usageError{err: fmt.Errorf("--outbox: %s: %w: %w", path, chat.ErrJournalDamaged, err), hint: "name another file"}
	}
	b.resume.Again.Heard = heard
	b.guessed = b.resume.Again.Spent > 0 && !b.met()
	started := b.resume.Again.Side
	if !b.resume.fits(side) {
		return &usageError{
			err:  fmt.Errorf("--outbox: the conversation in %s was started with 'p2pchat %s'", path, command(started)),
			hint: "continue with p2pchat " + command(started) + ", or name another file",
		}
	}
	if started != side {
		b.resume.Again = peer.Resumption{Side: side, Typed: b.resume.Again.Typed}
	}
	return nil
}

// openNamed opens the outbox of --outbox. With --resume, there has to be something in it.
func (o *talkOptions) openNamed() error {
	err := o.outbox.open(o.outboxPath, o.side)
	journal := o.outbox.journal
	if err != nil || !o.resume || o.outbox.resume != nil || journal.Waiting()+journal.Files() > 0 {
		return err
	}
	if err := journal.End(false); err != nil {
		return err
	}
	return &usageError{err: fmt.Errorf("--resume: there is no conversation in %s to go on with", screen.Clean(o.outboxPath)), hint: "leave --resume out to begin one, or name another file"}
}

// continueCode sets the code of the conversation in the outbox. Before the two sides have met, another code
// (text) may replace it if it is burnt or no messages wait: then there is no conversation to continue. A
// caller whose code is burnt gets a new one.
func (o *talkOptions) continueCode(text string) error {
	was, met := o.outbox.resume.Again, o.outbox.met()
	if !o.serverGiven || o.serverSaved {
		o.server, o.serverGiven = o.outbox.resume.Server, o.outbox.resume.Server != defaultServer
	}
	o.code = was.Typed
	if text != "" {
		code, err := o.parse(text)
		if err != nil {
			return err
		}
		o.code = code
	}
	burnt := was.Burnt()
	if met {
		burnt = nil // they meet in another room
	}
	changed := o.code != was.Typed
	if burnt != nil && text == "" && was.Side == signaling.Caller {
		o.code, changed = peer.Code{}, true
	}
	switch {
	case !changed && burnt == nil:
		return nil
	case !changed:
		return fmt.Errorf("%s: %w", o.code, burnt)
	case burnt == nil && (met || o.outbox.journal.Waiting() > 0):
		return &usageError{err: fmt.Errorf("--outbox: %s holds a conversation with another code that has not ended", o.outboxPath), hint: "leave the code out to continue it, or name another file"}
	}
	o.outbox.startOver()
	return nil
}

// continueContact continues the conversation with a contact in the outbox; named says that the person gave its name.
func (o *talkOptions) continueContact(ctx context.Context, name string, named bool, notes io.Writer) error {
	book, err := contactBook()
	if err != nil {
		return &usageError{err: err}
	}
	list, err := book.List()
	i := slices.IndexFunc(list, func(c contacts.Contact) bool { return c.ID == o.outbox.resume.Contact })
	switch {
	case i < 0 && err != nil:
		return &usageError{err: fmt.Errorf("--outbox: %s holds a conversation with a contact whose file perhaps cannot be read: %w", o.outboxPath, err), hint: "name another file"}
	case i < 0:
		return &usageError{err: fmt.Errorf("--outbox: %s holds a conversation with a contact whom you have forgotten", o.outboxPath), hint: "name another file"}
	}
	if c, _ := book.Find(name); named && c.ID != list[i].ID {
		return &usageError{err: fmt.Errorf("--outbox: %s holds a conversation with %s%s", o.outboxPath, contactMark, list[i].Name), hint: "leave the contact out to continue it, or name another file"}
	}
	return o.holdContact(ctx, list[i].Name, notes)
}

// keepName gives this side the name that it had last in the conversation in the outbox, because the other side would be told of a change. A
// contact sees the name that it has given. What the command line says wins, also if it says the same as in the earlier run: a person who
// types a name wants it.
func (o *talkOptions) keepName(c *cobra.Command) {
	flag := c.Flags().Lookup("name")
	typed := flag.Changed && flag.Annotations[fromVariable] == nil && flag.Annotations[fromFile] == nil
	if was := o.outbox.resume; was != nil && was.Contact == "" && !typed {
		o.name = cmp.Or(o.outbox.journal.Own(), o.name)
	}
}

// startOver forgets the earlier conversation.
func (b *outbox) startOver() { b.resume, b.guessed = nil, false }

// save returns once the resumePoint is on disk.
func (b *outbox) save(c *chat.Conversation, at resumePoint) error {
	if b.journal == nil {
		return nil
	}
	b.guessed = at.Again.Spent > 0 && at.Again.Rendezvous == (peer.Code{})
	return c.Commit(at.String())
}

// again returns where the session continues: nil for a new conversation.
func (b *outbox) again() *peer.Resumption {
	if b.resume == nil || b.resume.Contact != "" { // the keys of a contact say where to meet
		return nil
	}
	return &b.resume.Again
}

// met reports whether the two sides met in an earlier run.
func (b *outbox) met() bool { return b.resume != nil && b.resume.Again.Rendezvous != (peer.Code{}) }

// notice returns what a person should know of the outbox, or "".
func (b *outbox) notice() string {
	if b.journal == nil {
		return ""
	}
	left := ""
	switch n := b.journal.Waiting(); {
	case n == 1:
		left = "1 message"
	case n > 1:
		left = strconv.Itoa(n) + " messages"
	}
	switch {
	case b.met() && left != "":
		return "Continuing the earlier conversation: " + left + " not delivered yet. Waiting for the other side to come back."
	case b.met():
		return "Continuing the earlier conversation. Waiting for the other side to come back."
	case left != "" && b.resume != nil && b.resume.Contact != "": // what waits at the server may have been read
		return left + " from before " + map[bool]string{true: "has", false: "have"}[left == "1 message"] + " no receipt yet. What has not been read goes out when you meet."
	case left != "":
		return left + " from before will be sent when the other side joins."
	}
	return ""
}

// explain adds to err that the outbox keeps undelivered messages, if it does.
func (b *outbox) explain(c *chat.Conversation, err error) error {
	if u := (*chat.Undelivered)(nil); b.journal != nil && errors.As(err, &u) && c.Resumable() {
		switch {
		case !b.own:
			return fmt.Errorf("%w; %w in %s: to continue, %s", err, errKept, b.path, b.goOn())
		case b.with != "":
			return fmt.Errorf("%w; %w for your next call with %s%s", err, errKept, contactMark, b.with)
		}
		return fmt.Errorf("%w; %w: to go on, %s", err, errKept, b.goOn())
	}
	return err
}

// goOn returns what a person does to go on with the conversation in a later run.
func (b *outbox) goOn() string {
	switch {
	case !b.own: // and not the same command: its input would be sent once more
		return "run p2pchat " + command(b.side) + " --outbox " + quoted(b.path)
	case b.with != "":
		return "run p2pchat call " + contactMark + b.with
	}
	return "run p2pchat " + command(b.side) + " --resume"
}

// close closes the file. The screen must have ended. While the keys of letters that were read are not on disk, the file stays also after
// the goodbye: only it keeps them from being shown again.
func (b *outbox) close(c *chat.Conversation, k *keeper) error {
	if b.journal == nil {
		return nil
	}
	goesOn, peer := c.Resumable(), b.journal.PeerConversation()
	if err := b.journal.End(goesOn || b.guessed || !k.saveRead()); err != nil {
		return fmt.Errorf("closing the outbox: %w", err)
	}
	if b.own && !goesOn {
		forgetEnded(filepath.Dir(b.path), peer)
	}
	return nil
}
