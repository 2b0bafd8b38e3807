package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
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

// receiptBox returns the box in which listen leaves receipts for contact n of kept.
func receiptBox(n int) contact.Box {
	key, nonce := fmt.Appendf(nil, "%032d", n), make([]byte, contact.NonceSize)
	return contact.Keep(contact.Second, key, nonce, nonce).Generations[0].Boxes[contact.First]
}

// leaves puts a letter into a box, once there is space, and returns how often there was none.
func leaves(t *testing.T, at signaling.Mail, from *mail.Outgoing, text string) (fulls int) {
	t.Helper()
	sealed, err := from.Seal([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		*from, _, err = sealed.Post(t.Context(), at)
		if err != nil && !errors.Is(err, signaling.ErrBoxFull) {
			t.Fatal(err)
		}
		if err != nil {
			fulls++
		}
		return err == nil
	}, func() string { return err.Error() })
	return fulls
}

// A receipt that finds the contact's box full is told of once, and left once there is space.
func TestListenWhereTheBoxIsFull(t *testing.T) {
	server := serving(t, "--mail", "--rate", "client=0", "--mail-quota", "blocks=1")
	at, from, receipts := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}, mail.Incoming{Box: receiptBox(0)}
	_, f := listensFor(t, server, 1, func(s *switchboard) { s.letters.again = 50 * time.Millisecond })
	letterOf(t, at, &from, letterWith("a", 1, "first"))
	if text := next(t, f.letters); text != "first" {
		t.Fatalf("shown %q", text)
	}
	if _, letters, _, err := receipts.Take(t.Context(), at, patience); err != nil || len(letters) != 1 { // it stays there
		t.Fatalf("%d receipts, %v", len(letters), err)
	}
	leaves(t, at, &from, letterWith("a", 2, "second"))
	if text := next(t, f.letters); text != "second" {
		t.Fatalf("shown %q", text)
	}
	const full = "@c0: c0 cannot be told yet that you have read the letters: c0's mailbox is full. c0 learns it when you meet at the latest."
	if text := next(t, f.notes); text != full {
		t.Fatalf("told %q", text)
	}
	receipts, _, _, err := receipts.Take(t.Context(), at, 0)
	if err == nil {
		err = receipts.Delete(t.Context(), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, letters, _, err := receipts.Take(t.Context(), at, patience)
	if err != nil || len(letters) != 1 || !strings.Contains(string(letters[0].Text), `"heard":2`) {
		t.Errorf("once there is space, %d receipts come: %+v, %v", len(letters), letters, err)
	}
	if len(f.notes) > 0 || len(f.letters) > 0 {
		t.Errorf("told %d times more, shown %d letters more", len(f.notes), len(f.letters))
	}
}

// A contact who fills the box again and again, with text for the terminal, is read in order, and keeps no other from being read.
func TestAContactWhoFloodsWithLetters(t *testing.T) {
	server := serving(t, "--mail", "--rate", "client=0", "--mail-quota", "blocks=20")
	var shown *transcript
	listensFor(t, server, 2, func(s *switchboard) { shown = s.showsIn("in lines") })
	at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
	const hostile = "\x1b]0;owned\a\x1b[2J\u202eflood "
	const letters = 60
	fulls := 0
	for n := 1; n <= letters; n++ {
		fulls += leaves(t, at, &from, letterWith("a", n, fmt.Sprint(hostile, n)))
		if n == letters/2 {
			other := mail.Outgoing{Box: boxOfContact(1)}
			letterOf(t, at, &other, letterWith("b", 1, "from another"))
		}
	}
	if err := errors.Join(shown.showsText("from another\n"), shown.showsText(fmt.Sprint("flood ", letters, "\n"))); err != nil {
		t.Fatal(err)
	}
	last := -1
	for n := range letters {
		text := fmt.Sprint("flood ", n+1, "\n")
		if at := strings.Index(shown.String(), text); at < last || strings.Count(shown.String(), text) != 1 {
			t.Errorf("letter %d is shown %d times, or too early", n+1, strings.Count(shown.String(), text))
		} else {
			last = at
		}
	}
	if strings.ContainsAny(shown.String(), "\x1b\a\u202e") {
		t.Errorf("a letter steers the terminal: %q", shown)
	}
	if fulls == 0 {
		t.Error("the box was never full")
	}
}

// A slowFace shows a letter once it may.
type slowFace struct {
	notingFace
	shows chan struct{} // when it has begun to show one
	may   chan struct{} // closed when it may
}

func (f slowFace) letter(name string, e chat.Event) error {
	if _, ok := e.(chat.Message); ok {
		f.shows <- struct{}{}
		<-f.may
	}
	return f.notingFace.letter(name, e)
}

// One who answers a contact whose letters listen is reading waits until they are read, and is shown none of them again.
func TestAnswerWhileListenReads(t *testing.T) {
	server := serving(t, "--mail", "--rate", "client=0")
	slow := slowFace{shows: make(chan struct{}, 100), may: make(chan struct{})}
	s, f := listensFor(t, server, 1, func(s *switchboard) {
		slow.notingFace = s.face.(notingFace) //nolint:forcetypeassert // see listensFor
		s.face = slow
	})
	let := sync.OnceFunc(func() { close(slow.may) })
	defer let()
	at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
	letterOf(t, at, &from, letterWith("a", 1, "first"))
	select {
	case <-slow.shows:
	case <-time.After(patience):
		t.Fatal("no letter is shown")
	}
	answer := launchWith(t, t.TempDir(), []string{"P2PCHAT_NO_OUTBOX=false"}, "answer", "@c0", "--ui", "json")
	select {
	case <-answer.ended:
		t.Fatalf("it does not wait: %s", answer.err)
	case <-time.After(time.Second): // less than it is willing to wait
	}
	let()
	if text := next(t, f.letters); text != "first" {
		t.Errorf("listen shows %q", text)
	}
	letterOf(t, at, &from, letterWith("a", 2, "second"))
	c, err := s.book.Find("c0")
	if err != nil {
		t.Fatal(err)
	}
	select { // either may have it
	case text := <-f.letters:
		t.Logf("listen shows %q", text)
	case err := <-waitsFor(answer, `"text":"second"`):
		if err != nil {
			t.Fatalf("%v\n%s", err, answer.err)
		}
	}
	if strings.Contains(answer.out.String(), `"text":"first"`) {
		t.Errorf("a letter is shown twice:\n%s", answer.out)
	}
	eventually(t, func() bool { // then answer has the contact
		held, err := s.book.TryHold(c.ID)
		if err == nil {
			held.Release()
		}
		return errors.Is(err, contacts.ErrInUse) && strings.Contains(answer.out.String(), `"type":"waiting"`)
	}, func() string { return fmt.Sprintf("answer does not go on: %s\n%s", answer.out, answer.err) })
}

// waitsFor returns whether a program has printed something, once it has.
func waitsFor(p *process, text string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- p.out.showsText(text) }()
	return done
}

// mailboxOf returns a mailbox of a conversation with contact 0 of kept.
func mailboxOf(t *testing.T, server string, change func(*contacts.Contact)) (m *mailbox) {
	t.Helper()
	state := t.TempDir()
	kept(t, server, state, 1, func(int) string { return "" })
	book := contacts.Open(filepath.Join(state, "p2pchat", "contacts"))
	c, err := book.Find("c0")
	if err != nil {
		t.Fatal(err)
	}
	held, err := book.TryHold(c.ID)
	if err == nil {
		err = held.Update(change)
	}
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{book: book, side: signaling.Callee, server: server, held: held}
	t.Cleanup(k.release)
	return &mailbox{keeper: k, conversation: chat.New(chat.Config{Contact: "c0", Keeper: k}), at: clientOf(t, server), told: &notices{}}
}

// A mailbox deletes what an earlier run had read, and was killed before it deleted it.
func TestAMailboxDeletesWhatAnEarlierRunHadRead(t *testing.T) {
	t.Parallel()
	server := serving(t, "--mail", "--rate", "client=0")
	at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
	letterOf(t, at, &from, letterWith("a", 1, "first"))
	read, _, _, err := mail.Incoming{Box: boxOfContact(0)}.Take(t.Context(), at, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := mailboxOf(t, server, func(c *contacts.Contact) { c.Keys.Generations[0].Boxes[contact.Second] = read.Box })
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { m.run(ctx) })
	defer wg.Wait()
	defer stop()
	eventually(t, func() bool {
		_, letters, _, err := mail.Incoming{Box: boxOfContact(0)}.Take(t.Context(), at, 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(letters) == 0
	}, func() string { return "the letter is still there" })
}

// A letter that is being shown when the program is told to end is waited for, so that it has its receipt.
func TestALetterThatIsBeingShownIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := mailboxOf(t, "http://127.0.0.1:9", func(*contacts.Contact) {})
	begins := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		<-begins
		<-time.After(100 * time.Millisecond) // the person's terminal is slow
		for range m.conversation.Events() {
		}
	})
	var settled error
	_ = m.conversation.Run(t.Context(), func(ctx context.Context) (chat.Link, error) { // ends with errAbsent
		over, end := context.WithCancel(ctx)
		end()
		if _, err := m.conversation.Open([]byte(letterWith("a", 1, "first"))); err != nil {
			t.Error(err)
		}
		close(begins)
		settled = m.settle(over)
		m.conversation.Leave()
		return chat.Link{}, errAbsent
	})
	m.conversation.Close()
	wg.Wait()
	if settled != nil {
		t.Errorf("it is not waited for: %v", settled)
	}
}

// A contact is stored, or confirmed, though another program reads its letters at that moment.
func TestAKeeperWaitsForOneWhoReadsLetters(t *testing.T) {
	t.Parallel()
	book := contacts.Open(t.TempDir())
	k := &keeper{book: book, side: signaling.Caller, server: "https://chat.example.org"}
	stored, err := k.Store(agreement(1))
	if err != nil {
		t.Fatal(err)
	}
	reads := func() {
		t.Helper()
		held, err := book.Hold(t.Context(), k.added) // a program that another test starts may have it while it forks
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(100*time.Millisecond, held.Release)
	}
	reads()
	if !k.Shown(stored.ID) {
		t.Error("the contact is not confirmed")
	}
	held, err := book.Hold(t.Context(), k.added) // a program that another test starts may have it while it forks
	if err != nil {
		t.Fatal(err)
	}
	confirmed := make(chan bool)
	go func() { confirmed <- k.Shown(stored.ID) }()
	for range 1000 { // while that waits, the call goes on
		k.at("https://chat.example.org")
		runtime.Gosched()
	}
	held.Release()
	if !<-confirmed {
		t.Error("the call waits for the one who reads letters")
	}
	reads()
	again := agreement(1)
	again.Name = "carl"
	if kept, err := k.Store(again); kept.Name != "carl" || err != nil {
		t.Errorf("kept as %+v: %v", kept, err)
	}
}
