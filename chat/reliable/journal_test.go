package reliable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// nothing is a Memory of layers that keep nothing.
type nothing struct{}

func (nothing) Apply([]byte) bool       { return true }
func (nothing) Lines() []any            { return nil }
func (nothing) Said(string, Frame) bool { return true }
func (nothing) Restarted()              {}

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func put(t *testing.T, s *Stream, text string) {
	t.Helper()
	if _, err := s.Put(testMessage, text); err != nil {
		t.Fatal(err)
	}
}

func TestJournal(t *testing.T) {
	t.Run("a line that could not be written whole spoils nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		j := open(t, path)
		s := New(j, nil)
		put(t, s, "one")
		if _, err := j.file.WriteString(`{"said":{"s`); err != nil { // as far as the disk had room
			t.Fatal(err)
		}
		j.torn = true
		put(t, s, "two")
		if err := j.End(true); err != nil {
			t.Fatal(err)
		}
		j = open(t, path)
		if n := j.Count(testMessage); n != 2 {
			t.Errorf("it has %d messages", n)
		}
		if err := errors.Join(j.Sync(), j.End(false)); err != nil {
			t.Error(err)
		}
	})

	t.Run("many who open it at once do not share it", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		for range 200 {
			var wg sync.WaitGroup
			var got atomic.Int32
			ready := make(chan struct{})
			held := make([]*Journal, 4)
			for i := range held {
				wg.Go(func() {
					<-ready
					j, err := OpenJournal(path, nothing{})
					if err == nil {
						held[i] = j
						got.Add(1)
					} else if !errors.Is(err, ErrInUse) {
						t.Error(err)
					}
				})
			}
			close(ready)
			wg.Wait()
			if got.Load() != 1 {
				t.Fatalf("%d have it", got.Load())
			}
			for _, j := range held {
				if j != nil {
					if err := j.End(true); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})

	t.Run("one program has it at a time, compacted or not", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		first := open(t, path)
		if _, err := OpenJournal(path, nothing{}); !errors.Is(err, ErrInUse) {
			t.Errorf("the second one is told %v", err)
		}
		if err := first.compact(); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenJournal(path, nothing{}); !errors.Is(err, ErrInUse) {
			t.Errorf("when it was compacted the second one is told %v", err)
		}
		if err := first.End(false); err != nil {
			t.Error(err)
		}
	})
}

// What the reader has handled of earlier conversations outlasts the program, for the last eight of them.
func TestJournalOfEarlierConversations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	noted := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for run := range 12 {
		j := open(t, path)
		s, name := New(j, noted), strconv.Itoa(run)
		s.Greet(Hello{Conversation: name, First: 1})
		for seq := range uint64(3) {
			at, verdict := s.Receive(seq + 1)
			if verdict != Fresh {
				t.Fatalf("frame %d of conversation %s is %v", seq+1, name, verdict)
			}
			s.Took(at)
			s.Handled(at, nil)
		}
		for earlier := range run {
			read := run-earlier <= maxPast
			if got := s.HasRead(strconv.Itoa(earlier), 3); got != read || s.HasRead(strconv.Itoa(earlier), 4) {
				t.Errorf("in run %d, conversation %d was read: %v", run, earlier, got)
			}
		}
		if run == 11 {
			s.Greet(Hello{Conversation: "10", First: 1})
			if _, verdict := s.Receive(3); verdict != Known {
				t.Errorf("what was read of an earlier conversation is %v once it goes on", verdict)
			}
			if seq, ok := s.NextAck(); !ok || seq != 3 {
				t.Errorf("%d is acknowledged, %v", seq, ok)
			}
		}
		if err := j.End(true); err != nil {
			t.Fatal(err)
		}
	}
}

// Files that are no journal are refused, and so are those that others could read.
func TestRefusedJournals(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	j := open(t, whole)
	put(t, New(j, nil), "one")
	if err := j.End(true); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want error
	}{
		"whole":                     {string(text), 0o600, nil},
		"empty":                     {"", 0o600, nil},
		"readable by the group":     {string(text), 0o640, ErrOpen},
		"executable by others":      {string(text), 0o601, ErrOpen},
		"not JSON":                  {"a letter\n", 0o600, ErrDamaged},
		"without a conversation":    {"{}\n", 0o600, ErrDamaged},
		"with an endless line":      {string(text) + strings.Repeat(" ", maxLine) + "{}\n", 0o600, ErrDamaged},
		"with a frame left out":     {strings.ReplaceAll(string(text), `"seq":1`, `"seq":3`) + strings.ReplaceAll(string(text), `"seq":1`, `"seq":7`), 0o600, ErrDamaged},
		"with a line cut in two":    {string(text) + `{"said":`, 0o600, nil},
		"with nonsense in the file": {string(text) + "x\n" + string(text), 0o600, ErrDamaged},
	} {
		if runtime.GOOS == "windows" && errors.Is(c.want, ErrOpen) {
			continue
		}
		path := filepath.Join(t.TempDir(), "box")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := PeekJournal(path, nothing{}, testMessage); !errors.Is(err, c.want) {
			t.Errorf("a file %s: a look at it says %v, want %v", name, err, c.want)
		}
		j, err := OpenJournal(path, nothing{})
		if !errors.Is(err, c.want) {
			t.Errorf("a file %s: %v, want %v", name, err, c.want)
		}
		if err == nil {
			err = j.End(false)
		}
		if _, gone := os.Stat(path); c.want == nil && (err != nil || !errors.Is(gone, fs.ErrNotExist)) {
			t.Errorf("a file %s is not removed: %v", name, err)
		}
	}
}
