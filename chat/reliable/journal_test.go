package reliable

import (
	"errors"
	"path/filepath"
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
