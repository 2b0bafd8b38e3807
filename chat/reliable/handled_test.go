//go:build unix

package reliable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What the reader has handled is never forgotten, in whichever order it says so: else a program that is started again would show it twice.
func TestHandledInAnyOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	j, s := openWith(t, path, nothing{})
	s.Hello()
	s.Greet(Hello{Conversation: "theirs", First: 1})
	for _, seq := range []uint64{1, 2, 3} {
		at, verdict := s.Receive(seq)
		if verdict != Fresh {
			t.Fatalf("frame %d: %v", seq, verdict)
		}
		s.Took(at)
	}
	for _, seq := range []uint64{3, 1} {
		if !s.Handled(Place{"theirs", seq}, nil) {
			t.Errorf("%d is of an earlier program", seq)
		}
	}
	if err := j.End(true); err != nil {
		t.Fatal(err)
	}
	j, s = openWith(t, path, nothing{})
	if h := s.Hello(); h.Heard != 3 {
		t.Errorf("a later run has heard %d", h.Heard)
	}
	if err := j.End(false); err != nil {
		t.Error(err)
	}
}

// What the disk refuses is told: a line, a shorter file in place of one with half a line, the end, and what no JSON can say.
func TestWhatADiskRefusesIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j := open(t, filepath.Join(dir, "outbox"))
	if err := j.Note(func() {}, false); err == nil {
		t.Error("a function is noted")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	j.torn = true
	if err := j.Note(entry{Heard: 1}, false); err == nil {
		t.Error("a file is made where there is no folder")
	}
	for range 2 {
		if j.replaced(j.file) {
			t.Error("the file was replaced")
		}
	}
	if err := errors.Join(j.file.Close(), j.End(true)); err == nil {
		t.Error("a closed file is kept")
	}
}

// A refusing Memory makes no sense of any line.
type refusing struct{ nothing }

func (refusing) Apply([]byte) bool { return false }

// A file whose lines make no sense to the layers above is damaged, and a folder is no Journal.
func TestSenselessLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	if err := os.WriteFile(path, []byte(`{"conversation":"ours"}`+"\n"+`{"other":1}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(path, refusing{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("lines that make no sense: %v", err)
	}
	if _, err := PeekJournal(filepath.Dir(path), nothing{}, testMessage); !errors.Is(err, ErrDamaged) {
		t.Errorf("a folder: %v", err)
	}
}

// Replaced frames have the room of their new texts.
func TestReplacedFramesHaveTheirRoom(t *testing.T) {
	var o outbox
	o.put(testMessage, "long", 0)
	o.put(testMessage+1, "x", 0)
	o.replace(testMessage, testMessage+1, "ab")
	if o.bytes != 3 || o.count(testMessage+1) != 2 {
		t.Errorf("%d bytes, %+v", o.bytes, o.frames)
	}
}
