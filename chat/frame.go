package chat

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"p2pchat/chat/reliable"
	"p2pchat/chat/transfer"
)

// MaxMessage is the size limit of a message, in bytes of UTF-8.
const MaxMessage = 64 << 10

const (
	maxHello = 4 << 10
	maxNote  = 4 << 10 // a frame about a file, or a name
)

// A kind is the first byte of each message on a pipe; the comments say what follows it.
type kind = reliable.Kind

const (
	kindHello   kind = 1 // JSON, see hello: the first frame of each side on every pipe
	kindMessage kind = 2 // seq, then the text
	kindEnd     kind = 3 // seq: this side's input has ended, no message follows
	kindAck     kind = 4 // seq: the reader has handled everything up to it
	kindGoodbye kind = 5 // seq: the last acknowledgement that this side has; then wordsDiffer, if that is why it leaves. The other side leaves, too

	kindOffer    = kind(transfer.KindOffer) // seq, JSON, like the next three
	kindAccept   = kind(transfer.KindAccept)
	kindCancel   = kind(transfer.KindCancel)
	kindReceived = kind(transfer.KindReceived)

	kindName kind = 10 // 0, then this side's new name; the next hello has it, too

	kindPart kind = 11 // seq, then text that the next part or message continues; for a side whose hello has parts

	kindAway kind = 12 // seconds: this side's page was closed or is reloading; unless it is back within that time, it has left

	kindKeep kind = 14 // seq, JSON, see keepNote: this side keeps the other as a contact; for a side whose hello has contacts, like the next
	kindKept kind = 15 // seq, then an ID: this side has stored the contact, and the ID is that of its keys

	kindRinging  kind = 16 // 0: before the hello, this side's person is being asked whether to answer; see ring.go
	kindDeclined kind = 17 // 0, then unanswered if the person has not decided: no hello will come

	kindBundle kind = 13 // frames, each after its length: see bundle.go; for a side whose hello has bundles
)

// seqSize is the size of a seq, in bytes, big-endian. It counts the acknowledged frames of one side, from 1.
const seqSize = 8

// A hello introduces a side, and says where the two go on after a lost pipe: see reliable.Hello.
type hello struct {
	Conversation string `json:"conversation"` // random; another one is that of a restarted program, which has none of the files
	Name         string `json:"name"`
	First        uint64 `json:"first"`              // as in reliable.Hello, like
	Heard        uint64 `json:"heard"`              // this,
	Of           string `json:"of"`                 // and this
	Parts        bool   `json:"parts,omitempty"`    // this side understands kindPart; earlier versions do not
	Contacts     bool   `json:"contacts,omitempty"` // this side understands kindKeep and kindKept
	Holds        string `json:"holds,omitempty"`    // between contacts: the ID of the keys that this side has stored for this call
	Bundles      bool   `json:"bundles,omitempty"`  // this side understands kindBundle; pages and earlier versions do not
	Purpose      string `json:"purpose,omitempty"`  // of a program that holds no conversation, such as p2pchat bench
	Stripes      bool   `json:"stripes,omitempty"`  // this side takes a file over several channels
	Haves        bool   `json:"haves,omitempty"`    // this side, when it sends one so, reads haves there; earlier versions do not
	Leaves       bool   `json:"leaves,omitempty"`   // this side leaves when its input has ended, and the other's, too, if that one leaves likewise

	Waited []waited `json:"waited,omitempty"` // of what this side sends first
}

type frame struct {
	kind  kind
	seq   uint64
	text  string // of a message; JSON, of a frame about a file
	hello hello
}

var errFrame = errors.New("a frame makes no sense")

func (f frame) encode() ([]byte, error) {
	if f.kind == kindHello {
		body, err := json.Marshal(f.hello)
		return append([]byte{byte(kindHello)}, body...), err
	}
	b := make([]byte, 1, 1+seqSize+len(f.text))
	b[0] = byte(f.kind)
	b = binary.BigEndian.AppendUint64(b, f.seq)
	return append(b, f.text...), nil
}

// decode parses what a stranger sent. It returns errFrame if it makes no sense.
func decode(b []byte) (frame, error) {
	if len(b) == 0 {
		return frame{}, fmt.Errorf("%w: it is empty", errFrame)
	}
	f := frame{kind: kind(b[0])}
	body := b[1:]
	switch f.kind {
	case kindHello:
		if len(body) > maxHello || json.Unmarshal(body, &f.hello) != nil {
			return frame{}, fmt.Errorf("%w: a hello of %d bytes", errFrame, len(body))
		}
		return f, nil
	case kindMessage, kindEnd, kindAck, kindGoodbye, kindOffer, kindAccept, kindCancel, kindReceived, kindName, kindPart, kindAway, kindKeep, kindKept, kindRinging, kindDeclined:
	default:
		return frame{}, fmt.Errorf("%w: its kind %d is not known here", errFrame, f.kind)
	}
	if len(body) < seqSize {
		return frame{}, fmt.Errorf("%w: kind %d with %d bytes", errFrame, f.kind, len(body))
	}
	f.seq = binary.BigEndian.Uint64(body)
	text := body[seqSize:]
	switch {
	case f.kind == kindEnd, f.kind == kindAck, f.kind == kindAway:
	case f.kind == kindGoodbye:
		if string(text) == wordsDiffer { // a later version may give other reasons
			f.text = wordsDiffer
		}
	case f.kind != kindMessage && f.kind != kindPart && len(text) > maxNote:
		return frame{}, fmt.Errorf("%w: kind %d with %d bytes", errFrame, f.kind, len(text))
	case len(text) > MaxMessage:
		return frame{}, fmt.Errorf("%w: a message of %d bytes", errFrame, len(text))
	case !utf8.Valid(text):
		return frame{}, fmt.Errorf("%w: a message that is not UTF-8", errFrame)
	default:
		f.text = string(text)
	}
	return f, nil
}
