package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/signaling"
)

// Of a server that cannot be reached, no one knows whether letters wait there.
func TestLettersOfAServerThatIsAway(t *testing.T) {
	t.Parallel()
	talk := chat.New(chat.Config{})
	defer talk.Close()
	m := &mailbox{keeper: &keeper{held: &contacts.Held{Contact: contacts.Contact{Name: "ben"}}}, conversation: talk, told: &notices{}}
	m.unread(signaling.ErrMailOff)
	m.unread(fmt.Errorf("%w: connection refused", signaling.ErrUnreachable))
	for e := range talk.Events() {
		want := "The program cannot look for letters: the server cannot be reached: connection refused. If ben has left you any, you get them when you meet."
		if e != (chat.Notice{Text: want}) {
			t.Errorf("got %v, want %q", e, want)
		}
		return
	}
}

// The clock is looked at each minute at least: a timer stands still while the machine sleeps, and so does a time with a monotonic reading.
func TestLettersExpireWhileTheMachineSleeps(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for left, want := range map[time.Duration]time.Duration{
		7 * 24 * time.Hour: time.Minute,
		3 * time.Second:    3 * time.Second,
		-time.Hour:         time.Second,
	} {
		if got := nextLook(now, now.Add(left)); got != want {
			t.Errorf("the clock is looked at again %v after %v were left", got, left)
		}
	}
	if at := expiry(time.Hour); at != at.Round(0) {
		t.Errorf("%v has a monotonic reading", at)
	}
}

// Letters that have expired, and cannot be left again because nothing can be stored, are not said to be left again.
func TestExpiredLettersThatCannotBeStored(t *testing.T) {
	t.Parallel()
	p := newPair(t, serving(t, "--mail"))
	p.keep(t)
	book := contacts.Open(p.states[0] + "/p2pchat/contacts")
	ben, err := book.Find("ben")
	if err != nil {
		t.Fatal(err)
	}
	held, err := book.TryHold(ben.ID)
	if err != nil {
		t.Fatal(err)
	}
	talk := chat.New(chat.Config{})
	if _, err := talk.Say(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	held.Mail = contacts.Mail{Generation: held.Keys.ID(), Conversation: talk.ID(), Through: 1, Until: time.Now().Add(-time.Hour)}
	m := &mailbox{keeper: &keeper{book: book, held: held}, conversation: talk, announced: 1, told: &notices{}}
	if err := os.RemoveAll(p.states[0]); err != nil {
		t.Fatal(err)
	}
	m.renew()
	m.renew()
	talk.Close()
	var told []string
	for e := range talk.Events() {
		if n, ok := e.(chat.Notice); ok {
			told = append(told, n.Text)
		}
	}
	want := "What you left for ben at the server has expired there, and cannot be left again: "
	if len(told) != 1 || !strings.HasPrefix(told[0], want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
