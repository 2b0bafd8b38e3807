package main

import (
	"encoding/json"
	"fmt"
	"os"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// kept is what --outbox has of a conversation that an earlier run did not end.
type kept struct {
	journal *chat.Journal // nil without the flag
	again   *peer.Again   // nil for a new conversation
}

// open reads the file, if one is named; other is the other side's command.
func (k *kept) open(path, other string) (err error) {
	if path == "" {
		return nil
	}
	const hint = "name another file, or remove this one: then what it keeps is lost"
	if k.journal, err = chat.OpenJournal(path); err != nil {
		return &usageError{err: fmt.Errorf("--outbox: %w", err), hint: hint}
	}
	text, heard := k.journal.Again()
	if text == "" {
		return nil
	}
	k.again = &peer.Again{}
	if err := json.Unmarshal([]byte(text), k.again); err != nil {
		return &usageError{err: fmt.Errorf("--outbox: %s: %w", path, err), hint: hint}
	}
	k.again.Heard = heard
	if is := map[signaling.Side]string{signaling.Caller: "call", signaling.Callee: "answer"}[k.again.Side]; is == other {
		return &usageError{err: fmt.Errorf("--outbox: the conversation in %s was begun with 'p2pchat %s'", path, is), hint: "go on with p2pchat " + is + ", or name another file"}
	}
	return nil
}

// stands tells whether the file is still there, because the conversation is not over.
func (k *kept) stands(path string) bool {
	_, err := os.Stat(path)
	return k.journal != nil && err == nil
}

func (k *kept) String() string {
	s := "going on with the conversation in the outbox"
	switch n := k.journal.Waiting(); n {
	case 0:
	case 1:
		s += ", 1 message of which was not delivered"
	default:
		s += fmt.Sprintf(", %d messages of which were not delivered", n)
	}
	return s + "; waiting for the other side to come back"
}

// again is how to meet the other side of p once more, as a text.
func again(p *peer.Pipe) string {
	if p.Foreign {
		return ""
	}
	b, err := json.Marshal(p.Again())
	if err != nil {
		panic(err) // nothing in it can fail
	}
	return string(b)
}
