package transfer

import (
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
