package screen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"p2pchat/chat"
)

// JSON is the screen for programs: one object a line, both ways (docs/json.md).
func JSON(ctx context.Context, c *chat.Conversation, s Streams) error {
	j := jsonScreen{s, c}
	return run(ctx, c, s, wholeLines, j.handle, func(e chat.Event) error { return Encode(s.Out, e) })
}

type jsonScreen struct {
	Streams
	talk *chat.Conversation
}

// A command is an object of the input. The members of types that are not known may be
// anything.
type command struct {
	Type      string          `json:"type"`
	Text      json.RawMessage `json:"text"`
	More      bool            `json:"more"`
	Path      json.RawMessage `json:"path"`
	ID        json.RawMessage `json:"id"`
	Direction json.RawMessage `json:"direction"`
	Name      json.RawMessage `json:"name"`
	Compared  bool            `json:"compared"`
}

// handle runs the command of a line. A command of an unknown type is for a later version.
func (j jsonScreen) handle(ctx context.Context, in line) error {
	if in.text == "" {
		return nil
	}
	m, code, err := parseCommand(in)
	if err != nil {
		return j.refuse(in, code, err)
	}
	switch m.Type {
	case "message":
		return j.say(ctx, in, m)
	case "leave":
		j.talk.Leave()
	case "again":
		if j.Again == nil {
			return nil
		}
		if err := j.Again(); err != nil {
			_ = j.refuse(in, "not-again", err) // nothing was to be delivered
		}
	case "keep":
		if err := m.keep(j.talk); err != nil {
			_ = j.refuse(in, "not-kept", err) // nothing was to be delivered
		}
	case "send-file":
		if code, err := m.sendFile(ctx, j.talk); err != nil {
			return j.refuse(in, code, err)
		}
	case "accept", "decline", "cancel":
		if code, err := m.decide(j.talk); err != nil {
			_ = j.refuse(in, code, err) // nothing was to be delivered
		}
	}
	return nil
}

// refuse reports why a line was refused. It returns errReported, with which the line counts as input that was
// not delivered.
func (j jsonScreen) refuse(in line, code string, err error) error {
	j.talk.Tell(Failed{Code: code, Message: fmt.Sprintf("input line %d: %v", in.number, err)})
	return errReported
}

// The reasons for which every face that takes JSON refuses a line. A type that it does not know is for a later version.
var (
	ErrNoObject = errors.New("it is not a JSON object of a known form")
	ErrNoType   = errors.New("an object needs a type, such as message")
)

// parseCommand returns the command of a line. The code of an error is for programs.
func parseCommand(in line) (m command, code string, err error) {
	switch {
	case in.cut:
		return m, "too-long", chat.ErrTooLong
	case !utf8.ValidString(in.text):
		return m, "not-text", chat.ErrNotText
	case json.Unmarshal([]byte(in.text), &m) != nil:
		return m, "bad-input", ErrNoObject
	case m.Type == "":
		return m, "bad-input", ErrNoType
	}
	return m, "", nil
}

func (j jsonScreen) say(ctx context.Context, in line, m command) error {
	var text *string
	switch {
	case json.Unmarshal(m.Text, &text) != nil || text == nil:
		return j.refuse(in, "bad-input", errors.New("a message needs a text"))
	case losesSurrogate(m.Text, *text):
		return j.refuse(in, "not-text", errors.New("half of a surrogate pair is no character"))
	}
	say := j.talk.Say
	if m.More {
		say = j.talk.SayPart
	}
	_, err := say(ctx, *text)
	switch {
	case errors.Is(err, chat.ErrTooLong):
		return j.refuse(in, "too-long", err)
	case errors.Is(err, chat.ErrUnkept):
		return j.refuse(in, "not-kept", err)
	case errors.Is(err, chat.ErrLate):
		_ = j.refuse(in, "over", err) // the conversation counts it
	case errors.Is(err, chat.ErrOver):
		return j.refuse(in, "over", err)
	}
	return err
}

// losesSurrogate reports whether half of a surrogate pair was replaced when raw was read as text: text then
// has more replacement characters than raw.
func losesSurrogate(raw json.RawMessage, text string) bool {
	const replacement = "\uFFFD"
	return strings.Count(text, replacement) > strings.Count(string(raw), replacement)+strings.Count(strings.ToLower(string(raw)), `\ufffd`)
}

// sendFile offers a file. The code of an error is for programs.
func (m command) sendFile(ctx context.Context, c *chat.Conversation) (code string, err error) {
	var path string
	if json.Unmarshal(m.Path, &path) != nil || path == "" {
		return "bad-input", errors.New("send-file needs a path")
	}
	_, err = c.SendFiles(ctx, path)
	return "not-sent", err
}

// keep keeps the other side as a contact.
func (m command) keep(c *chat.Conversation) error {
	var name string
	if m.Name != nil && json.Unmarshal(m.Name, &name) != nil {
		return errors.New("the name of a contact is a text")
	}
	return c.KeepPeer(name, m.Compared)
}

// decide accepts, declines or cancels a file. The code of an error is for programs.
func (m command) decide(c *chat.Conversation) (code string, err error) {
	var id uint64
	if json.Unmarshal(m.ID, &id) != nil {
		return "bad-input", fmt.Errorf("%s needs an id", m.Type)
	}
	switch m.Type {
	case "accept":
		if err := c.Accept(id); !errors.Is(err, chat.ErrNoFile) {
			return "not-written", err
		}
		return "no-file", chat.ErrNoFile
	case "decline":
		return "no-file", c.Decline(id)
	}
	var direction string
	if json.Unmarshal(m.Direction, &direction) != nil || direction != "in" && direction != "out" {
		return "bad-input", errors.New("cancel needs a direction, in or out")
	}
	return "no-file", c.Cancel(id, direction == "out")
}
