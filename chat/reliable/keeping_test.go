package reliable

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A remembering Memory keeps numbers, and notes what it is told.
type remembering struct {
	numbers   []int
	said      []string
	restarted int
}

func (m *remembering) Apply(line []byte) bool {
	var l struct{ Number int }
	if json.Unmarshal(line, &l) != nil || l.Number == 0 {
		return false
	}
	m.numbers = append(m.numbers, l.Number)
	return true
}

func (m *remembering) Lines() (list []any) {
	for _, n := range m.numbers {
		list = append(list, map[string]int{"number": n})
	}
	return list
}

func (m *remembering) Said(id string, f Frame) bool {
	m.said = append(m.said, fmt.Sprint(id != "", f.Kind, f.Seq, f.Text))
	return f.Text != "nonsense"
}

func (m *remembering) Restarted() { m.restarted++ }

// openWith opens a Journal, and the Stream over it.
func openWith(t *testing.T, path string, m Memory) (*Journal, *Stream) {
	t.Helper()
	j, err := OpenJournal(path, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.End(true) }) // or the test has ended it
	return j, New(j, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
}

// What the layers above keep is there again, before the frames, and each is told of once.
func TestTheMemoryIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	var first, second, third remembering
	j, s := openWith(t, path, &first)
	s.Greet(Hello{Conversation: "theirs", First: 1})
	if err := j.Note(map[string]int{"number": 5}, false); err != nil {
		t.Fatal(err)
	}
	put(t, s, "hi")
	at, _ := s.Receive(1)
	if s.Took(at); !s.Handled(at, map[string]int{"number": 6}) || !s.Handled(at, nil) || s.Handled(Place{"another", 9}, map[string]int{"number": 7}) {
		t.Error("it handles what is not to be handled, or not what is")
	}
	if len(first.said) != 1 || first.restarted != 1 || !slices.Equal(first.numbers, []int{5, 6}) {
		t.Errorf("it is told %+v", first)
	}
	if err := j.End(true); err != nil {
		t.Fatal(err)
	}
	j, s = openWith(t, path, &second)
	if !slices.Equal(second.numbers, []int{5, 6}) || !slices.Equal(second.said, []string{fmt.Sprint(true, testMessage, 1, "hi")}) || s.Peer() != "theirs" {
		t.Errorf("it is told %+v", second)
	}
	if seq, v := s.Receive(1); v != Known {
		t.Errorf("what was handled is %v, %v", seq, v)
	}
	if n, err := PeekJournal(path, &third, testMessage); n != 1 || err != nil || !slices.Equal(third.numbers, []int{5, 6}) {
		t.Errorf("from outside there are %d, %v, %+v", n, err, third)
	}
	if err := j.End(false); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("it is not removed")
	}
	if _, err := PeekJournal(path, &third, testMessage); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := j.End(false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

// An acknowledgement of what was never sent, or was acknowledged before, does not damage the journal.
func TestSenselessAcknowledgementsAreNotKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	j, s := openWith(t, path, nothing{})
	for range 3 {
		put(t, s, "hi")
	}
	for seq, want := range map[uint64]bool{4: false, 0: true, 1 << 63: false} {
		if _, ok := s.Acked(seq); ok != want {
			t.Errorf("%d: %v", seq, ok)
		}
	}
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if frames, ok := s.Acked(2); !ok || len(frames) != 2 || size() == before {
		t.Errorf("%v, %v", frames, ok)
	}
	before = size()
	if frames, ok := s.Acked(1); !ok || len(frames) != 0 || size() != before {
		t.Errorf("%v, %v; %d bytes more", frames, ok, size()-before)
	}
	if frames, ok := s.Acked(3); !ok || len(frames) != 1 || size() == before {
		t.Errorf("%v, %v", frames, ok)
	}
	if err := j.End(true); err != nil {
		t.Fatal(err)
	}
	j, s = openWith(t, path, nothing{})
	if st := s.Status(); st.Left != 0 || st.Confirmed != 3 || st.Out != 3 || j.Count(testMessage) != 0 {
		t.Errorf("%+v", st)
	}
	if seq, err := s.Put(testMessage, "hi"); seq != 4 || err != nil {
		t.Errorf("%d, %v", seq, err)
	}
	if s.Hello(); s.Status().Out != 3 {
		t.Errorf("%+v", s.Status())
	}
	if f, ok := s.Next(2); !ok || f.Seq != 4 || s.Status().Out != 4 || s.Status().Next != 0 {
		t.Errorf("%+v, %+v", f, s.Status())
	}
	if h := s.Hello(); h.First != 4 || s.Status().Out != 3 || s.Status().Next != testMessage {
		t.Errorf("%+v, %+v", h, s.Status())
	}
}

// A journal is made shorter once it is more than double what it says, and a mebibyte more; until then it only grows.
func TestTheJournalIsMadeShorter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	_, s := openWith(t, path, nothing{})
	text := strings.Repeat("x", 10_000)
	most := int64(0)
	for i := range 300 {
		put(t, s, text)
		if _, ok := s.Acked(uint64(i + 1)); !ok {
			t.Fatal(i)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() < most { // the line after the shortening is there
			break
		}
		most = info.Size()
	}
	if near := 3 * int64(len(text)); most < journalSpare-near || most > journalSpare+near {
		t.Errorf("it was made shorter at %d bytes", most)
	}
	var long int64 // now most of it is needed
	for long = 0; long < 4<<20; long += int64(len(text)) {
		put(t, s, text)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() < long || info.Size() > long+journalSpare+1<<20 {
		t.Errorf("it has %v bytes, %v", info, err)
	}
}

// What a disk refuses is not queued; what may be lost is told, and written again with the next line.
func TestADiskThatRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	var m remembering
	j, err := OpenJournal(path, &m)
	if err != nil {
		t.Fatal(err)
	}
	var told []error
	s := New(j, func(err error) { told = append(told, err) })
	put(t, s, "one")
	broken, err := os.Open(path) //nolint:gosec // the test's own: it cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	whole := j.file
	j.file = broken
	if seq, err := s.Put(testMessage, "two"); seq != 0 || err == nil {
		t.Errorf("%d, %v", seq, err)
	}
	if s.Count(testMessage) != 1 || len(m.said) != 1 || !j.torn {
		t.Errorf("it is queued: %v", m.said)
	}
	j.torn = false
	if _, ok := s.Acked(1); !ok || s.Status().Left != 0 || len(told) != 1 || told[0] == nil {
		t.Errorf("an acknowledgement is %v, told %v", ok, told)
	}
	if err := j.Note(map[string]int{"number": 3}, false); err != nil { // which writes all again
		t.Error(err)
	}
	_ = broken.Close() // it was replaced
	_ = whole.Close()
	if err := j.Note(func() {}, false); err == nil {
		t.Error("what is no JSON is written")
	}
	put(t, s, "three")
	if err := errors.Join(j.Sync(), j.End(true)); err != nil {
		t.Error(err)
	}
	if err := j.Sync(); err == nil {
		t.Error("a closed file is synced")
	}
	var again remembering
	_, s = openWith(t, path, &again)
	if st := s.Status(); st.Confirmed != 1 || st.Left != 1 || !slices.Equal(again.numbers, []int{3}) {
		t.Errorf("%+v, %+v", st, again)
	}
}

// What a program leaves that is killed while it makes its journal shorter has messages in it, and is removed by the next one.
func TestWhatAKilledProgramLeavesIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "outbox")
	file, err := os.CreateTemp(dir, "other")
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close() // of another program, which stays
	if err := os.WriteFile(path+".new-123", []byte("a message"), 0o600); err != nil {
		t.Fatal(err)
	}
	openWith(t, path, nothing{})
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("there are %v, %v", entries, err)
	}
}
