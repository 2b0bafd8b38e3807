package transfer

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

// A fakeHost writes down what it is told.
type fakeHost struct {
	mu     sync.Mutex // guards what follows
	seq    uint64
	frames []string
	events []Event
	kept   []Record

	fails func(Kind) error // the error of Send; may be nil
}

func (h *fakeHost) Queued(error) {}

func (h *fakeHost) Send(k Kind, text string) (uint64, error) {
	if h.fails != nil {
		if err := h.fails(k); err != nil {
			return 0, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	h.frames = append(h.frames, text)
	return h.seq, nil
}

func (h *fakeHost) Emit(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *fakeHost) Keep(r Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, r)
}

// A reason of any length fits into a frame, and into a line.
func TestReason(t *testing.T) {
	h := &fakeHost{}
	m := New(Config{}, h, "ours", "", nil)
	f := &file{id: 1, of: "ours", outgoing: true}
	m.put(f)
	m.giveUp(f, strings.Repeat("<", 5000), true)
	var n note
	if len(h.frames) != 1 || len(h.frames[0]) > 4<<10 || json.Unmarshal([]byte(h.frames[0]), &n) != nil || n.Reason != strings.Repeat("<", reasonTold) {
		t.Errorf("the other side is told %.300q", h.frames)
	}
	if e, ok := h.events[0].(Failed); !ok || len(e.Reason) != reasonOwn {
		t.Errorf("the reader is told %.100v", h.events)
	}
	if m.Pending() || len(h.kept) != 1 || !h.kept[0].Ended {
		t.Errorf("it is pending: %v; kept: %v", m.Pending(), h.kept)
	}
}

// What a folder lacks is told, in words that fit onto a screen, and counts as missed where all files were to be received: what has grown does not.
func TestLeftOutFilesAreTold(t *testing.T) {
	stream := tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "x"}, tar.Header{Typeflag: tar.TypeReg, Name: "y"})
	left, err := json.Marshal([]leftOut{{Name: "x", Why: "gone\x1b[2J" + strings.Repeat("!", 5000)}, {Name: "y", Why: "it grew", Kept: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range []bool{false, true} {
		h := &fakeHost{}
		m := New(Config{AcceptFiles: all}, h, "ours", "theirs", nil)
		d, err := createDownload(t.TempDir(), Offer{Name: "tree", Folder: true, Files: 2, Size: int64(len(stream))}, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.write(stream); err != nil {
			t.Fatal(err)
		}
		f := &file{id: 1, of: "theirs", Offer: d.Offer, download: d}
		f.state.move(accepted)
		f.state.move(moving)
		m.put(f)
		m.complete(f, sha256.Sum256(stream), left)
		var told []LeftOut
		received := false
		for _, e := range h.events {
			switch e := e.(type) {
			case LeftOut:
				told = append(told, e)
			case Received:
				received = true
			}
		}
		if !received || len(told) != 2 || told[0].File != "x" || told[0].Kept || !told[1].Kept {
			t.Errorf("it tells %+v", h.events)
		} else if why := told[0].Reason; !strings.HasPrefix(why, "gone") || strings.Contains(why, "\x1b") || len(why) > 2*reasonTold {
			t.Errorf("the reason is %.300q", why)
		}
		if want := map[bool]int{true: 1}[all]; m.Missed() != want {
			t.Errorf("all files were to be received: %t; %d are missed", all, m.Missed())
		}
	}
}
