package chat

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"p2pchat/chat/reliable"
)

// A letter carries messages to a side that is away, beside the pipes:
//
//	Say ─▶ outbox ─▶ Letter ── (a mailbox) ─▶ Open ─▶ Events ─▶ reader
//	Delivered ◀─ Open ◀────── (a mailbox) ── Letter ◀─── Settle ◀┘
//
// It holds the hello and the numbered frames that a pipe would carry, so a message that arrives both ways arrives once. The message
// stays in the outbox until it is acknowledged, in a letter or on a pipe.
type letter struct {
	Conversation string     `json:"conversation"`
	First        uint64     `json:"first"`
	Of           string     `json:"of,omitempty"`
	Heard        uint64     `json:"heard,omitempty"`
	Written      time.Time  `json:"written"`          // the letter; its messages, too, but those that
	Waited       []waited   `json:"waited,omitempty"` // have waited before
	Frames       []inLetter `json:"frames,omitempty"`
	Through      *uint64    `json:"through,omitempty"` // without Frames: the number of the last message in the letters before; nil if not said
}

// An inLetter is a message in a letter, or a part of one.
type inLetter struct {
	Seq  uint64 `json:"seq"`
	Part bool   `json:"part,omitempty"`
	Void bool   `json:"void,omitempty"` // a number that says nothing to the reader of a letter, such as the end of an earlier input
	Text string `json:"text"`
}

// errLetter is returned by Open.
var errLetter = errors.New("this is not a letter of a conversation")

// A Letter is what a side leaves for the other one.
type Letter struct {
	Text    []byte
	First   uint64 // the lowest ID that is not acknowledged
	Through uint64 // the ID of the last message that is in this Letter or in those before
	Held    bool   // what comes next, such as a file, has to wait for a pipe, and so does what was said after it
}

// Letter returns a Letter of at most limit bytes with the messages after the ID after that are not acknowledged. It says, too, up to
// where this side has read. Its Text is nil if there is no such message, unless bare is set.
func (c *Conversation) Letter(after uint64, limit int, bare bool) (Letter, error) {
	hello, frames := c.stream.Letter(after)
	l := letter{Conversation: hello.Conversation, First: hello.First, Of: hello.Of, Heard: hello.Heard, Written: time.Now().UTC()}
	l.Waited = waitedOf(frames, l.Written)
	through, held := max(after, hello.First-1), false
	bareLetter := l
	bareLetter.Through = &through
	text, err := json.Marshal(bareLetter)
	var voids []inLetter // before the next message, without which no letter needs them
	for i, f := range frames {
		if isVoid(f) {
			voids = append(voids, inLetter{Seq: f.Seq, Void: true})
			continue
		}
		if !isMessage(f) {
			held = slices.ContainsFunc(frames[i:], waits)
		}
		if !isMessage(f) || err != nil {
			break
		}
		with := l
		with.Frames = append(append(with.Frames, voids...), inLetter{Seq: f.Seq, Part: f.Kind == kindPart, Text: f.Text})
		var longer []byte
		if longer, err = json.Marshal(with); err == nil && len(longer) > limit {
			held = len(l.Frames) == 0
			break
		}
		l, text, through, voids = with, longer, f.Seq, nil
	}
	if err != nil || len(l.Frames) == 0 && !bare {
		text = nil
	}
	return Letter{Text: text, First: hello.First, Through: through, Held: held}, err
}

func isMessage(f reliable.Frame) bool { return f.Kind == kindMessage || f.Kind == kindPart }

// isVoid reports whether a frame says nothing to one who reads letters. A void one may stand before messages of a later run: letters have to
// carry its number, or their reader would wait for it.
func isVoid(f reliable.Frame) bool {
	return f.Kind == kindEnd || f.Kind == kindCancel && f.Text == voidCancel
}

// waits reports whether a person would miss a frame that is in no letter.
func waits(f reliable.Frame) bool { return isMessage(f) || f.Kind == kindOffer }

// IsReceipt reports whether a letter has no messages, and says only what the other side has read.
func IsReceipt(text []byte) bool {
	var l letter
	return json.Unmarshal(text, &l) == nil && l.Conversation != "" && len(l.Frames) == 0
}

// IsWhole reports whether a letter has the first message for which its writer has no receipt, or says that there is none in the letters
// before: then no message is missing.
func IsWhole(text []byte) bool {
	l, last, err := parseLetter(text)
	return err == nil && (last > 0 && l.Frames[0].Seq <= l.First || last == 0 && l.Through != nil && *l.Through < l.First)
}

// parseLetter returns what is in a letter, and the number of its last message: 0 without messages.
func parseLetter(text []byte) (l letter, last uint64, err error) {
	if json.Unmarshal(text, &l) != nil || l.Conversation == "" {
		return l, 0, errLetter
	}
	for _, f := range l.Frames {
		if len(f.Text) > MaxMessage || !utf8.ValidString(f.Text) {
			return l, 0, errLetter
		}
		last = f.Seq
	}
	return l, last, nil
}

// Opened says what was in a letter.
type Opened struct {
	Messages bool // there were some, whether or not they had arrived before
	Whole    bool // no message in it or in the letters before is missing: a letter that is, held only a receipt
}

// Open hands the reader what is in a letter of the other side. Only the function that Run calls for the next pipe may call it, before it returns.
func (c *Conversation) Open(text []byte) (Opened, error) {
	l, last, err := parseLetter(text)
	if err != nil {
		return Opened{}, err
	}
	opened := Opened{Messages: len(l.Frames) > 0}
	if c.stream.HasRead(l.Conversation, last) { // it comes late, from the box of older keys
		if l.Of == c.stream.ID() {
			c.delivered(l.Heard)
		}
		opened.Whole = c.hasAll(l, last)
		return opened, nil
	}
	fresh, heard := c.stream.Greet(reliable.Hello{Conversation: l.Conversation, First: l.First, Heard: l.Heard, Of: l.Of})
	c.mu.Lock()
	c.peer.Conversation, c.peer.Name = l.Conversation, c.peerName(c.peer.Name)
	from := c.peer.Name
	if fresh {
		c.life.move(theirs, open)
		c.partial = false
	}
	c.mu.Unlock()
	if fresh {
		c.transfers.Restarted(heard)
	}
	if l.Of == c.stream.ID() {
		c.delivered(l.Heard)
	}
	c.takeLetter(l, from)
	opened.Whole = c.hasAll(l, last)
	return opened, nil
}

// hasAll reports whether the reader was given all messages of a letter, of which last is the last, and of those before.
func (c *Conversation) hasAll(l letter, last uint64) bool {
	if last == 0 && l.Through != nil {
		return c.stream.HasTaken(l.Conversation, *l.Through)
	}
	return last > 0 && c.stream.HasTaken(l.Conversation, last)
}

// takeLetter hands the reader what is new in a letter.
func (c *Conversation) takeLetter(l letter, from string) {
	now := time.Now()
	if l.Written.After(now) {
		l.Written = now
	}
	for _, f := range l.Frames {
		at, verdict := c.stream.Receive(f.Seq)
		if verdict != reliable.Fresh {
			continue
		}
		written := writtenAt(l.Waited, f.Seq, now)
		if written.IsZero() {
			written = l.Written
		}
		var e Event = consumed{at}
		if !f.Void {
			e = Message{ID: f.Seq, From: from, Text: f.Text, GoesOn: f.Part, Continues: c.partial, Written: written, at: at}
		}
		if !c.tell(e) {
			break
		}
		c.stream.Took(at)
		c.partial = f.Part || f.Void && c.partial
	}
}

// Settle returns once the reader is done with all that was opened, and the Journal says so on disk. Until then the letters must not be
// deleted. It returns ErrOver if the reader has stopped, the context's error, or that of the Journal.
func (c *Conversation) Settle(ctx context.Context) error {
	for !c.stream.Settled() {
		select {
		case <-c.wake:
		case <-c.deaf:
			return ErrOver
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if j := c.config.Journal; j != nil {
		return c.unkept(j.file.Sync())
	}
	return nil
}

// Changed yields after something was said or read while there is no pipe.
func (c *Conversation) Changed() <-chan struct{} { return c.wake }

// ID returns the random name of this side's conversation.
func (c *Conversation) ID() string { return c.stream.ID() }
