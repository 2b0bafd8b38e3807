package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// A pieceRecorder is the input of a call, and notes the longest piece.
type pieceRecorder struct {
	got     strings.Builder
	longest int
	full    int // bytes after which it takes no more; 0 for any number
	closed  bool
}

func (r *pieceRecorder) Write(b []byte) (int, error) {
	if r.full > 0 && r.got.Len() >= r.full {
		return 0, errors.New("the call has ended")
	}
	r.longest = max(r.longest, len(b))
	return r.got.Write(b)
}

func (r *pieceRecorder) Close() error {
	r.closed = true
	return nil
}

// A line without an end takes no more memory than a short one, and its rest is no command.
func TestAnEndlessLineIsReadInPieces(t *testing.T) {
	text := strings.Repeat("x", 1<<20) + "\n"
	call := &pieceRecorder{}
	f := newStreamFace(nil, stdio{in: strings.NewReader(text)}, nil)
	f.call = call
	f.read(t.Context())
	if call.got.String() != text || call.longest > maxPiece || !call.closed {
		t.Errorf("the call gets %d bytes of %d, %d at once; its input has ended: %v", call.got.Len(), len(text), call.longest, call.closed)
	}

	left := false
	f = newStreamFace(&switchboard{leave: func() { left = true }}, stdio{in: strings.NewReader(strings.Repeat("x", maxPiece) + "q\nq\n")}, lineListen{stdio{err: io.Discard}})
	call = &pieceRecorder{full: maxPiece}
	f.call = call
	f.read(t.Context())
	if !left {
		t.Error("the next line is no command")
	}
	left = false
	f.std.in = strings.NewReader(strings.Repeat("x", maxPiece) + "q\n")
	call.got.Reset()
	f.read(t.Context())
	if left || call.got.Len() != maxPiece {
		t.Errorf("the rest of a line is a command; the call has got %d bytes", call.got.Len())
	}
}
