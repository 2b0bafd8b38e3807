package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer/contact"
	"p2pchat/peer/mail"
	"p2pchat/signaling"
)

// A notingFace passes on what it is told of letters.
type notingFace struct{ notes, letters chan string }

func (notingFace) read(ctx context.Context)                        { <-ctx.Done() }
func (notingFace) listening([]contacts.Contact)                    {}
func (notingFace) ringing(string, bool)                            {}
func (notingFace) waits(string) func()                             { return func() {} }
func (notingFace) ended(string, ringEnd)                           {}
func (f notingFace) note(text string)                              { f.notes <- text }
func (notingFace) talk(context.Context, talkOptions, func()) error { return nil }
func (f notingFace) letter(_ string, e chat.Event) error {
	if m, ok := e.(chat.Message); ok {
		f.letters <- m.Text
	}
	return nil
}

// listensFor runs the switchboard of one who has kept n contacts at a server.
func listensFor(t *testing.T, server string, n int, set func(*switchboard)) (s *switchboard, f notingFace) {
	t.Helper()
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	kept(t, server, state, n, func(int) string { return "" })
	ctx, leave := context.WithCancel(t.Context())
	f = notingFace{make(chan string, 100), make(chan string, 100)}
	o := &listenOptions{talkOptions: talkOptions{logger: slog.New(slog.DiscardHandler), side: signaling.Callee}}
	s = newSwitchboard(o, contacts.Open(filepath.Join(state, "p2pchat", "contacts")), make([]byte, seedSize), io.Discard, leave)
	s.face, s.letters.round, s.letters.pace = f, 50*time.Millisecond, time.Millisecond
	set(s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.run(ctx) }) // ends with ctx
	t.Cleanup(func() {
		leave()
		wg.Wait()
	})
	return s, f
}

// letterOf seals a letter of contact n, and puts it into the box.
func letterOf(t *testing.T, at signaling.Mail, from *mail.Outgoing, text string) {
	t.Helper()
	out, err := from.Seal([]byte(text))
	if err == nil {
		out, _, err = out.Post(t.Context(), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	*from = out
}

// boxOfContact returns the box in which contact n of kept leaves letters.
func boxOfContact(n int) contact.Box {
	key, nonce := fmt.Appendf(nil, "%032d", n), make([]byte, contact.NonceSize)
	return contact.Keep(contact.First, key, nonce, nonce).Generations[0].Boxes[contact.Second]
}

func clientOf(t *testing.T, server string) *signaling.Client {
	t.Helper()
	c, err := signaling.NewClient(server, signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// next returns the next text, and fails the test if there is none in time.
func next(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case text := <-from:
		return text
	case <-time.After(patience):
		t.Fatal("nothing was told")
		return ""
	}
}

// looksAt starts a door before a server that keeps mail, and returns its address and the boxes that listen looks into.
func looksAt(t *testing.T) (server string, looked <-chan string) {
	t.Helper()
	behind, err := url.Parse(serving(t, "--mail", "--rate", "client=0"))
	if err != nil {
		t.Fatal(err)
	}
	proxy, boxes := httputil.NewSingleHostReverseProxy(behind), make(chan string, 1<<16)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if box, isMail := strings.CutPrefix(r.URL.Path, "/mail/"); isMail && r.Method == http.MethodGet {
			boxes <- box
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	return door.URL, boxes
}

// Whatever a contact does, listen looks into its box as often as into the others: once a round.
func TestLooksTellNoContacts(t *testing.T) {
	server, looked := looksAt(t)
	listensFor(t, server, 5, func(s *switchboard) {
		s.post(func() { // each contact has another state
			state := lineWaiting
			for _, l := range s.lines {
				l.state = state
				state++
			}
		})
	})
	looks := map[string]int{}
	for most := 0; most < 5; {
		box := next(t, looked)
		looks[box]++
		most = max(most, looks[box])
	}
	if len(looks) != 16 {
		t.Errorf("it looks into %d boxes, want 16", len(looks))
	}
	for box, n := range looks {
		if n < 4 {
			t.Errorf("it looks into box %s %d times, and into another 5 times", box, n)
		}
	}
}

// That letters wait is told again once they were read elsewhere, and others have come, in the box of older keys, too.
func TestLettersThatWaitAreToldAgain(t *testing.T) {
	for generations := 1; generations <= 2; generations++ {
		t.Run(fmt.Sprint("generations of keys: ", generations), func(t *testing.T) { testToldAgain(t, generations) })
	}
}

func testToldAgain(t *testing.T, generations int) {
	t.Helper()
	server, looked := looksAt(t)
	at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
	letterOf(t, at, &from, "first")
	var book *contacts.Book
	update := func(change func(k *contact.Keys) error) {
		t.Helper()
		c, err := book.Find("c0")
		if err != nil {
			t.Fatal(err)
		}
		held, err := book.TryHold(c.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Release()
		keys := held.Keys
		if err := errors.Join(change(&keys), held.Update(func(c *contacts.Contact) { c.Keys = keys })); err != nil {
			t.Fatal(err)
		}
	}
	_, f := listensFor(t, server, 1, func(s *switchboard) {
		s.o.program, book = "program", s.book
		if generations == 2 {
			update(func(k *contact.Keys) (err error) {
				*k, err = k.Roll(k.ID(), make([]byte, contact.KeySize))
				return err
			})
		}
	})
	const waits = "@c0: messages wait for you at the server. To read them: p2pchat answer @c0"
	if text := next(t, f.notes); text != waits {
		t.Errorf("told %q", text)
	}
	letterOf(t, at, &from, "second")
	read, _, _, err := mail.Incoming{Box: boxOfContact(0)}.Take(t.Context(), at, 0)
	if err == nil {
		err = read.Delete(t.Context(), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	update(func(k *contact.Keys) error { // as the program that reads them does
		if len(k.Generations) != generations {
			return fmt.Errorf("there are %d generations", len(k.Generations))
		}
		k.Generations[generations-1].Boxes[k.Side.Other()] = read.Box // the newest generation is the first
		return nil
	})
	for len(looked) > 0 {
		<-looked
	}
	for range 3 * 16 { // then it has found the box empty
		next(t, looked)
	}
	letterOf(t, at, &from, "third")
	if text := next(t, f.notes); text != waits {
		t.Errorf("told %q", text)
	}
	if len(f.notes) > 0 {
		t.Errorf("told as well: %q", <-f.notes)
	}
}

// A program of --exec is told of messages that wait, and not of a receipt.
func TestAReceiptIsNoMessage(t *testing.T) {
	server, looked := looksAt(t)
	at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
	letterOf(t, at, &from, `{"conversation":"`+strings.Repeat("a", 32)+`","first":1,"of":"`+strings.Repeat("b", 32)+`","heard":2}`)
	_, f := listensFor(t, server, 1, func(s *switchboard) { s.o.program = "program" })
	for range 3 * 16 {
		next(t, looked)
	}
	if len(f.notes) > 0 {
		t.Errorf("told of a receipt: %q", <-f.notes)
	}
	letterOf(t, at, &from, `{"conversation":"`+strings.Repeat("a", 32)+`","first":1,"frames":[{"seq":1,"text":"hello"}]}`)
	if text := next(t, f.notes); text != "@c0: messages wait for you at the server. To read them: p2pchat answer @c0" {
		t.Errorf("told %q", text)
	}
}

// Letters that were looked for when a call was answered wait until the screen is free, and those of a contact who is held until it is not.
func TestLettersWaitForACall(t *testing.T) {
	server := serving(t, "--mail", "--rate", "client=0")
	at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
	s, f := listensFor(t, server, 1, func(s *switchboard) {
		s.letters.round = time.Hour
		s.post(func() { clear(s.lines) })
	})
	r := newLetterReader(s) // that of s has nothing to read
	c, err := s.book.Find("c0")
	if err != nil {
		t.Fatal(err)
	}
	letterOf(t, at, &from, `{"conversation":"`+strings.Repeat("a", 32)+`","first":1,"frames":[{"seq":1,"text":"hello"}]}`)
	s.screen <- struct{}{}
	r.read(t.Context(), c, at)
	if len(f.letters) > 0 {
		t.Fatal("a letter is shown in a call")
	}
	<-s.screen

	held, err := s.book.TryHold(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.read(t.Context(), c, at)
	if r.busy[c.ID] == nil {
		t.Fatal("the next offer does not wait for the letters")
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		r.await(t.Context(), c.ID)
	}()
	held.Release()
	r.read(t.Context(), c, at)
	<-read
	if text := next(t, f.letters); text != "hello" {
		t.Errorf("shown %q", text)
	}
}

// A server that causes a new text with each reply makes the program remember a bounded number of them.
func TestNoticesAreBounded(t *testing.T) {
	var n notices
	for i := range 1000 {
		if !n.isNew(strconv.Itoa(i)) || n.isNew(strconv.Itoa(i)) {
			t.Fatalf("text %d is not told once", i)
		}
		if len(n.told) > mostNotices {
			t.Fatalf("%d texts are remembered", len(n.told))
		}
	}
}
