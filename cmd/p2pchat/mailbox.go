package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer/contact"
	"p2pchat/peer/mail"
	"p2pchat/signaling"
)

const (
	mailWait  = 25 * time.Second // how long one read waits for letters
	lastPosts = 3 * time.Second  // for letters that are left when the program ends

	// lookAtClock is how often a mailbox looks whether letters have expired. One timer would not do: it stands still while the machine
	// sleeps, and knows nothing of a clock that is set.
	lookAtClock = time.Minute
)

// A mailbox exchanges letters with a contact while the two are not connected. A letter is sealed with the keys of every generation
// that this side keeps, because the other side may have only one of them, and what comes twice counts once.
//
// It writes in this order, so that a kill between two steps neither loses nor doubles a message: the outbox, the sealed letter with
// the key after it, the server; and the other way, the screen, the outbox, the key after the letter, the deletion at the server.
type mailbox struct {
	keeper       *keeper
	conversation *chat.Conversation
	at           signaling.Mail
	remembered   bool   // the person knows what an earlier run has left at the server
	announced    uint64 // the ID of the last message that the person knows to be at the server
	refused      bool   // the server takes no letters now; the next wait tries again
	reads        bool   // the person can write nothing here: listen reads letters
	told         *notices
}

// newMailbox returns the mailbox of a conversation with a contact. It is nil for other conversations, on a local network, where no server
// keeps letters, and without an outbox, where a message that was read would come again.
func (o *talkOptions) newMailbox(c *chat.Conversation, at signaling.Mail) *mailbox {
	if o.keeper.contact() == "" || o.outbox.journal == nil || o.server != o.named() {
		return nil
	}
	return &mailbox{keeper: o.keeper, conversation: c, at: at, told: &notices{}}
}

// A delivery is what one read has brought.
type delivery struct {
	generation string
	after      mail.Incoming
	letters    []mail.Letter
	report     mail.Report
	err        error // no letters came
	handled    chan error
}

// once reads the letters that wait, and leaves what is due.
func (m *mailbox) once(ctx context.Context) {
	m.renew()
	var read []mail.Incoming
	for _, g := range m.keeper.keys().Generations {
		for d, ok := m.take(ctx, g.ID(), 0); ok && len(d.letters) > 0; d, ok = m.take(ctx, g.ID(), 0) {
			if m.open(ctx, d) != nil {
				break
			}
			read = append(read, d.after)
		}
	}
	m.finish(ctx)
	for _, after := range read {
		m.delete(ctx, after)
	}
}

// run reads and leaves letters until ctx ends.
func (m *mailbox) run(ctx context.Context) {
	if m == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	came := make(chan delivery)
	for _, g := range m.keeper.keys().Generations {
		wg.Go(func() { m.read(ctx, g.ID(), came) })
	}
	m.renew()
	m.refused = false
	var posts chan error // of the letters that are under way, or nil: a server that takes none keeps no letter waiting
	for {
		var expired <-chan time.Time
		if posts == nil && m.ready() {
			posts = make(chan error, 1)
			wg.Go(func() { posts <- m.post(ctx) })
		} else if until := m.state().Until; posts == nil && !until.IsZero() {
			expired = time.After(nextLook(time.Now(), until))
		}
		select {
		case <-expired:
			m.renew()
		case d := <-came:
			d.handled <- m.open(ctx, d)
		case err := <-posts:
			posts = nil
			m.posted(ctx, err)
		case <-m.conversation.Changed():
		case <-ctx.Done():
			return
		}
	}
}

// last leaves what was written just before the program ends, and adds to err, with which the conversation has ended, that all that was
// not delivered waits at the server.
func (m *mailbox) last(ctx context.Context, err error) error {
	if m == nil || !m.conversation.Resumable() {
		return err
	}
	m.finish(ctx)
	state := m.state()
	rest, bad := m.conversation.Letter(state.Through, mail.MaxLetter, false)
	if u := (*chat.Undelivered)(nil); errors.As(err, &u) && bad == nil && rest.Text == nil && !rest.Held && len(state.Pending) == 0 {
		return leftError{err, u}
	}
	return err
}

// A leftError is that of a conversation whose messages were not delivered, but all wait at the server.
type leftError struct {
	error
	messages *chat.Undelivered // is in error
}

// Error returns the text of the error, which may first say how the conversation ended, with what became of the messages.
func (e leftError) Error() string {
	left := "1 message was not read yet: it waits at the server"
	if n := e.messages.Messages; n != 1 {
		left = fmt.Sprintf("%d messages were not read yet: they wait at the server", n)
	}
	return strings.Replace(e.error.Error(), e.messages.Error(), left, 1)
}

func (e leftError) Unwrap() error { return e.error }

// finish leaves what is due, also when ctx has ended.
func (m *mailbox) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPosts)
	defer cancel()
	for ctx.Err() == nil && m.ready() {
		m.posted(ctx, m.post(ctx))
	}
}

// read reads the box of one generation, until ctx ends or the server refuses.
func (m *mailbox) read(ctx context.Context, generation string, came chan<- delivery) {
	stop := func() {} // the last deletion
	defer func() { stop() }()
	if box, ok := m.box(generation, m.keeper.keys().Side.Other()); ok && box.Number > 0 { // an earlier run may have been killed before it
		stop = m.deleteBeside(ctx, mail.Incoming{Box: box})
	}
	for {
		d, ok := m.take(ctx, generation, mailWait)
		if !ok {
			return
		}
		if d.err == nil && len(d.letters) == 0 && d.report == (mail.Report{}) {
			continue
		}
		select {
		case came <- d:
		case <-ctx.Done():
			return
		}
		select {
		case err := <-d.handled:
			if err != nil || len(d.letters) == 0 { // a server that invents blocks is not asked again at once
				return
			}
		case <-ctx.Done():
			return
		}
		stop() // the next deletion covers it
		stop = m.deleteBeside(ctx, d.after)
	}
}

// deleteBeside deletes the letters before after while others are read, so that a server that deletes nothing keeps no letter waiting.
// The caller must call stop.
func (m *mailbox) deleteBeside(ctx context.Context, after mail.Incoming) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var deleting sync.WaitGroup
	deleting.Go(func() { m.delete(ctx, after) })
	return func() {
		cancel()
		deleting.Wait()
	}
}

// delete removes from the server the letters before after.
func (m *mailbox) delete(ctx context.Context, after mail.Incoming) {
	if err := after.Delete(ctx, m.at); err != nil && ctx.Err() == nil && !errors.Is(err, signaling.ErrMailOff) {
		m.tell(fmt.Sprintf("The server did not delete the letters that you have read: %s. They stay there, sealed. The program asks again in your next call with %s.", flatten(err), m.keeper.contact()))
	}
}

// take reads the box of a generation. It is not ok if its keys are gone.
func (m *mailbox) take(ctx context.Context, generation string, wait time.Duration) (d delivery, ok bool) {
	box, ok := m.box(generation, m.keeper.keys().Side.Other())
	if !ok {
		return d, false
	}
	d = delivery{generation: generation, handled: make(chan error, 1)}
	d.after, d.letters, d.report, d.err = mail.Incoming{Box: box}.Take(ctx, m.at, wait)
	return d, true
}

// box returns the box of a generation in which side leaves letters, as it is on disk. It is not ok if the keys are gone.
func (m *mailbox) box(generation string, side contact.Side) (b contact.Box, ok bool) {
	for _, g := range m.keeper.keys().Generations {
		if g.ID() == generation {
			return g.Boxes[side], true
		}
	}
	return b, false
}

// open shows the letters of a delivery, and then saves the key after them.
func (m *mailbox) open(ctx context.Context, d delivery) error {
	if d.err != nil {
		m.unread(d.err)
		return d.err
	}
	m.refused = m.refused && len(d.letters) == 0 // the other side has read, so there may be space again
	owed, gap, whole := false, lastGap(d.letters), false
	for i, l := range d.letters {
		opened, err := m.conversation.Open(l.Text)
		if err != nil {
			m.tell("A letter from " + m.keeper.contact() + " is in a form that this program does not know: both sides need the same version of p2pchat. " + m.keeper.contact() + " still has the letter, and you get it when you meet.")
		}
		owed, whole = owed || opened.Messages, whole || i >= gap && opened.Whole
		if err := m.settle(ctx); err != nil { // the next letter may be of another conversation
			return err
		}
	}
	if whole {
		d.report.Missing = 0
	}
	if text := d.report.String(); text != "" {
		m.tell(text)
	}
	m.keeper.hasRead(d.generation, d.after.Box)
	err := m.keeper.update(func(c *contacts.Contact) {
		c.Mail = m.current(*c)
		c.Mail.Owed = c.Mail.Owed || owed
	})
	if err != nil {
		m.tell(fmt.Sprintf("The keys of the letters that you have read could not be saved: %v.", err))
	}
	return err
}

// lastGap returns the index of the letter before which the last missing one was, if one is missing.
func lastGap(letters []mail.Letter) int {
	for i := len(letters) - 1; i > 0; i-- {
		if letters[i].Number != letters[i-1].Number+1 {
			return i
		}
	}
	return 0
}

// unread tells the person that letters cannot be read, of which there may be none.
func (m *mailbox) unread(err error) {
	if !errors.Is(err, signaling.ErrMailOff) { // else nothing waits there
		m.tell(fmt.Sprintf("The program cannot look for letters: %s. If %s has left you any, you get them when you meet.", flatten(err), m.keeper.contact()))
	}
}

// settle waits until the person has the letters, also for a moment after ctx has ended: else they would have no receipt, though they
// were shown.
func (m *mailbox) settle(ctx context.Context) error {
	if err := m.conversation.Settle(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPosts)
	defer cancel()
	return m.conversation.Settle(late)
}

// state returns how far the letters are.
func (m *mailbox) state() contacts.Mail {
	m.keeper.mu.Lock()
	defer m.keeper.mu.Unlock()
	return m.current(m.keeper.held.Contact)
}

// current returns how far the letters to c are. In a new generation or a new conversation, the count begins from nothing. Letters that
// are sealed for a box that the other side may still read are put there: their numbers are used.
func (m *mailbox) current(c contacts.Contact) contacts.Mail {
	id := m.conversation.ID()
	if c.Mail.Generation != c.Keys.ID() {
		kept := maps.Clone(c.Mail.Pending)
		maps.DeleteFunc(kept, func(generation string, _ []signaling.Block) bool {
			return !slices.ContainsFunc(c.Keys.Generations, func(g contact.Generation) bool { return g.ID() == generation })
		})
		return contacts.Mail{Generation: c.Keys.ID(), Conversation: id, Owed: c.Mail.Owed, Pending: kept}
	}
	if c.Mail.Conversation != id {
		c.Mail.Conversation, c.Mail.Through, c.Mail.Until = id, 0, time.Time{}
	}
	return c.Mail
}

// tell tells the person something once.
func (m *mailbox) tell(text string) {
	if m.told.isNew(text) {
		m.conversation.Tell(chat.Notice{Text: text})
	}
}

// mostNotices is how many texts are remembered: a malicious server may cause a new one with each reply.
const mostNotices = 32

// notices remember what the person was told. The zero notices are empty.
type notices struct {
	mu   sync.Mutex // guards what follows
	told map[string]bool
}

// isNew reports whether the person was not told a text, and remembers it. It forgets all texts when there are too many.
func (n *notices) isNew(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told[text] {
		return false
	}
	if len(n.told) >= mostNotices || n.told == nil {
		n.told = map[string]bool{}
	}
	n.told[text] = true
	return true
}

// update changes the contact whom the call is with, on disk, with what hasRead noted.
func (k *keeper) update(change func(*contacts.Contact)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.held.Update(func(c *contacts.Contact) {
		c.Keys.Generations = slices.Clone(c.Keys.Generations)
		for i, g := range c.Keys.Generations {
			if after, ok := k.read[g.ID()]; ok {
				c.Keys.Generations[i].Boxes[c.Keys.Side.Other()] = after
			}
		}
		change(c)
	})
	if err == nil {
		clear(k.read)
	}
	return err
}

// hasRead notes that the letters of a generation's box are read up to after, for the next update.
func (k *keeper) hasRead(generation string, after contact.Box) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read == nil {
		k.read = map[string]contact.Box{}
	}
	if after.Number > k.read[generation].Number {
		k.read[generation] = after
	}
}

// saveRead tries once more to save which letters were read, and reports whether the keys on disk say so.
func (k *keeper) saveRead() bool {
	if k == nil {
		return true
	}
	k.mu.Lock()
	saved := len(k.read) == 0
	k.mu.Unlock()
	return saved || k.update(func(*contacts.Contact) {}) == nil
}
