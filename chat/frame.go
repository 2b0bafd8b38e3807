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

// MaxMessage is how many bytes of UTF-8 a message may have.
const MaxMessage = 64 << 10

const (
	maxHello = 4 << 10
	maxNote  = 4 << 10 // what is said of a file
)

// A frame is one message of the pipe: a byte of kind, then what stands beside it.
type kind = reliable.Kind

const (
	kindHello   kind = 1 // JSON, see hello: the first frame of each side on every pipe
	kindMessage kind = 2 // seq, then the text
	kindEnd     kind = 3 // seq: this side's input has ended, no message follows
	kindAck     kind = 4 // seq: everything up to it was handed to the reader
	kindGoodbye kind = 5 // seq: the last one of its own known to be acknowledged; this side leaves, and so does the other; wordsDiffer, if that is why

	kindOffer    = kind(transfer.KindOffer) // seq, JSON, like the next three
	kindAccept   = kind(transfer.KindAccept)
	kindCancel   = kind(transfer.KindCancel)
	kindReceived = kind(transfer.KindReceived)

	kindName kind = 10 // 0, then the name: what this side is called from now on; the next hello says it, too

	kindPart kind = 11 // seq, then text: of a message that goes on with the next part or message; to a side whose hello has parts

	kindAway kind = 12 // seconds: this side's page was closed or is reloading; unless it is back within that time, it has left
)

// seq counts the frames of one side that are acknowledged, from 1, in 8 bytes, big-endian.
const seqSize = 8

// hello introduces a side, and says where the two go on after a lost pipe.
type hello struct {
	Conversation string `json:"conversation"` // random; another one means the program was started anew, and has none of the files
	Name         string `json:"name"`
	First        uint64 `json:"first"`           // the lowest seq that this side may still send
	Heard        uint64 `json:"heard"`           // the last seq of the other that was handed to this side's reader before this pipe,
	Of           string `json:"of"`              // counted in that conversation of the other's
	Parts        bool   `json:"parts,omitempty"` // this side knows kindPart; versions before do not
}

type frame struct {
	kind  kind
	seq   uint64
	text  string // of a message; the JSON of a file's kinds
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

// decode is given what a stranger sent: its error is errFrame.
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
	case kindMessage, kindEnd, kindAck, kindGoodbye, kindOffer, kindAccept, kindCancel, kindReceived, kindName, kindPart, kindAway:
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
		if string(text) == wordsDiffer { // other reasons are not known here
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
