package screen

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"p2pchat/chat"
)

// JSON is the screen for programs: one object a line, both ways (docs/json.md).
func JSON(ctx context.Context, c *chat.Conversation, s Streams) error {
	j := objects{s}
	return show(ctx, c, s, wholeLines, func(ctx context.Context, in line) error { return j.take(ctx, c, in) }, j.put)
}

type objects struct{ Streams }

func (j objects) take(ctx context.Context, c *chat.Conversation, in line) error {
	if in.text == "" {
		return nil
	}
	refuse := func(code, message string) error { // and the line counts as input that was not delivered
		c.Tell(Failed{Code: code, Message: fmt.Sprintf("input line %d: %s", in.number, message)})
		return errTold
	}
	var command command
	switch {
	case in.cut:
		return refuse("too-long", chat.ErrTooLong.Error())
	case !utf8.ValidString(in.text):
		return refuse("not-text", chat.ErrNotText.Error())
	case json.Unmarshal([]byte(in.text), &command) != nil:
		return refuse("bad-input", "it is not a JSON object of a known form")
	}
	switch command.Type {
	case "message":
		var text *string
		switch {
		case json.Unmarshal(command.Text, &text) != nil || text == nil:
			return refuse("bad-input", "a message needs a text")
		case mangled(command.Text, *text):
			return refuse("not-text", "half of a surrogate pair is no character")
		}
		say := c.Say
		if command.More {
			say = c.SayPart
		}
		_, err := say(ctx, *text)
		switch {
		case errors.Is(err, chat.ErrTooLong):
			return refuse("too-long", err.Error())
		case errors.Is(err, chat.ErrUnkept):
			return refuse("not-kept", err.Error())
		case errors.Is(err, chat.ErrOver):
			_ = refuse("over", err.Error()) // the conversation counts it
		}
		return err
	case "leave":
		c.Leave()
	case "again":
		if j.Again == nil {
			return nil
		}
		if err := j.Again(); err != nil {
			_ = refuse("not-again", err.Error()) // nothing was to be delivered
		}
	case "send-file", "accept", "decline", "cancel":
		if code, err := command.file(ctx, c); err != nil {
			if told := refuse(code, err.Error()); command.Type == "send-file" {
				return told
			}
		}
	}
	return nil // types that are not known are for a later version
}

// mangled tells whether half of a surrogate pair, which is none, was replaced when raw was
// read as text: more replacement characters came out than went in.
func mangled(raw json.RawMessage, text string) bool {
	const replacement = "\uFFFD"
	return strings.Count(text, replacement) > strings.Count(string(raw), replacement)+strings.Count(strings.ToLower(string(raw)), `\ufffd`)
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
}

// file does what a command wants with a file. The code of an error is for programs.
func (m command) file(ctx context.Context, c *chat.Conversation) (code string, err error) {
	var path, direction string
	var id uint64
	switch {
	case m.Type == "send-file":
		if json.Unmarshal(m.Path, &path) != nil || path == "" {
			return "bad-input", errors.New("send-file needs a path")
		}
		_, err := c.SendFiles(ctx, path)
		return "not-sent", err
	case json.Unmarshal(m.ID, &id) != nil:
		return "bad-input", fmt.Errorf("%s needs an id", m.Type)
	case m.Type == "accept":
		if err := c.Accept(id); !errors.Is(err, chat.ErrNoFile) {
			return "not-written", err
		}
		return "no-file", chat.ErrNoFile
	case m.Type == "decline":
		return "no-file", c.Decline(id)
	case json.Unmarshal(m.Direction, &direction) != nil, direction != "in" && direction != "out":
		return "bad-input", errors.New("cancel needs a direction, in or out")
	}
	return "no-file", c.Cancel(id, direction == "out")
}

func (j objects) put(e chat.Event) error { return Encode(j.Out, e) }

// Encode writes the object that JSON shows for an event. It writes nothing for an event that programs
// learn of otherwise.
func Encode(to io.Writer, e chat.Event) error {
	o := describe(e)
	if o == nil {
		return nil
	}
	o["at"] = time.Now().Format(time.RFC3339Nano)
	b, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("showing an event: %w", err)
	}
	if _, err := to.Write(append(escape(b), '\n')); err != nil {
		return unwritten(err)
	}
	return nil
}

type object = map[string]any

// describe is the object of an event, or nil if programs are told of it otherwise.
func describe(e chat.Event) object {
	switch e := e.(type) {
	case Waiting:
		o := object{"type": "waiting", "code": e.Code, "command": e.Command}
		return with(with(o, "link", e.Link), "answering", e.Answering)
	case NoCall:
		return with(object{"type": "no-call", "room": e.Room}, "command", e.Command)
	case WrongCode:
		if e.Left < 0 {
			return object{"type": "wrong-code"}
		}
		return object{"type": "wrong-code", "left": e.Left}
	case Connecting:
		return object{"type": "connecting"}
	case chat.Connected:
		words := e.SafetyWords
		if words == nil {
			words = []string{}
		}
		return object{"type": "connected", "verified": e.Verified, "safety_words": words, "peer": e.Peer, "path": e.Path, "took_ms": e.Took.Milliseconds()}
	case chat.Message:
		o := object{"type": "message", "id": e.ID, "from": e.From, "text": e.Text}
		if e.GoesOn {
			o["more"] = true
		}
		return o
	case chat.Delivered:
		return object{"type": "delivered", "id": e.ID}
	case Stats:
		return object{"type": "stats", "rtt_ms": float64(e.RTT.Microseconds()) / 1000}
	case chat.InputEnded:
		return object{"type": "input-ended"}
	case chat.Disconnected:
		return object{"type": "disconnected", "reason": e.Reason}
	case StillLost:
		return object{"type": "still-disconnected", "after_s": e.After.Seconds(), "code": e.Code}
	case chat.Renamed:
		return object{"type": "renamed", "from": e.From, "to": e.To}
	case chat.Reconnected:
		return object{"type": "reconnected"}
	case chat.Left:
		if e.Reply {
			return nil
		}
		if e.Closed {
			return object{"type": "left", "page_closed": true}
		}
		if e.Overheard {
			return object{"type": "left", "words_differ": true}
		}
		return object{"type": "left"}
	case chat.FileOffered:
		o := offered(e.ID, e.Name, e.Size, e.Folder, e.Files)
		o["direction"], o["from"] = "in", e.From
		return with(o, "called", e.Called)
	case chat.FileOffering:
		o := offered(e.ID, e.Name, e.Size, e.Folder, e.Files)
		o["direction"] = "out"
		return o
	case chat.FileProgress:
		return object{"type": "file-progress", "direction": direction(e.Outgoing), "id": e.ID, "name": e.Name, "bytes": e.Bytes, "size": e.Size}
	case chat.FileReceived:
		o := object{"type": "file-received", "direction": "in", "id": e.ID, "name": e.Name, "path": e.Path, "size": e.Size, "sha256": hex.EncodeToString(e.SHA256[:])}
		return with(with(o, "called", e.Called), "renamed", e.Renamed)
	case chat.FileSent:
		o := object{"type": "file-sent", "direction": "out", "id": e.ID, "name": e.Name, "size": e.Size, "sha256": hex.EncodeToString(e.SHA256[:])}
		return with(with(o, "as", e.As), "renamed", e.Renamed)
	case chat.FileLeftOut:
		return object{"type": "file-left-out", "direction": direction(e.Outgoing), "id": e.ID, "name": e.Name, "file": e.File, "reason": e.Reason, "kept": e.Kept}
	case chat.FileFailed:
		return object{"type": "file-failed", "direction": direction(e.Outgoing), "id": e.ID, "name": e.Name, "reason": e.Reason}
	case chat.Notice:
		return object{"type": "notice", "text": e.Text}
	case Failed:
		return object{"type": "error", "code": e.Code, "message": e.Message}
	}
	return nil
}

// with adds a member that is there only if it says something.
func with[T comparable](o object, member string, value T) object {
	if value != *new(T) {
		o[member] = value
	}
	return o
}

func offered(id uint64, name string, size int64, folder bool, files int) object {
	o := object{"type": "file-offered", "id": id, "name": name, "size": size, "folder": folder}
	if folder {
		o["files"] = files
	}
	return o
}

func direction(outgoing bool) string {
	if outgoing {
		return "out"
	}
	return "in"
}

// escape writes as \u what JSON may hold and a terminal must not see: the same
// characters that Clean makes visible. A reader of the JSON sees no difference.
func escape(b []byte) []byte {
	if !bytes.ContainsFunc(b, steers) {
		return b
	}
	var out []byte
	for _, r := range string(b) {
		if steers(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}
