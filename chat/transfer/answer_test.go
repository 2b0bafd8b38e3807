package transfer

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"

	"p2pchat/chat/internal/chattest"
)

// them is the other side in these tests, and theirs the conversation that counts its files.
var them = Peer{Conversation: "theirs", Name: "ben"}

// offeredTo returns a Manager that was offered a file of four bytes, with the ID 7.
func offeredTo(t *testing.T, config Config) (*Manager, *fakeHost) {
	t.Helper()
	h := &fakeHost{}
	if config.DownloadDir == "" {
		config.DownloadDir = t.TempDir()
	}
	m := New(config, h, "ours", "theirs", nil)
	if err := m.Handle(them, 7, KindOffer, `{"name":"a","size":4}`, false); err != nil {
		t.Fatal(err)
	}
	return m, h
}

func TestOffersThatMakeNoSense(t *testing.T) {
	for offer, sense := range map[string]bool{
		`{"name":"a","size":0}`: true, `{"name":"a","size":1152921504606846976}`: true, `{"name":"a","size":9,"folder":true,"files":1}`: true,
		`{"name":"a","size":9,"folder":true}`: true,
		``:                                    false, `[]`: false, `{"name":"a","size":-1}`: false, `{"name":"a","size":1152921504606846977}`: false,
		`{"name":"a","size":1,"files":1}`: false, `{"name":"a","size":1,"folder":true,"files":-1}`: false,
	} {
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "", nil)
		err := m.Handle(them, 1, KindOffer, offer, false)
		if (err == nil) != sense || m.Pending() != sense || (len(h.events) == 1) != sense {
			t.Errorf("%s: %v, %v", offer, err, h.events)
		}
	}
}

// A name that had to be changed is told with what the other side calls it, and no name that it gave in its place.
func TestNamesOfOffers(t *testing.T) {
	for name, want := range map[string][2]string{"a": {"a", ""}, "../a": {"a", "../a"}} {
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "", nil)
		if err := m.Handle(them, 1, KindOffer, fmt.Sprintf(`{"name":%q,"size":4,"called":"b"}`, name), false); err != nil {
			t.Fatal(err)
		}
		if o, ok := h.events[0].(Offered); !ok || o.Name != want[0] || o.Called != want[1] || o.From != "ben" || o.Size != 4 {
			t.Errorf("%q is offered as %+v", name, h.events[0])
		}
	}
}

func TestNotesThatMakeNoSense(t *testing.T) {
	m, h := offeredTo(t, Config{})
	own, err := m.SendFiles(t.Context(), false, []string{chattest.Create(t, "b", []byte("b"))})
	if err != nil {
		t.Fatal(err)
	}
	told := len(h.frames)
	for _, c := range []struct {
		kind  Kind
		text  string
		sense bool
	}{
		{KindAccept, `nonsense`, false}, {KindReceived, `[]`, false}, {KindCancel, ``, false},
		{KindAccept, `{"id":7,"of":"theirs"}`, false}, {KindReceived, `{"id":7,"of":"theirs"}`, false}, // its own offer
		{KindAccept, `{"id":99,"of":"theirs"}`, true}, {KindAccept, `{"id":99,"of":"ours"}`, true}, {KindCancel, `{"id":7,"of":"another"}`, true}, // ended before
		{KindAccept, fmt.Sprintf(`{"id":%d,"of":"ours"}`, own[0]), true},
	} {
		if err := m.Handle(them, 50, c.kind, c.text, false); (err == nil) != c.sense {
			t.Errorf("%d %s: %v", c.kind, c.text, err)
		}
	}
	if !m.Pending() || len(h.frames) != told {
		t.Errorf("it says %q", h.frames[told:])
	}
	// A confirmation of what was not sent ends the file, and both sides hear why.
	if err := m.Handle(them, 51, KindReceived, fmt.Sprintf(`{"id":%d,"of":"ours"}`, own[0]), false); err != nil {
		t.Error(err)
	}
	last, ok := h.events[len(h.events)-1].(Failed)
	if !ok || !last.Outgoing || !strings.Contains(last.Reason, "what was not sent") || len(h.frames) != told+1 || !strings.Contains(h.frames[told], last.Reason) {
		t.Errorf("it ends with %+v, %q", last, h.frames)
	}
}

// What the other side accepts is kept for a later run, once.
func TestAnAcceptIsKept(t *testing.T) {
	h := &fakeHost{}
	m := New(Config{Resumable: true}, h, "ours", "theirs", nil)
	ids, err := m.SendFiles(t.Context(), false, []string{chattest.Create(t, "b", []byte("b"))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Handle(them, 1, KindAccept, fmt.Sprintf(`{"id":%d,"of":"ours"}`, ids[0]), false); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.kept); n != 2 || h.kept[0].Accepted || !h.kept[1].Accepted || h.kept[1].ID != ids[0] || !h.kept[1].Outgoing || h.kept[1].Path == "" || h.kept[1].Stamp == "" {
		t.Errorf("kept are %+v", h.kept)
	}
	select {
	case <-m.work:
	default:
		t.Error("its sender is not woken")
	}
}

func TestAnOfferThatComesTwice(t *testing.T) {
	m, h := offeredTo(t, Config{})
	if err := m.Handle(them, 7, KindOffer, `{"name":"a","size":4}`, false); err != nil || len(h.events) != 1 || len(h.kept) != 1 {
		t.Errorf("%v, %v, %v", err, h.events, h.kept)
	}
}

// More offers than may wait are refused, and the other side is told, unless there is no room for that.
func TestTooManyOffers(t *testing.T) {
	h := &fakeHost{}
	m := New(Config{}, h, "ours", "", nil)
	for i := range uint64(maxFiles) {
		if err := m.Handle(them, 1+i, KindOffer, `{"name":"a","size":4}`, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Handle(them, 1000, KindOffer, `{"name":"a","size":4}`, false); err == nil || len(h.events) != maxFiles || len(h.frames) != 1 || !strings.Contains(h.frames[0], `"id":1000`) {
		t.Errorf("%v, %d offers, %q", err, len(h.events), h.frames)
	}
	if err := m.Handle(them, 1001, KindOffer, `{"name":"a","size":4}`, true); err == nil || len(h.events) != maxFiles || len(h.frames) != 1 {
		t.Errorf("%v, %d offers, %q", err, len(h.events), h.frames)
	}
	m = New(Config{}, h, "ours", "", nil)
	if err := m.Handle(them, 1, KindOffer, `{"name":"a","size":4}`, true); err == nil || m.Pending() || len(h.frames) != 1 {
		t.Errorf("without room for an answer it is offered: %v, %q", err, h.frames)
	}
}

// An accept that cannot be queued leaves the offer as it was, and nothing on the disk.
func TestAnAcceptThatIsNotQueued(t *testing.T) {
	dir, full := t.TempDir(), errors.New("the journal is full")
	m, h := offeredTo(t, Config{DownloadDir: dir})
	h.fails = func(Kind) error { return full }
	if err := m.Accept(7); !errors.Is(err, full) {
		t.Error(err)
	}
	if left := chattest.Contents(t, dir); len(left) > 0 || len(h.kept) != 1 {
		t.Errorf("it leaves %v, keeps %v", left, h.kept)
	}
	h.fails = nil
	if err := m.Accept(7); err != nil {
		t.Error(err)
	}
	if len(h.frames) != 1 || !strings.Contains(h.frames[0], `"id":7`) || len(chattest.Contents(t, dir)) != 1 || !h.kept[len(h.kept)-1].Accepted {
		t.Errorf("it says %q, and keeps %+v", h.frames, h.kept)
	}
	if err := m.Accept(7); !errors.Is(err, ErrNoFile) || len(chattest.Contents(t, dir)) != 1 || len(h.frames) != 1 {
		t.Errorf("accepted twice: %v", err)
	}
	if err := m.Decline(7); !errors.Is(err, ErrNoFile) {
		t.Errorf("declined after that: %v", err)
	}
	m.Close("over", false, false)
	if left := chattest.Contents(t, dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// A channel that comes before the answer is kept does not leave the file waiting if it cannot be kept.
func TestAcceptedWithoutAnAnswer(t *testing.T) {
	dir := t.TempDir()
	m, h := offeredTo(t, Config{DownloadDir: dir, Log: slog.New(slog.DiscardHandler)})
	h.fails = func(k Kind) error {
		if k == KindAccept {
			m.release(m.awaited(7)) // the other side was told, and its channel has come and gone
		}
		return syscall.ENOSPC
	}
	if err := m.Accept(7); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Accept returns %v", err)
	}
	if m.Pending() || len(h.events) != 2 {
		t.Errorf("it is pending: %v; the reader is told %v", m.Pending(), h.events)
	}
	if left := chattest.Contents(t, dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

func TestAFileIsAnsweredOnce(t *testing.T) {
	for name, answer := range map[string]func(*Manager) error{
		"declined": func(m *Manager) error { return m.Decline(7) }, "cancelled": func(m *Manager) error { return m.Cancel(7, false) },
	} {
		m, h := offeredTo(t, Config{})
		if err := answer(m); err != nil {
			t.Error(name, err)
		}
		if len(h.frames) != 1 || !strings.Contains(h.frames[0], name) || m.Pending() || !m.Settled() || m.Missed() != 0 {
			t.Errorf("%s: it says %q", name, h.frames)
		}
		for _, again := range []error{m.Decline(7), m.Accept(7), m.Cancel(7, false), m.Cancel(7, true), m.Decline(8)} {
			if !errors.Is(again, ErrNoFile) {
				t.Errorf("%s: %v", name, again)
			}
		}
		if len(h.events) != 2 || len(h.frames) != 1 {
			t.Errorf("%s: it tells %v, %q", name, h.events, h.frames)
		}
	}
}

// Files that no one is asked about are declined for the reason that there is, and accepted where all are.
func TestOffersThatNoOneIsAskedAbout(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		says   string
	}{
		"declined for a reason":     {Config{DeclineFiles: "no files here", Unattended: true}, "no files here"},
		"declined without a reader": {Config{Unattended: true}, unattended},
		"accepted, all":             {Config{AcceptFiles: true, DeclineFiles: "no", Unattended: true}, `{"id":7,"of":"theirs"}`},
	} {
		m, h := offeredTo(t, c.config)
		if len(h.frames) != 1 || !strings.Contains(h.frames[0], c.says) || m.Pending() != c.config.AcceptFiles {
			t.Errorf("%s: it says %q", name, h.frames)
		}
		m.Close("over", false, false)
		if m.Missed() != map[bool]int{true: 1}[c.config.AcceptFiles] {
			t.Errorf("%s: %d are missed", name, m.Missed())
		}
	}
	m, h := offeredTo(t, Config{})
	m.EndInput()
	if len(h.frames) != 1 || !strings.Contains(h.frames[0], unattended) || m.Pending() {
		t.Errorf("after the input: %q", h.frames)
	}
	if err := m.Handle(them, 8, KindOffer, `{"name":"b","size":4}`, false); err != nil || m.Pending() || len(h.frames) != 2 {
		t.Errorf("an offer after the input: %v, %q", err, h.frames)
	}
}

// A restart of the other side ends what it no longer knows: its own files, and those of this side that it had heard of.
func TestRestartedOtherSide(t *testing.T) {
	m, h := offeredTo(t, Config{})
	ids, err := m.SendFiles(t.Context(), true, []string{chattest.Create(t, "b", nil), chattest.Create(t, "c", nil), chattest.Create(t, "d", nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Handle(them, 8, KindAccept, fmt.Sprintf(`{"id":%d,"of":"ours"}`, ids[2]), false); err != nil {
		t.Fatal(err)
	}
	m.Restarted(ids[0])
	var ended []uint64
	for _, e := range h.events {
		if f, ok := e.(Failed); ok {
			ended = append(ended, f.ID)
		}
	}
	if slices.Sort(ended); !slices.Equal(ended, []uint64{ids[0], ids[2], 7}) || m.Missed() != 2 || len(h.frames) != 3 {
		t.Errorf("ended are %v, %d are missed, and it says %q", ended, m.Missed(), h.frames)
	}
	m.Refuse(ids[1])
	m.Refuse(99)
	if last, ok := h.events[len(h.events)-1].(Failed); !ok || last.ID != ids[1] || m.Pending() || m.Missed() != 3 {
		t.Errorf("refused is %v", h.events[len(h.events)-1])
	}
}

// A conversation that ends names the files that were not offered, and counts those that had to get through, or all, if this side did not
// want it to end.
func TestCloseCounts(t *testing.T) {
	for _, c := range []struct {
		must, cutOff bool
		missed       int
	}{{false, false, 0}, {true, false, maxOffers + 2}, {false, true, maxOffers + 2}} {
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "", nil)
		path := chattest.Create(t, "a", nil)
		ids, err := m.SendFiles(t.Context(), c.must, slices.Repeat([]string{path}, maxOffers+2))
		if err != nil || len(ids) != maxOffers {
			t.Fatal(len(ids), err)
		}
		m.Close("it is over", false, c.cutOff)
		if m.Missed() != c.missed || m.Pending() || len(h.frames) != maxOffers {
			t.Errorf("%+v: %d are missed, %d frames", c, m.Missed(), len(h.frames))
		}
		notices := 0
		for _, e := range h.events {
			if n, ok := e.(Notice); ok && strings.HasPrefix(n.Text, "2 more files") {
				notices++
			}
		}
		if notices != 1 {
			t.Errorf("%+v: %d notices", c, notices)
		}
	}
}
