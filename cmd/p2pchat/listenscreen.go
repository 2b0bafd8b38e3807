package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/chat/screen/tui"
	"p2pchat/cmd/p2pchat/internal/contacts"
)

// A fullFace is a listenFace for a whole terminal: it has the list of contacts, or the call that is held.
type fullFace struct {
	board *switchboard
	std   stdio
	list  *tui.ContactList
	calls chan func() // that take the terminal from the list

	mu      sync.Mutex         // guards what follows
	call    *chat.Conversation // that has the terminal; nil without one
	rest    *screen.Rest       // of call, which has ended; nil before
	closing bool               // rest is to end
	next    []string           // who calls, is answered at once, and waits for the terminal
	closed  string             // what the next call shows of a rest that was closed for one
}

func newFullFace(s *switchboard, std stdio, quiet bool) *fullFace {
	f := &fullFace{board: s, std: std, calls: make(chan func())}
	in, _ := std.in.(io.ReadCloser) // or chooseScreen has chosen lines
	f.list = tui.NewContactList(screen.Streams{In: in, Out: std.out, Notes: std.err, Quiet: quiet, Interrupt: s.leave}, func(name string, yes bool) {
		s.post(func() {
			if err := s.answer(strings.TrimPrefix(name, contactMark), yes); err != nil {
				f.list.Note(screen.Capital(err.Error()) + ".")
			}
		})
	})
	return f
}

// read shows the list while no call has the terminal.
func (f *fullFace) read(ctx context.Context) {
	for ctx.Err() == nil {
		showing, hide := context.WithCancel(ctx)
		var call func()
		var wg sync.WaitGroup
		wg.Go(func() {
			select {
			case call = <-f.calls:
				hide()
			case <-showing.Done():
			}
		})
		left, err := f.list.Show(showing)
		hide()
		wg.Wait()
		if err != nil {
			fmt.Fprintf(f.std.err, "p2pchat: %v\n", err)
		}
		if left || err != nil {
			f.board.leave()
		}
		if call != nil {
			call()
		}
	}
}

// talk implements listenFace.
func (f *fullFace) talk(ctx context.Context, o talkOptions, free func()) error {
	o.joined = f.join
	o.ended = func(rest screen.Rest) {
		f.mu.Lock()
		f.rest = &rest
		f.mu.Unlock()
		free()
		f.giveWay()
	}
	f.mu.Lock()
	if f.closed != "" {
		o.notices = append(slices.Clip(o.notices), f.closed)
	}
	f.closed = ""
	f.mu.Unlock()
	ended := make(chan error, 1)
	select {
	case f.calls <- func() { ended <- talk(ctx, o, f.std) }:
		defer f.join(nil)
		return <-ended
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fullFace) join(c *chat.Conversation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call, f.rest, f.closing = c, nil, false
}

// waits implements listenFace.
func (f *fullFace) waits(name string) (end func()) {
	f.mu.Lock()
	f.next = append(f.next, name)
	f.mu.Unlock()
	f.giveWay()
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		i := slices.Index(f.next, name)
		f.next = slices.Delete(f.next, i, i+1)
	}
}

// giveWay closes the screen of an ended call if another one, which is answered at once, waits for it: no one may be there to press Enter.
func (f *fullFace) giveWay() {
	f.mu.Lock()
	rest := f.rest
	if rest == nil || f.closing || len(f.next) == 0 {
		f.mu.Unlock()
		return
	}
	f.closing = true
	name := contactMark + f.next[0]
	f.mu.Unlock()
	rest.Close(name+" is calling, and is answered at once: this screen has given way.", func(draft string) {
		closed := "The screen of the call before was closed when " + name + " called."
		if draft = strings.TrimSpace(draft); draft != "" {
			closed += " This was typed there, and not sent: " + draft
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.closed = closed
	})
}

// listening implements listenFace.
func (f *fullFace) listening(list []contacts.Contact) {
	var rows []tui.ListedContact
	for _, c := range list {
		state := map[string]string{contacts.RingAccept: "is answered at once", contacts.RingRefuse: "may not call"}[c.Ring]
		rows = append(rows, tui.ListedContact{Name: contactMark + c.Name, State: state, Barred: c.Ring == contacts.RingRefuse})
	}
	f.list.Set(rows)
}

// ringing implements listenFace.
func (f *fullFace) ringing(name string, accepts bool) {
	f.list.Ring(contactMark + name)
	calling := contactMark + name + " is calling"
	after := calling + ", for a minute at most. Close this screen to answer."
	if accepts { // the screen gives way
		after = ""
	}
	f.tellCall(calling+", for a minute at most. End this call to answer.", after, calling)
}

// ended implements listenFace.
func (f *fullFace) ended(name string, why ringEnd) {
	f.list.Ended(contactMark+name, string(why))
	if why == ringMissed {
		missed := "You missed a call of " + contactMark + name + "."
		f.tellCall(missed, missed, "")
	}
}

// note implements listenFace.
func (f *fullFace) note(text string) {
	f.list.Note(screen.Capital(strings.TrimSuffix(text, ".")) + ".")
}

// letter implements listenFace: see readsLetters.
func (*fullFace) letter(string, chat.Event) error { return errors.ErrUnsupported }

// tellCall shows during in the call that has the terminal; if that has ended, its screen shows after, unless that is empty. Both ring for
// the reason in rings.
func (f *fullFace) tellCall(during, after, rings string) {
	f.mu.Lock()
	call, rest := f.call, f.rest
	f.mu.Unlock()
	switch {
	case rest != nil:
		if after != "" {
			rest.Tell(after, rings)
		}
	case call != nil:
		call.Tell(screen.Told{Text: during, Rings: rings})
	}
}
