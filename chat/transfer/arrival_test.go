package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/internal/chattest"
)

// newSink returns an arrival of that size, and what is written of it.
func newSink(size int64) (*arrival, *bytes.Buffer) {
	var got bytes.Buffer
	return newArrival(size, 0, func(b []byte) (int64, error) {
		got.Write(b)
		return int64(got.Len()), nil
	}), &got
}

// Pieces in any order, that come twice and overlap, make one stream.
func TestPiecesInAnyOrder(t *testing.T) {
	stream := chattest.Noise(100)
	a, got := newSink(100)
	for i, c := range []struct{ from, to, next int64 }{
		{40, 60, 0}, {40, 60, 0}, {80, 100, 0}, {10, 10, 0}, // early; an empty one is none
		{0, 20, 20}, {0, 20, 20}, {5, 20, 20}, {10, 30, 30}, {30, 40, 60}, {60, 80, 100}, {100, 100, 100}, {0, 100, 100},
	} {
		if next, err := a.take(c.from, stream[c.from:c.to]); err != nil || next != c.next {
			t.Errorf("%d: %d, %v", i, next, err)
		}
	}
	if !bytes.Equal(got.Bytes(), stream) || a.held != 0 || a.beyond != 0 || len(a.early) != 0 {
		t.Errorf("it is %d bytes, and holds %d, %d", got.Len(), a.held, a.beyond)
	}
}

func TestPiecesThatNoHonestSenderSends(t *testing.T) {
	for _, c := range []struct {
		offset int64
		length int
		want   error
	}{
		{-1, 1, errUnordered}, {heldMost, 1, nil}, {heldMost + 1, 1, errUnordered}, {heldMost, 10, nil},
		{10, 2*heldMost - 10, errUnordered}, {2*heldMost - 5, 6, errUnordered}, {0, 2*heldMost + 1, errTooMuch}, {10, 2*heldMost - 9, errTooMuch}, {1, 2 * heldMost, errTooMuch},
		{0, 2 * heldMost, nil}, {10, heldMost, nil}, {10, heldMost + 1, errUnordered},
	} {
		a, _ := newSink(2 * heldMost)
		if _, err := a.take(c.offset, make([]byte, c.length)); !errors.Is(err, c.want) {
			t.Errorf("%d bytes at %d: %v", c.length, c.offset, err)
		}
	}
	small, _ := newSink(heldMost)
	for i := range heldMost / heldLeast {
		if _, err := small.take(int64(2+2*i), []byte{1}); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := small.take(1<<20, []byte{1}); !errors.Is(err, errUnordered) {
		t.Errorf("one small piece more: %v", err)
	}
	if n := len(small.early); n != heldMost/heldLeast {
		t.Errorf("it holds %d", n)
	}
	full, _ := newSink(heldMost)
	disk := errors.New("the disk is full")
	full.write = func([]byte) (int64, error) { return 0, disk }
	if _, err := full.take(0, []byte{1}); !errors.Is(err, disk) {
		t.Error(err)
	}
	full.close()
	if _, err := full.take(0, []byte{1}); !errors.Is(err, errClosed) {
		t.Errorf("after its channel: %v", err)
	}
}

// posted has what a sender is told, and when.
type posted struct {
	begun time.Time
	haves []string
	most  int // then its channel has closed
}

func (p *posted) Write(b []byte) (int, error) {
	beyond := uint64(0)
	if len(b) > 9 {
		beyond = binary.BigEndian.Uint64(b[9:])
	}
	p.haves = append(p.haves, fmt.Sprint(b[0], binary.BigEndian.Uint64(b[1:]), beyond, time.Since(p.begun)))
	if len(p.haves) == p.most {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

// The sender hears at once of the first bytes, then each 10 ms or 128 KiB, and nothing while nothing comes.
func TestHavesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newSink(1 << 20)
		p := &posted{begun: time.Now(), most: 5}
		during := make(chan struct{})
		go func() {
			defer close(during)
			a.postHaves(t.Context(), p)
		}()
		take := func(offset int64, n int) {
			if _, err := a.take(offset, make([]byte, n)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		take(0, 10)
		take(10, 10)
		take(40, 10) // beyond
		time.Sleep(5 * time.Millisecond)
		take(20, 10)
		time.Sleep(20 * time.Millisecond)
		take(0, 10)           // again
		take(30, 10)          // what was beyond comes, too
		take(50, fileHaves)   // much
		take(50+fileHaves, 1) // soon
		<-during              // its channel has closed
		want := "2 10 0 0s, 2 30 10 10ms, 2 50 0 25ms, 2 131122 0 25ms, 2 131123 0 35ms"
		if got := strings.Join(p.haves, ", "); got != want {
			t.Errorf("it is told %s", got)
		}
	})
}

// receiving returns a file of three bytes that is being received, and what it begins with.
func receiving(t *testing.T, config Config) (*Manager, *fakeHost, *file, *arrival) {
	t.Helper()
	config.Resumable = false
	m, h := offeredTo(t, config)
	if !config.AcceptFiles {
		if err := m.Accept(7); err != nil {
			t.Fatal(err)
		}
	}
	f := m.awaited(7)
	if f == nil || m.awaited(7) != nil || m.awaited(8) != nil {
		t.Fatal("it may have no channel, or two")
	}
	f.arrival = newArrival(f.Size, 0, f.download.write)
	return m, h, f, f.arrival
}

// What a channel brings makes a file, or ends it, for a reason that both sides hear.
func TestMessagesOfAFile(t *testing.T) {
	data, sum := []byte{fileData, 'a', 'b', 'c', 'd'}, sha256.Sum256([]byte("abcd"))
	end := append([]byte{fileDone}, sum[:]...)
	wrong := append([]byte{fileDone}, make([]byte, sha256.Size)...)
	for name, c := range map[string]struct {
		messages [][]byte
		reason   string
	}{
		"whole":                      {[][]byte{data, end}, ""},
		"in pieces":                  {[][]byte{data[:2], {fileData}, append([]byte{fileData}, data[2:]...), end}, ""},
		"with another hash":          {[][]byte{data, wrong}, errDamaged.Error()},
		"ended early":                {[][]byte{data[:4], end}, errTooEarly.Error()},
		"with more than was offered": {[][]byte{append(bytes.Clone(data), 'e'), end}, errTooMuch.Error()},
		"with half a hash":           {[][]byte{data, end[:sha256.Size]}, errUnordered.Error()},
		"with nonsense behind it":    {[][]byte{data, append(bytes.Clone(end), "{"...)}, errNoTar.Error()},
		"with an empty message":      {[][]byte{data, {}}, errUnordered.Error()},
		"with a message of no kind":  {[][]byte{data, {9}}, errUnordered.Error()},
		"with a have":                {[][]byte{{fileHave, 0, 0, 0, 0, 0, 0, 0, 0}}, errUnordered.Error()},
	} {
		for _, all := range []bool{false, true} {
			dir := t.TempDir()
			m, h, f, a := receiving(t, Config{DownloadDir: dir, AcceptFiles: all})
			at := int64(0)
			for _, message := range append(c.messages, data, end) { // what comes after the end is dropped
				at += m.receive(f, a, message, at)
			}
			m.release(f)
			last, told, content := h.events[len(h.events)-1], h.frames[len(h.frames)-1], chattest.Contents(t, dir)
			missed := 0
			if all && c.reason != "" {
				missed = 1
			}
			if m.Pending() || !m.Settled() || len(h.frames) != 2 || m.Missed() != missed || !h.kept[len(h.kept)-1].Ended {
				t.Errorf("%s: %d are missed, it says %q", name, m.Missed(), h.frames)
			}
			if f, ok := last.(Failed); c.reason != "" && (!ok || f.Reason != c.reason || f.Outgoing || f.ID != 7 || !strings.Contains(told, c.reason) || len(content) > 0) {
				t.Errorf("%s: it ends with %+v, %s, %v", name, last, told, content)
			}
			if r, ok := last.(Received); c.reason == "" && (!ok || r.SHA256 != sum || r.Size != 4 || r.Called != "" || len(content) != 1 || strings.Contains(told, "as")) {
				t.Errorf("%s: it ends with %+v, %s, %v", name, last, told, content)
			}
		}
	}
}

// The sender and the reader hear of another name than the offered one.
func TestReceivedUnderAnotherName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, h, f, a := receiving(t, Config{DownloadDir: dir})
	sum := sha256.Sum256([]byte("abcd"))
	m.receive(f, a, []byte{fileData, 'a', 'b', 'c', 'd'}, 0)
	m.receive(f, a, append([]byte{fileDone}, sum[:]...), 4)
	r, ok := h.events[len(h.events)-1].(Received)
	if !ok || r.Called != "a" || r.Path != dir+"/a (1)" || !strings.Contains(h.frames[1], `"as":"a (1)"`) {
		t.Errorf("it is %+v, and the sender hears %q", h.events, h.frames)
	}
	if b, err := os.ReadFile(dir + "/a"); err != nil || string(b) != "mine" { //nolint:gosec // the test's own
		t.Errorf("what was there is %q, %v", b, err)
	}
}

// A disk that cannot be written to ends the file: the sender hears no path.
func TestADiskThatFails(t *testing.T) {
	m, h, f, _ := receiving(t, Config{})
	if err := f.download.handle.Close(); err != nil {
		t.Fatal(err)
	}
	m.receive(f, newArrival(f.Size, 0, f.download.write), []byte{fileData, 'a'}, 0)
	last, ok := h.events[len(h.events)-1].(Failed)
	if !ok || m.Pending() || strings.Contains(h.frames[len(h.frames)-1], "/") {
		t.Errorf("it ends with %+v, and the sender hears %q", last, h.frames)
	}
}

// Only one file of the other side has stripes at a time, and only while it has a channel.
func TestOneFileHasStripes(t *testing.T) {
	m, _, f, a := receiving(t, Config{})
	if err := m.Handle(them, 8, KindOffer, `{"name":"b","size":4}`, false); err != nil {
		t.Fatal(err)
	}
	if _, got := m.striping(8); got != nil {
		t.Error("a file without a channel has stripes")
	}
	if got, its := m.striping(7); got != f || its != a {
		t.Error("a file with a channel has none")
	}
	if _, its := m.striping(7); its != a {
		t.Error("it has no second one")
	}
	if err := m.Accept(8); err != nil {
		t.Fatal(err)
	}
	other := m.awaited(8)
	other.arrival = newArrival(4, 0, other.download.write)
	if _, its := m.striping(8); its != nil {
		t.Error("two files have stripes")
	}
	m.release(other) // it had none to give up
	if other = m.awaited(8); other == nil {
		t.Fatal("it may have no other channel")
	}
	other.arrival = newArrival(4, 0, other.download.write)
	if _, its := m.striping(8); its != nil {
		t.Error("two files have stripes once one has had another channel")
	}
	m.release(f)
	if got, its := m.striping(8); got != other || its == nil {
		t.Error("the next file has none")
	}
	// After a pipe, the file that had stripes may go on without, and another one have them.
	m.release(other)
	for _, f := range []*file{m.awaited(8), m.awaited(7)} {
		f.arrival = newArrival(4, 0, f.download.write)
	}
	if got, its := m.striping(7); got != f || its == nil {
		t.Error("a file that had stripes on another pipe keeps them from the next one")
	}
	m.Close("over", false, false)
}

// The sender gives the stripes of a file to the next one when it hears how the file has ended: by then, they are taken.
func TestStripesOfTheNextFile(t *testing.T) {
	sum := sha256.Sum256([]byte("abcd"))
	for name, last := range map[string][]byte{"it has arrived": append([]byte{fileDone}, sum[:]...), "it has failed": {9}} {
		m, h, f, a := receiving(t, Config{Log: slog.New(slog.DiscardHandler)})
		if err := errors.Join(m.Handle(them, 8, KindOffer, `{"name":"b","size":4}`, false), m.Accept(8)); err != nil {
			t.Fatal(err)
		}
		next := m.awaited(8)
		next.arrival = newArrival(4, 0, next.download.write)
		if _, its := m.striping(7); its != a {
			t.Fatal("the file has none")
		}
		m.receive(f, a, []byte("\x03abcd"), 0)
		heard := false
		h.fails = func(Kind) error {
			got, its := m.striping(8)
			if heard = true; got != next || its == nil {
				t.Errorf("%s: the sender hears that, and the stripes of the next file would be refused", name)
			}
			return nil
		}
		m.receive(f, a, last, 4)
		if !heard {
			t.Errorf("%s: the sender does not hear of it", name)
		}
		h.fails = nil
		m.Close("over", false, false)
	}
}
