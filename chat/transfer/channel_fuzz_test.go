package transfer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
)

// A written is a file that counts what is appended to it.
type written struct{ bytes.Buffer }

func (w *written) append(b []byte) (int64, error) {
	w.Write(b)
	return int64(w.Len()), nil
}

// Pieces of a file come in any order, twice, or overlapping. What is written is the beginning of the file, what waits is bounded, and
// once each byte has come, all are written.
func FuzzArrival(f *testing.F) {
	f.Add(uint16(100), []byte{0, 0, 10, 0, 20, 10, 0, 10, 10})
	f.Add(uint16(100), []byte{0, 0, 10, 0, 5, 10})
	f.Add(uint16(3), []byte{0, 2, 1, 0, 1, 1, 0, 0, 3})
	f.Add(uint16(40000), bytes.Repeat([]byte{80, 0, 255}, 20))
	f.Fuzz(func(t *testing.T, size uint16, script []byte) {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i * 7)
		}
		file := &written{}
		a := newArrival(int64(size), 0, file.append)
		take := func(offset, n int) {
			piece := content[min(offset, len(content)):min(offset+n, len(content))]
			before := int64(file.Len())
			next, err := a.take(int64(offset), piece)
			switch {
			case next < before || next != int64(file.Len()):
				t.Fatalf("%d bytes are written, and it says %d after %d", file.Len(), next, before)
			case err == nil || errors.Is(err, errUnordered) || errors.Is(err, errTooMuch) && offset > len(content):
			default:
				t.Fatalf("%d bytes at %d: %v", len(piece), offset, err)
			}
			if !bytes.Equal(file.Bytes(), content[:file.Len()]) {
				t.Fatal("what is written is not the file")
			}
			if a.held > heldMost+fileChunk || a.beyond > a.held {
				t.Fatalf("%d bytes wait, and count as %d", a.beyond, a.held)
			}
		}
		for ; len(script) >= 3; script = script[3:] {
			take(int(script[0])<<8|int(script[1]), int(script[2]))
		}
		if a.held > heldMost { // the file was given up
			return
		}
		for at := file.Len(); at < len(content); at = file.Len() {
			take(at, 1000)
		}
		if a.next != int64(size) {
			t.Errorf("of %d bytes, %d are written", size, a.next)
		}
	})
}

// A messages is a channel on which messages come, each after its length.
type messages struct{ rest []byte }

func (m *messages) Read(b []byte) (int, error) {
	if len(m.rest) == 0 {
		return 0, io.EOF
	}
	n := min(int(m.rest[0]), len(m.rest)-1)
	message := m.rest[1 : 1+n]
	m.rest = m.rest[1+n:]
	if len(message) > len(b) {
		return 0, io.ErrShortBuffer
	}
	return copy(b, message), nil
}

func (m *messages) Write(b []byte) (int, error) { return len(b), nil }
func (m *messages) Close() error                { return nil }

// A quietHost takes all that a Manager tells.
type quietHost struct{}

func (quietHost) Send(Kind, string) (uint64, error) { return 1, nil }
func (quietHost) Queued(error)                      {}
func (quietHost) Emit(Event)                        {}
func (quietHost) Keep(Record)                       {}

// Whatever a receiver says that it has, it is believed only as far as bytes were sent, and never by going back in the middle.
func FuzzHaves(f *testing.F) {
	have := func(n ...uint64) []byte {
		b := []byte{byte(1 + 8*len(n)), fileHave} //nolint:gosec // one or two
		for _, n := range n {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		return b
	}
	f.Add(append(have(0), have(100, 50)...), int64(150))
	f.Add(append(have(100), have(99)...), int64(150))
	f.Add(have(1<<63), int64(10))
	f.Add(have(200), int64(150))
	f.Add([]byte{0, 1, fileHave, 3, 9, 9, 9}, int64(10))
	f.Fuzz(func(t *testing.T, script []byte, sent int64) {
		m := New(Config{Log: slog.New(slog.DiscardHandler)}, quietHost{}, "ours", "theirs", nil)
		file := &file{Offer: Offer{Name: "x", Size: 1 << 40}, id: 1, outgoing: true, hashed: max(0, sent) % (1 << 40)}
		file.state.move(accepted)
		file.state.move(moving)
		m.put(file)
		m.receiveHaves(&messages{slices.Clone(script)}, file, make(chan struct{}, 1), true)
		m.receiveHaves(&messages{script}, file, make(chan struct{}, 1), false) // over a stripe
		if file.bytes < 0 || file.beyond < 0 || file.bytes+file.beyond > file.hashed {
			t.Errorf("of %d bytes that were sent, the receiver has %d and %d", file.hashed, file.bytes, file.beyond)
		}
	})
}

// A channel of a stranger that is no file's, or brings no offered one, closes without effect.
func FuzzUnknownChannel(f *testing.F) {
	f.Add(append([]byte{9, fileBegin}, 0, 0, 0, 0, 0, 0, 0, 1))
	f.Add(append([]byte{17, filePiece}, make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, script []byte) {
		m := New(Config{Log: slog.New(slog.DiscardHandler), DownloadDir: t.TempDir()}, quietHost{}, "ours", "theirs", nil)
		m.receiveFile(t.Context(), &messages{script})
		if len(m.in)+len(m.out) > 0 {
			t.Error("a file appears that no one has offered")
		}
	})
}
