package main

import (
	"fmt"
	"testing"

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
