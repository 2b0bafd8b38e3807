package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/peer/mail"
	"p2pchat/signaling"
)

const (
	letterRound = 20 * time.Second       // how often listen looks for letters
	letterPace  = 200 * time.Millisecond // between two boxes: the server limits the requests of a client, and calls need some
	letterLimit = 10 * time.Second       // for what is in one box
	letterAgain = time.Minute            // between two attempts to leave a receipt that the server did not take
)

// A letterReader looks for letters while listen waits. A look is one request a box, and needs no lock. So that no server can tell
// which boxes are of contacts, it looks into each box once a round, in any order, whatever the contact does. Only letters that open lead
// to more: then the contact is held, and a mailbox reads them as it does in a call.
type letterReader struct {
	board              *switchboard
	round, pace, again time.Duration // see letterRound, letterPace and letterAgain

	// owned by run:
	clients map[string]*signaling.Client // by server
	told    map[string]*notices          // by contact, see mailbox, and by server
	tried   map[string]time.Time         // by contact: when a receipt was last tried again
	empty   map[string]int               // by contact: how many boxes this round has found empty

	mu   sync.Mutex               // guards what follows
	busy map[string]chan struct{} // of contacts with letters who were held by another call; closed once they are read
}

func newLetterReader(s *switchboard) *letterReader {
	return &letterReader{
		board: s, round: letterRound, pace: letterPace, again: letterAgain,
		clients: map[string]*signaling.Client{}, told: map[string]*notices{}, tried: map[string]time.Time{}, busy: map[string]chan struct{}{},
	}
}

// A boxOf is a box to look into, of a contact, or if the contact has no ID of no one.
type boxOf struct {
	contacts.Contact
	box contact.Box
}

// run reads the letters of all contacts until ctx ends.
func (r *letterReader) run(ctx context.Context) {
	s := r.board
	defer func() {
		for _, c := range r.clients {
			c.CloseIdle()
		}
	}()
	for ctx.Err() == nil {
		round := time.After(r.round)
		off := map[string]bool{} // servers without mail, or out of reach
		r.empty = map[string]int{}
		all := s.callers()
		r.forget(all)
		for _, b := range s.boxes(all) {
			if off[b.Server] || len(s.screen) > 0 { // what a call shows must not be mixed with it
				continue
			}
			if err := r.look(ctx, b); err != nil {
				off[b.Server] = true
				r.unread(b.Server, err)
			}
			select {
			case <-time.After(r.pace):
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-round:
		case <-ctx.Done():
		}
	}
}

// forget drops what the reader knows of contacts who are gone.
func (r *letterReader) forget(all []contacts.Contact) {
	known := map[string]bool{}
	for _, c := range all {
		known[c.ID], known[c.Server] = true, true
	}
	maps.DeleteFunc(r.told, func(id string, _ *notices) bool { return !known[id] })
	maps.DeleteFunc(r.tried, func(id string, _ time.Time) bool { return !known[id] })
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.busy, func(id string, _ chan struct{}) bool { return !known[id] })
}

// await waits, after an offer of a contact that has led to no call, until the next round has read the letters that it kept from being
// read: the offer of a program that was killed would hold the contact again and again.
func (r *letterReader) await(ctx context.Context, id string) {
	r.mu.Lock()
	read := r.busy[id]
	r.mu.Unlock()
	if read == nil {
		return
	}
	late := time.NewTimer(r.round + letterLimit)
	defer late.Stop()
	select {
	case <-read:
	case <-late.C:
	case <-ctx.Done():
	}
}

// setBusy notes whether a contact is held who has letters.
func (r *letterReader) setBusy(id string, busy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch read := r.busy[id]; {
	case busy && read == nil:
		r.busy[id] = make(chan struct{})
	case !busy && read != nil:
		close(read)
		delete(r.busy, id)
	}
}

// callers returns the contacts who may call.
func (s *switchboard) callers() []contacts.Contact {
	var all []contacts.Contact // the loop may still append when this has returned
	done := make(chan struct{})
	s.post(func() {
		defer close(done)
		for _, l := range s.lines {
			if l.Ring != contacts.RingRefuse { // a refused contact must not see that letters are read
				all = append(all, l.Contact)
			}
		}
	})
	select {
	case <-done:
		return all
	case <-s.quit:
		return nil
	}
}

// boxes returns the boxes of contacts in random order, with boxes of no one, so that no server can count the contacts.
func (s *switchboard) boxes(all []contacts.Contact) (list []boxOf) {
	at := map[string]int{}
	for _, c := range all {
		at[c.Server]++
		for _, g := range c.Keys.Generations {
			list = append(list, boxOf{c, g.Boxes[c.Keys.Side.Other()]})
		}
	}
	for server, n := range at {
		for _, box := range peer.DecoyBoxes(s.seedAt(server), n, time.Now()) {
			list = append(list, boxOf{contacts.Contact{Server: server}, box})
		}
	}
	rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] }) //nolint:gosec // no secret
	return list
}

// look reads the letters in a box, if there are any. It returns an error if its server has no mail, or is out of reach.
func (r *letterReader) look(ctx context.Context, b boxOf) error {
	ctx, cancel := context.WithTimeout(ctx, letterLimit)
	defer cancel()
	at, err := r.client(b.Server)
	if err != nil {
		return err
	}
	_, letters, report, err := mail.Incoming{Box: b.box}.Take(ctx, at, 0)
	owes := b.Mail.Owed || len(b.Mail.Pending) > 0 // the server took no receipt before
	switch {
	case err != nil:
		return err
	case b.ID == "":
	case len(letters) > 0 && r.board.readsLetters():
		r.read(ctx, b.Contact, at) // the mailbox that reads them tells the report
	case len(letters) > 0:
		r.tellOfWaiting(b, letters, report)
	case report != (mail.Report{}):
		r.tellReport(b, report)
	case owes && r.board.readsLetters() && time.Since(r.tried[b.ID]) >= r.again:
		r.read(ctx, b.Contact, at)
	case !owes:
		if r.empty[b.ID]++; r.empty[b.ID] == len(b.Keys.Generations) { // nothing of what was told lasts
			delete(r.told, b.ID)
		}
	}
	return nil
}

// tellOfWaiting tells what was wrong with letters, and that others wait, unless all are receipts.
func (r *letterReader) tellOfWaiting(b boxOf, letters []mail.Letter, report mail.Report) {
	if slices.ContainsFunc(letters[lastGap(letters):], func(l mail.Letter) bool { return chat.IsWhole(l.Text) }) {
		report.Missing = 0 // only receipts are
	}
	r.tellReport(b, report)
	if slices.ContainsFunc(letters, func(l mail.Letter) bool { return !chat.IsReceipt(l.Text) }) {
		r.tell(b.Contact, fmt.Sprintf("messages wait for you at the server. To read them: p2pchat answer %s%s", contactMark, b.Name))
	}
}

// tellReport tells what was wrong with letters, unless another program has read some since the contact was: they would count as missing.
func (r *letterReader) tellReport(b boxOf, report mail.Report) {
	if report == (mail.Report{}) {
		return
	}
	c, err := r.board.book.Find(b.Name)
	if err == nil && c.ID == b.ID && slices.ContainsFunc(c.Keys.Generations, func(g contact.Generation) bool {
		box := g.Boxes[c.Keys.Side.Other()]
		return box.Number == b.box.Number && bytes.Equal(box.Take, b.box.Take)
	}) {
		r.tell(b.Contact, report.String())
	}
}

// client returns the client of a server.
func (r *letterReader) client(server string) (*signaling.Client, error) {
	if c := r.clients[server]; c != nil {
		return c, nil
	}
	o := r.board.o.at(server)
	c, _, err := o.clientAt(signaling.Config{Key: o.key})
	if err == nil {
		r.clients[server] = c
	}
	return c, err
}

// tell tells the person something of a contact, once until all boxes of the contact are found empty in one round.
func (r *letterReader) tell(c contacts.Contact, text string) {
	if r.toldOf(c.ID).isNew(text) {
		r.board.post(func() { r.board.face.note(contactMark + c.Name + ": " + text) })
	}
}

// unread notes that a box at a server could not be read. The person is told once if a reply made no sense, of which no Listener tells.
func (r *letterReader) unread(server string, err error) {
	r.board.o.logger.Debug("the letters of contacts cannot be read", "why", err)
	if errors.Is(err, signaling.ErrForeign) && r.toldOf(server).isNew(server) {
		r.board.post(func() {
			r.board.face.note(fmt.Sprintf("The program cannot look for letters at %s: %s. If your contacts have left you any, you get them when you meet.", server, flatten(err)))
		})
	}
}

// toldOf returns what the person was told of the contact with that ID, or of a server.
func (r *letterReader) toldOf(id string) *notices {
	if r.told[id] == nil {
		r.told[id] = &notices{}
	}
	return r.told[id]
}

// read reads the letters of a contact, and leaves the receipts.
func (r *letterReader) read(ctx context.Context, c contacts.Contact, at *signaling.Client) {
	select { // an answered call waits for the screen until the letters are shown
	case r.board.screen <- struct{}{}:
		defer func() { <-r.board.screen }()
	default:
		return // a call was answered since
	}
	held, err := r.board.book.TryHold(c.ID)
	switch {
	case errors.Is(err, contacts.ErrInUse): // a call reads them, or an offer that leads to none: see await
		r.setBusy(c.ID, true)
		return
	case errors.Is(err, contacts.ErrNone): // it was forgotten
		return
	case err != nil:
		r.tell(c, flatten(err))
		return
	}
	r.setBusy(c.ID, false)
	r.tried[c.ID] = time.Now()
	o := r.board.o.at(held.Server)
	o.keeper = &keeper{book: r.board.book, side: signaling.Callee, server: held.Server, held: held}
	defer o.keeper.release()
	if err := o.openOutbox(c.ID); err != nil || o.outbox.journal == nil {
		r.tell(c, strings.TrimSpace("letters cannot be read without an outbox. "+strings.Join(o.notices, " ")))
		return
	}
	conversation := chat.New(chat.Config{Contact: held.Name, Keeper: o.chatKeeper(), Name: o.name, Journal: o.outbox.journal, Log: o.logger})
	o.recordCode(conversation)
	box := o.newMailbox(conversation, at)
	box.reads, box.told = true, r.toldOf(c.ID)
	var wg sync.WaitGroup
	name := held.Name
	wg.Go(func() { r.show(conversation, name) })
	// Run goes on when listen ends, so that what is shown gets its receipt. What is not delivered stays in the outbox.
	_ = conversation.Run(context.WithoutCancel(ctx), func(context.Context) (chat.Link, error) {
		box.once(ctx)
		conversation.Leave()
		return chat.Link{}, errAbsent
	})
	conversation.Close()
	wg.Wait()
	if err := o.outbox.close(conversation, o.keeper); err != nil {
		r.tell(c, flatten(err))
	}
}

// show shows what letters bring, until one cannot be shown: that one, and those after it, are then not read.
func (r *letterReader) show(c *chat.Conversation, name string) {
	for e := range c.Events() {
		shown := make(chan error, 1)
		switch e := e.(type) {
		case chat.Message, chat.Delivered:
			r.board.post(func() { shown <- r.board.face.letter(name, e) })
		case chat.Notice:
			r.board.post(func() { r.board.face.note(contactMark + name + ": " + e.Text) })
			continue
		default:
			continue
		}
		select {
		case <-r.board.over:
			if len(shown) == 0 || <-shown != nil { // no one has seen it
				return
			}
		case err := <-shown:
			if err != nil {
				return
			}
		}
	}
}

// readsLetters reports whether listen shows letters itself: a program of --exec has calls only, and the list of contacts has no place
// for them.
func (s *switchboard) readsLetters() bool { return !s.o.full && s.o.program == "" }
