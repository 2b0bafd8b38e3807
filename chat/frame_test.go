package chat

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestFrame(t *testing.T) {
	t.Run("stands on the wire as its table says", func(t *testing.T) {
		for wire, f := range map[string]frame{
			"\x02\x00\x00\x00\x00\x00\x00\x01\x02hi": {kind: kindMessage, seq: 258, text: "hi"},
			"\x02\x00\x00\x00\x00\x00\x00\x00\x01":   {kind: kindMessage, seq: 1},
			"\x03\x00\x00\x00\x00\x00\x00\x00\x07":   {kind: kindEnd, seq: 7},
			"\x04\xff\xff\xff\xff\xff\xff\xff\xff":   {kind: kindAck, seq: 1<<64 - 1},
			"\x05\x00\x00\x00\x00\x00\x00\x00\x03":   {kind: kindGoodbye, seq: 3},
			"\x0c\x00\x00\x00\x00\x00\x00\x00\x14":   {kind: kindAway, seq: 20},
			"\x01" + `{"conversation":"c","name":"Ann","first":1,"heard":2,"of":"d"}`: {
				kind: kindHello, hello: hello{Conversation: "c", Name: "Ann", First: 1, Heard: 2, Of: "d"},
			},
		} {
			if b, err := f.encode(); err != nil || string(b) != wire {
				t.Errorf("%+v is encoded as %q (%v), not %q", f, b, err, wire)
			}
			if got, err := decode([]byte(wire)); err != nil || !reflect.DeepEqual(got, f) {
				t.Errorf("%q is decoded as %+v (%v)", wire, got, err)
			}
		}
	})

	t.Run("that makes no sense is not decoded", func(t *testing.T) {
		for _, wire := range []string{"", "\x00", "\x06", "\x01", "\x01{", "\x01" + strings.Repeat(" ", maxHello) + "{}", "\x02", "\x04\x00", "\x05\x00\x00\x00\x00\x00\x00\x00", "\x02\x00\x00\x00\x00\x00\x00\x00\x01\xc3"} {
			if f, err := decode([]byte(wire)); !errors.Is(err, errFrame) || !reflect.DeepEqual(f, frame{}) {
				t.Errorf("%.20q is decoded as %+v (%v)", wire, f, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "\x01{}", "\x01" + `{"name":"<\u0000","first":1}`, "\x02\x00\x00\x00\x00\x00\x00\x00\x01hi", "\x03\x00\x00\x00\x00\x00\x00\x00\x01x", "\x05\x00\x00\x00\x00\x00\x00\x00\x01"} {
		f.Add([]byte(seed))
	}
	f.Add([]byte("\x0d\x00\x00\x00\x09\x03\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x0d"))
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		bytesOf := 0
		for f, err := range frames(b) {
			if bytesOf += len(f.text); err != nil && !errors.Is(err, errFrame) {
				t.Fatalf("an error of another kind: %v", err)
			}
		}
		if bytesOf > len(b) {
			t.Fatalf("%d bytes of text come out of %d", bytesOf, len(b))
		}
		got, err := decode(b)
		if !bytes.Equal(b, was) {
			t.Fatal("decode writes into what it reads")
		}
		if err != nil {
			if !errors.Is(err, errFrame) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		again, err := got.encode()
		if err != nil {
			t.Fatalf("%+v cannot be encoded: %v", got, err)
		}
		if len(again) > maxHello { // escapes may make a hello longer than what is read
			return
		}
		if back, err := decode(again); err != nil || !reflect.DeepEqual(back, got) {
			t.Fatalf("%+v comes back as %+v (%v)", got, back, err)
		}
	})
}
