package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/signaling"
)

// contactMark begins the name of a contact where a code could stand.
const contactMark = "@"

// howToKeep tells a person without contacts how to get one.
const howToKeep = "To keep one: meet in a call with a code (p2pchat call), and both type /keep there."

// A keeper stores what a conversation learns of contacts: the other side that is kept in it, or the next keys of the contact
// whom it is with. It implements chat.Keeper.
type keeper struct {
	book   *contacts.Book
	side   signaling.Side
	server string

	mu     sync.Mutex     // guards what follows
	held   *contacts.Held // the contact whom the call is with; nil in a call with a code
	added  string         // the ID of the contact that was kept last; empty before
	key    []byte         // of the call in which it was kept
	agreed string         // the ID of the keys with which it was kept
	last   []byte         // key of the call from which the contact's keys follow now

	read map[string]contact.Box // by generation: how far letters are read, where the disk does not say so
}

// refuseSeveral returns a usageError if text, where one code or contact is expected, has a contact and more.
func refuseSeveral(text string, side signaling.Side) error {
	words := strings.Fields(text)
	first := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, contactMark) })
	if first < 0 || len(words) == 1 {
		return nil
	}
	return &usageError{
		err:  fmt.Errorf("'p2pchat %s' takes one contact, or one code: it was given %s", command(side), screen.Clean(strings.Join(words, " "))),
		hint: fmt.Sprintf("did you mean 'p2pchat %s %s'? Each call is with one person", command(side), screen.Clean(words[first])),
	}
}

// holdContact makes the call one with the contact of that name, unless it is one already. No other program can call the contact until
// release. It says in notes for what it waits.
func (o *talkOptions) holdContact(ctx context.Context, name string, notes io.Writer) error {
	if o.keeper.contact() != "" {
		return nil
	}
	c, err := findContact(name)
	if err != nil {
		return err
	}
	book, err := contactBook()
	if err != nil {
		return err
	}
	held, err := holdPatiently(ctx, book, c, notes)
	if err != nil {
		return contactError(name, err)
	}
	server := held.Server // also with --lan always: the two meet there again without it
	if o.lan != always {
		if !o.serverGiven || o.serverSaved {
			o.server, o.serverGiven, o.serverSaved = held.Server, held.Server != defaultServer, false
		}
		server = o.server
	}
	o.keeper = &keeper{book: book, side: o.side, server: server, held: held}
	return nil
}

// shortHold is for how long a program holds a contact whose letters it reads, as a rule: a person does not notice that wait.
const shortHold = 300 * time.Millisecond

// holdPatiently is Book.Hold, and says in notes for what it waits if that takes longer than a moment. It returns errInterrupted if ctx
// ends.
func holdPatiently(ctx context.Context, book *contacts.Book, c contacts.Contact, notes io.Writer) (*contacts.Held, error) {
	soon, cancel := context.WithTimeout(ctx, shortHold)
	defer cancel()
	held, err := book.Hold(soon, c.ID)
	if errors.Is(err, contacts.ErrInUse) && ctx.Err() == nil {
		writeNotices(notes, fmt.Sprintf("waiting up to %d s for the program that uses %s%s", int(contacts.HoldPatience.Seconds()), contactMark, c.Name))
		held, err = book.Hold(ctx, c.ID)
	}
	if err != nil && ctx.Err() != nil {
		return nil, errInterrupted
	}
	return held, err
}

// findContact returns the contact of that name, or a usageError that names those who are meant perhaps.
func findContact(name string) (contacts.Contact, error) {
	book, err := contactBook()
	if err != nil {
		return contacts.Contact{}, &usageError{err: err}
	}
	c, err := book.Find(name)
	if err == nil {
		return c, nil
	}
	err = contactError(name, err)
	if u := (*usageError)(nil); errors.As(err, &u) {
		list, _ := book.List() // those that can be read
		var names []string
		for _, c := range list {
			names = append(names, c.Name)
		}
		if meant := screen.Closest(name, names); meant != "" {
			u.hint = fmt.Sprintf("did you mean %s%s?", contactMark, meant)
		}
	}
	return contacts.Contact{}, err
}

// contactError words an error about a contact.
func contactError(name string, err error) error {
	if errors.Is(err, errInterrupted) {
		return err
	}
	u := &usageError{err: fmt.Errorf("%s%s: %w", contactMark, name, err)}
	switch {
	case errors.Is(err, contacts.ErrNone):
		u.hint = "'p2pchat contacts' lists those whom you have kept"
	case errors.Is(err, contacts.ErrUnread):
		u.hint = "'p2pchat contacts' lists those that can be read"
	case errors.Is(err, contacts.ErrInUse):
		u.hint = "end that program, or try again in a moment"
	}
	return u
}

// checkKeep checks the value of --keep.
func checkKeep(name string) error {
	if err := (*keeper)(nil).Check(name); err != nil {
		return &usageError{err: fmt.Errorf("--keep %q: %w", name, err), hint: "example: --keep ben"}
	}
	return nil
}

// findKeeper finds the place for the contact that may be kept in this call. Without one, nothing is kept.
func (o *talkOptions) findKeeper() error {
	if o.keepAs != "" {
		if err := checkKeep(o.keepAs); err != nil {
			return err
		}
	}
	if o.keeper != nil {
		return nil
	}
	book, err := contactBook()
	switch {
	case err == nil:
		o.keeper = &keeper{book: book, side: o.side, server: o.server}
	case o.keepAs != "":
		return &usageError{err: fmt.Errorf("--keep: %w", err)}
	}
	return nil
}

// chatKeeper returns the keeper, as the conversation wants it.
func (o *talkOptions) chatKeeper() chat.Keeper {
	if o.keeper == nil {
		return nil
	}
	return o.keeper
}

// at notes the server of the call, where the two will meet again.
func (k *keeper) at(server string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.server = server
}

// release lets other programs call the contact.
func (k *keeper) release() {
	if k != nil && k.held != nil {
		k.held.Release()
	}
}

// contact returns the name of the contact whom the call is with, or "".
func (k *keeper) contact() string {
	if k == nil || k.held == nil {
		return ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held.Name
}

// id returns the ID of the contact whom the call is with.
func (k *keeper) id() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held.ID
}

// keys returns the contact's newest keys.
func (k *keeper) keys() contact.Keys {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held.Keys
}

// roll stores the keys that follow from a meeting with the contact, and returns the ID to show to the other side once they are
// on disk.
func (k *keeper) roll(p *peer.Pipe) (shows string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil && bytes.Equal(k.last, p.ContactKey()) { // the connection has moved, see peer.Pipe.Replaced
		return k.held.Keys.ID(), nil
	}
	next, err := k.held.Keys.Roll(p.Generation(), p.ContactKey())
	if err != nil {
		return "", err
	}
	err = k.held.Update(func(c *contacts.Contact) { c.Keys, c.Seen, c.Server = next, time.Now(), k.server })
	if err != nil {
		return "", err
	}
	k.last = p.ContactKey()
	return next.ID(), nil
}

// Declined implements chat.Keeper. Without it, the next call would try the place of the new keys first, where the contact is not.
func (k *keeper) Declined(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held == nil {
		return
	}
	keys := k.held.Keys.Unroll(id)
	_ = k.held.Update(func(c *contacts.Contact) { c.Keys = keys }) // else both stay, and the next call takes longer
	k.last = nil
}

// Check implements chat.Keeper.
func (k *keeper) Check(name string) error {
	return contacts.CheckName(strings.TrimPrefix(name, contactMark))
}

// Store implements chat.Keeper.
func (k *keeper) Store(a chat.Agreement) (chat.Stored, error) {
	side, firsts, seconds := contact.First, a.Ours, a.Theirs
	if k.side == signaling.Callee {
		side, firsts, seconds = contact.Second, a.Theirs, a.Ours
	}
	keys := contact.Keep(side, a.Key, firsts, seconds)
	name := strings.TrimPrefix(a.Name, contactMark)
	k.mu.Lock()
	added, same := k.added, bytes.Equal(k.key, a.Key)
	k.mu.Unlock()
	if !same { // another key may be that of another person, who has answered with the same code
		return k.add(a, name, keys)
	}
	held, err := k.book.Hold(context.Background(), added) // it may wait, so not under mu
	if errors.Is(err, contacts.ErrNone) {                 // forgotten since
		return k.add(a, name, keys)
	}
	if err != nil {
		return chat.Stored{}, err
	}
	defer held.Release()
	k.mu.Lock()
	defer k.mu.Unlock()
	if name != "" && name != held.Name {
		if err := k.book.Rename(held, name); err != nil {
			return chat.Stored{}, err
		}
	}
	if k.agreed == keys.ID() { // since then, a call may have changed them: their boxes must not begin again
		return chat.Stored{Name: held.Name, ID: k.agreed}, nil
	}
	if err := held.Update(func(c *contacts.Contact) { c.Keys = keys }); err != nil {
		return chat.Stored{}, err
	}
	k.agreed = keys.ID()
	return chat.Stored{Name: held.Name, ID: k.agreed}, nil
}

// add stores a new contact.
func (k *keeper) add(a chat.Agreement, name string, keys contact.Keys) (chat.Stored, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name, now := cmp.Or(name, contacts.Proper(a.Peer)), time.Now()
	c, err := k.book.Add(contacts.Contact{Name: name, Peer: a.Peer, Server: k.server, Kept: now, Seen: now, Keys: keys})
	if err != nil {
		return chat.Stored{}, err
	}
	k.added, k.key, k.agreed = c.ID, bytes.Clone(a.Key), keys.ID()
	stored := chat.Stored{Name: c.Name, ID: k.agreed}
	if c.Name != name {
		stored.Taken = name
	}
	return stored, nil
}

// Shown implements chat.Keeper.
func (k *keeper) Shown(id string) bool {
	k.mu.Lock()
	held, added := k.held, k.added
	k.mu.Unlock()
	if held == nil {
		var err error
		if held, err = k.book.Hold(context.Background(), added); err != nil { // it may wait, so not under mu
			return false
		}
		defer held.Release()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if held.Keys.ID() != id {
		return false
	}
	next := held.Keys.Show(id)
	if held.Keys.Shown && len(held.Keys.Generations) == len(next.Generations) {
		return true
	}
	return held.Update(func(c *contacts.Contact) {
		if len(c.Keys.Generations) > len(next.Generations) { // only now all letters of before the call are void
			c.Mail = contacts.Mail{}
		}
		c.Keys = next
	}) == nil // else the older keys stay, which does no harm
}

// absentHint says what to do about a contact who has not come within --wait.
func (c *connector) absentHint() string {
	return fmt.Sprintf("the contact's p2pchat call, answer or listen has to run at the same time, perhaps for longer: --wait 10m; if %s%s has removed you as a contact, keep each other again in a call with a code", contactMark, c.o.keeper.contact())
}

// watchContact tells, once for each wait, that the contact, if the call is with one, has not come for some time though the server answers. A
// contact's program that was started again comes back by itself.
func (c *connector) watchContact(ctx context.Context, lost bool) {
	if c.o.keeper.contact() == "" {
		return
	}
	ticker := time.NewTicker(stillLost)
	defer ticker.Stop()
	for after := stillLost; ; after += stillLost {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if c.outage.cause(c.o, nil) != nil { // which is told, and may be why the contact does not come
			continue
		}
		c.mu.Lock()
		told := c.awayTold
		c.awayTold = true
		c.mu.Unlock()
		if !told {
			c.conversation.Tell(screen.StillAway{After: after, Contact: c.o.keeper.contact(), Answering: c.o.side == signaling.Callee, Lost: lost})
		}
		return
	}
}
