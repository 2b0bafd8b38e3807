package mail

import (
	"bytes"
	"testing"

	"p2pchat/signaling"
)

// A server hands out what it likes. Only letters that the contact has sealed open, at most once each and in order.
func FuzzBlocks(f *testing.F) {
	sealed := seal(&testing.T{}, Outgoing{Box: box()}, "one", "two", "three").Pending
	for _, b := range sealed {
		f.Add(b.Number, b.Bytes, b.Number+1, b.Bytes)
	}
	f.Add(uint64(0), []byte{}, ^uint64(0), make([]byte, 512))
	f.Fuzz(func(t *testing.T, first uint64, one []byte, second uint64, two []byte) {
		in := Incoming{Box: box()}
		after, letters, report := in.open([]signaling.Block{{Number: first, Bytes: one}, {Number: second, Bytes: two}})
		for i, l := range letters {
			if l.Number >= uint64(len(sealed)) || !bytes.Equal(sealed[l.Number].Bytes, one) && !bytes.Equal(sealed[l.Number].Bytes, two) {
				t.Errorf("letter %d opens, which no one has sealed", l.Number)
			}
			if i > 0 && letters[i-1].Number >= l.Number {
				t.Errorf("letter %d comes after %d", l.Number, letters[i-1].Number)
			}
		}
		if len(letters)+report.Repeated+report.Invented != 2 {
			t.Errorf("of two blocks, %d are letters, and the report is %+v", len(letters), report)
		}
		if after.Box.Number < in.Box.Number || len(letters) == 0 && after.Box.Number != in.Box.Number {
			t.Errorf("the chain moves from %d to %d with %d letters", in.Box.Number, after.Box.Number, len(letters))
		}
	})
}
