package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// kept is the content of --outbox: a conversation that an earlier run did not end.
type kept struct {
	path    string
	journal *chat.Journal // nil without the flag
	with    *appointment  // nil for a new conversation
	guessed bool          // wrong codes were tried before the two sides met: the next run counts them
}

// An appointment says how to meet the other side again.
type appointment struct {
	Server string
	Again  peer.Resumption
}

// String is the text that the journal keeps.
func (a appointment) String() string {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // each member can be marshalled
	}
	return string(b)
}

// open reads the file, if one is named; other is the other side's command.
func (k *kept) open(path, other string) (err error) {
	if path == "" {
		return nil
	}
	k.path = path
	k.journal, err = chat.OpenJournal(path)
	switch {
	case errors.Is(err, chat.ErrJournalInUse):
		return &usageError{err: fmt.Errorf("--outbox: %w", err), hint: "stop that program first, or name another file"}
	case err != nil:
		return &usageError{err: fmt.Errorf("--outbox: %w", err), hint: "name a file that only you can read and write, or a new one"}
	}
	text, heard := k.journal.Again()
	if text == "" {
		return nil
	}
	k.with = &appointment{}
	if err := json.Unmarshal([]byte(text), k.with); err != nil {
		return &usageError{err: fmt.Errorf("--outbox: %s: %w: %w", path, chat.ErrJournalDamaged, err), hint: "name another file"}
	}
	k.with.Again.Heard = heard
	k.guessed = k.with.Again.Spent > 0 && !k.met()
	if is := map[signaling.Side]string{signaling.Caller: "call", signaling.Callee: "answer"}[k.with.Again.Side]; is == other {
		return &usageError{err: fmt.Errorf("--outbox: the conversation in %s was started with 'p2pchat %s'", path, is), hint: "continue with p2pchat " + is + ", or name another file"}
	}
	return nil
}

// continueCode takes the code of the conversation in the outbox. Before the two sides have met, another
// code may replace a burnt one, or one without messages: there is no conversation to continue. A
// caller whose code is burnt gets a new code.
func (o *talkOptions) continueCode(text string) error {
	was, met := o.kept.with.Again, o.kept.met()
	if !o.serverGiven {
		o.server, o.serverGiven = o.kept.with.Server, o.kept.with.Server != defaultServer
	}
	o.code = was.Typed
	if text != "" {
		code, err := o.parse(text)
		if err != nil {
			return err
		}
		o.code = code
	}
	burnt := was.Burnt()
	if met {
		burnt = nil // they meet in another room
	}
	other := o.code != was.Typed
	if burnt != nil && text == "" && was.Side == signaling.Caller {
		o.code, other = peer.Code{}, true
	}
	switch {
	case !other && burnt == nil:
		return nil
	case !other:
		return fmt.Errorf("%s: %w", o.code, burnt)
	case burnt == nil && (met || o.kept.journal.Waiting() > 0):
		return &usageError{err: fmt.Errorf("--outbox: %s holds a conversation with another code that has not ended", o.outbox), hint: "leave the code out to continue it, or name another file"}
	}
	o.kept.with, o.kept.guessed = nil, false
	return nil
}

// commit saves where the conversation goes on, and returns once it is on disk.
func (k *kept) commit(c *chat.Conversation, now appointment) error {
	if k.journal == nil {
		return nil
	}
	k.guessed = now.Again.Spent > 0 && now.Again.Rendezvous == (peer.Code{})
	return c.Commit(now.String())
}

// again is for the session: nil for a new conversation.
func (k *kept) again() *peer.Resumption {
	if k.with == nil {
		return nil
	}
	return &k.with.Again
}

// met tells whether the two have met.
func (k *kept) met() bool { return k.with != nil && k.with.Again.Rendezvous != (peer.Code{}) }

// news returns what a person should know of the outbox, or "".
func (k *kept) news() string {
	if k.journal == nil {
		return ""
	}
	left := ""
	switch n := k.journal.Waiting(); {
	case n == 1:
		left = "1 message"
	case n > 1:
		left = strconv.Itoa(n) + " messages"
	}
	switch {
	case k.met() && left != "":
		return "Continuing the conversation in the outbox: " + left + " not delivered yet. Waiting for the other side to come back."
	case k.met():
		return "Continuing the conversation in the outbox. Waiting for the other side to come back."
	case left != "":
		return left + " in the outbox will be sent when the other side joins."
	}
	return ""
}

// explain adds to err that the outbox keeps undelivered messages, if it does.
func (k *kept) explain(c *chat.Conversation, err error) error {
	if u := (*chat.Undelivered)(nil); k.journal != nil && errors.As(err, &u) && c.Kept() {
		return fmt.Errorf("%w; kept in %s: run the same command to continue", err, k.path)
	}
	return err
}

// end closes the file. The screen has ended.
func (k *kept) end(c *chat.Conversation) error {
	if k.journal == nil {
		return nil
	}
	if err := k.journal.End(c.Kept() || k.guessed); err != nil {
		return fmt.Errorf("closing the outbox: %w", err)
	}
	return nil
}
