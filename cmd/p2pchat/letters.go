package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	letterPace  = 200 * time.Millisecond // between two contacts: the server limits the requests of a client, and calls need some
	letterLimit = 10 * time.Second       // for what one contact has left
	owedPause   = time.Minute            // between two attempts to leave a receipt that the server did not take
)

// A letterReader looks for letters of one contact after another while listen waits. A look is one request a box, and needs no lock.
// Only letters that open lead to more: then the contact is held, and a mailbox reads them as it does in a call.
type letterReader struct {
	board *switchboard

	mu      sync.Mutex                   // guards what follows
	clients map[string]*signaling.Client // by server
	told    map[string]map[string]bool   // by contact: see mailbox
	tried   map[string]time.Time         // by contact: when a receipt was last tried again
}

func newLetterReader(s *switchboard) *letterReader {
	return &letterReader{board: s, clients: map[string]*signaling.Client{}, told: map[string]map[string]bool{}, tried: map[string]time.Time{}}
}

// run reads the letters of all contacts until ctx ends.
func (r *letterReader) run(ctx context.Context) {
	s := r.board
	defer func() {
		r.mu.Lock() // lookAt may be at work
		defer r.mu.Unlock()
		for _, c := range r.clients {
			c.CloseIdle()
		}
	}()
	for ctx.Err() == nil {
		round := time.After(letterRound)
		off := map[string]bool{} // servers without mail, or out of reach
		for _, c := range s.withDecoys(s.contactsIn(lineWaiting)) {
			if off[c.Server] || len(s.screen) > 0 { // what a call shows must not be mixed with it
				continue
			}
			if err := r.look(ctx, c); err != nil {
				off[c.Server] = true
				s.o.logger.Debug("the letters of contacts cannot be read", "why", err)
			}
			select {
			case <-time.After(letterPace):
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

// lookAt reads the letters of a contact whose offer has led to no call: that of a program that was killed may do so again and again.
func (r *letterReader) lookAt(ctx context.Context, id string) {
	for _, c := range r.board.contactsIn(lineProving) {
		if c.ID == id && !r.board.o.noOutbox && len(r.board.screen) == 0 {
			_ = r.look(ctx, c) // the next round says why
		}
	}
}

// contactsIn returns the contacts who may call, and whose lines are in a state.
func (s *switchboard) contactsIn(state lineState) (all []contacts.Contact) {
	done := make(chan struct{})
	s.post(func() {
		defer close(done)
		for _, l := range s.lines {
			if l.Ring != contacts.RingRefuse && l.state == state { // a refused contact must not see that letters are read
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

// withDecoys adds contacts that do not exist, so that no server can count those who do.
func (s *switchboard) withDecoys(all []contacts.Contact) []contacts.Contact {
	at := map[string]int{}
	for _, c := range all {
		at[c.Server]++
	}
	for server, n := range at {
		for _, keys := range peer.Decoys(s.seedAt(server), n) {
			all = append(all, contacts.Contact{Server: server, Keys: keys})
		}
	}
	rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] }) //nolint:gosec // no secret
	return all
}

// look reads the letters of a contact, if there are any. It returns an error if its server has no mail, or is out of reach.
func (r *letterReader) look(ctx context.Context, c contacts.Contact) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, letterLimit)
	defer cancel()
	at, err := r.client(c.Server)
	if err != nil {
		return err
	}
	for _, g := range c.Keys.Generations {
		d, err := lookInto(ctx, at, g.Boxes[c.Keys.Side.Other()])
		switch {
		case err != nil:
			return err
		case len(d.letters) > 0:
			r.read(ctx, c, at)
			return nil
		case d.report != (mail.Report{}) && c.ID != "":
			r.tell(c, d.report.String())
		}
	}
	owes := c.Mail.Owed || len(c.Mail.Pending) > 0 // the server took no receipt before
	if owes && r.board.readsLetters() && time.Since(r.tried[c.ID]) >= owedPause {
		r.tried[c.ID] = time.Now()
		r.read(ctx, c, at)
	}
	return nil
}

func lookInto(ctx context.Context, at signaling.Mail, box contact.Box) (d delivery, err error) {
	_, d.letters, d.report, err = mail.Incoming{Box: box}.Take(ctx, at, 0)
	return d, err
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

// tell tells the person something of a contact, once.
func (r *letterReader) tell(c contacts.Contact, text string) {
	told := r.toldOf(c.ID)
	if !told[text] {
		told[text] = true
		r.board.post(func() { r.board.face.note(contactMark + c.Name + ": " + text) })
	}
}

func (r *letterReader) toldOf(id string) map[string]bool {
	if r.told[id] == nil {
		r.told[id] = map[string]bool{}
	}
	return r.told[id]
}

// read reads the letters of a contact, and leaves the receipts. A screen that cannot show them tells that they wait.
func (r *letterReader) read(ctx context.Context, c contacts.Contact, at *signaling.Client) {
	if !r.board.readsLetters() {
		r.tell(c, fmt.Sprintf("messages wait for you at the server. To read them: p2pchat answer %s%s", contactMark, c.Name))
		return
	}
	held, err := r.board.book.TryHold(c.ID)
	switch {
	case errors.Is(err, contacts.ErrInUse), errors.Is(err, contacts.ErrNone): // a call reads them, or the contact was forgotten
		return
	case err != nil:
		r.tell(c, flatten(err))
		return
	}
	o := r.board.o.at(held.Server)
	o.keeper = &keeper{book: r.board.book, side: signaling.Callee, server: held.Server, held: held}
	defer o.keeper.release()
	var trouble strings.Builder
	if err := o.openOutbox(c.ID, &trouble); err != nil || o.outbox.journal == nil {
		r.tell(c, "letters cannot be read without an outbox. "+trouble.String())
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
	if err := o.outbox.close(conversation); err != nil {
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
