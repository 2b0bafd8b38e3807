package screen

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"p2pchat/chat"
)

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
	if _, err := to.Write(append(Escape(b), '\n')); err != nil {
		return outputError(err)
	}
	return nil
}

type object = map[string]any

// describe returns the object of an event, or nil if programs learn of it otherwise.
func describe(e chat.Event) object {
	switch e := e.(type) {
	case Event:
		return describeOwn(e)
	case chat.Connected:
		words := e.SafetyWords
		if words == nil {
			words = []string{}
		}
		return withRoute(object{"type": "connected", "verified": e.Verified, "safety_words": words, "peer": e.Peer, "path": e.Path, "took_ms": e.Took.Milliseconds()}, e.Route)
	case chat.Ringing:
		return object{"type": "ringing"}
	case chat.InputEnded:
		return object{"type": "input-ended"}
	case chat.Disconnected:
		return object{"type": "disconnected", "reason": e.Reason}
	case chat.Renamed:
		return object{"type": "renamed", "from": e.From, "to": e.To}
	case chat.Moved:
		return encodeMoved(e)
	case chat.Relayed:
		return withRoute(object{"type": "relayed", "path": "relay"}, e.Route)
	case chat.Reconnected:
		return object{"type": "reconnected"}
	case chat.Left:
		if e.Reply {
			return nil
		}
		return with(with(object{"type": "left"}, "page_closed", e.Closed), "words_differ", e.Overheard)
	case chat.Notice:
		return object{"type": "notice", "text": e.Text}
	}
	return describeKept(e)
}

// describeKept is describe for the events of two people who keep each other, and all others.
func describeKept(e chat.Event) object {
	switch e := e.(type) {
	case chat.KeepAsked:
		return object{"type": "keep-asked", "from": e.From, "verified": e.Verified}
	case chat.Kept:
		return with(object{"type": "kept", "name": e.Name}, "taken", e.Taken)
	}
	return describeMessage(e)
}

// describeMessage is describe for the events of messages, and all others.
func describeMessage(e chat.Event) object {
	switch e := e.(type) {
	case chat.Message:
		o := with(object{"type": "message", "id": e.ID, "from": e.From, "text": e.Text}, "more", e.GoesOn)
		if !e.Written.IsZero() {
			o["written"] = e.Written.UTC().Format(time.RFC3339)
		}
		return o
	case chat.Queued:
		o := with(object{"type": "queued", "id": e.ID, "text": e.Text}, "more", e.GoesOn)
		if !e.Written.IsZero() {
			o["written"] = e.Written.UTC().Format(time.RFC3339)
		}
		return o
	case chat.Mailed:
		return object{"type": "mailed", "id": e.ID, "kept_s": int64(e.Kept.Seconds())}
	case chat.Delivered:
		return object{"type": "delivered", "id": e.ID}
	}
	return describeFile(e)
}

// describeOwn returns the object of an event that only the program knows.
func describeOwn(e Event) object {
	switch e := e.(type) {
	case Waiting:
		if e.Contact != "" {
			return with(object{"type": "waiting", "contact": e.Contact}, "answering", e.Answering)
		}
		o := object{"type": "waiting", "code": e.Code, "command": e.Command}
		return with(with(o, "link", e.Link), "answering", e.Answering)
	case NoCall:
		return describeNoCall(e)
	case WrongCode:
		return describeWrongCode(e)
	case Taken:
		return object{"type": "notice", "text": e.Text()}
	case Connecting:
		return object{"type": "connecting"}
	case Stats:
		return object{"type": "stats", "rtt_ms": float64(e.RTT.Microseconds()) / 1000}
	case StillLost:
		return with(object{"type": "still-disconnected", "after_s": e.After.Seconds(), "code": e.Code}, "server_away", e.Server != "")
	case StillAway:
		return with(object{"type": "still-away", "after_s": e.After.Seconds(), "contact": e.Contact}, "lost", e.Lost)
	case Listening, IncomingCall, IncomingEnded:
		return describeListening(e)
	case FromLetter:
		return with(describe(e.Event), "contact", e.Contact)
	case Told:
		return object{"type": "notice", "text": e.Text}
	case Failed:
		return object{"type": "error", "code": e.Code, "message": e.Message}
	}
	return nil
}

// describeListening returns the object of an event of a program that waits for the calls of contacts.
func describeListening(e Event) object {
	switch e := e.(type) {
	case Listening:
		return object{"type": "listening", "contacts": e.Contacts}
	case IncomingCall:
		return object{"type": "call", "contact": e.Contact}
	case IncomingEnded:
		return object{"type": "call-ended", "contact": e.Contact, "how": e.How}
	}
	return nil
}

func describeNoCall(e NoCall) object {
	o := with(object{"type": "no-call", "room": e.Room}, "command", e.Command)
	if len(e.Hints) > 0 {
		o["hints"] = e.Hints
	}
	return o
}

func describeWrongCode(e WrongCode) object {
	if e.Left < 0 {
		return object{"type": "wrong-code"}
	}
	return object{"type": "wrong-code", "left": e.Left}
}

// describeFile returns the object of an event about a file, or nil for any other event.
func describeFile(e chat.Event) object {
	o := fileObject(e)
	if content, known := contentOf(e); known {
		o["content"] = content
	}
	return o
}

func fileObject(e chat.Event) object {
	switch e := e.(type) {
	case chat.FileOffered:
		o := offered(e.ID, e.Name, e.Size, e.Folder, e.Files)
		o["direction"], o["from"] = "in", e.From
		return with(o, "called", e.Called)
	case chat.FileOffering:
		o := offered(e.ID, e.Name, e.Size, e.Folder, e.Files)
		o["direction"] = "out"
		return o
	case chat.FileProgress:
		o := object{"type": "file-progress", "direction": direction(e.Outgoing), "id": e.ID, "name": e.Name, "bytes": e.Bytes, "size": e.Size}
		return with(o, "resumed", e.Resumed)
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

// withRoute adds the stops of a route, if it is known.
func withRoute(o object, route string) object {
	if route != "" {
		o["route"] = strings.Split(route, ",")
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

// Escape writes as \u what JSON may hold and a terminal must not see: the same
// characters that Clean makes visible. A reader of the JSON sees no difference.
func Escape(b []byte) []byte {
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

func encodeMoved(e chat.Moved) object {
	o := object{"type": "moved", "from": e.From, "path": e.To, "after_s": int(e.After.Seconds())}
	if e.Reason != "" {
		o["reason"], o["theirs"] = e.Reason, e.Theirs
	}
	return withRoute(o, e.Route)
}
