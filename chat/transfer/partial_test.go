package transfer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"p2pchat/chat/internal/chattest"
)

func TestSweep(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	lands := func(folder, kept bool) *download {
		l, err := createDownload(dir, Offer{Name: "x", Size: 5, Folder: folder}, kept)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	file, folder, kept := lands(false, false), lands(true, false), lands(false, true)
	link := filepath.Join(dir, ".p2pchat-ABCDEFGHIJK2.part")
	if err := errors.Join(os.Symlink(outside, link), os.WriteFile(filepath.Join(dir, ".p2pchat-notes.part"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if n := Sweep(dir); n != 0 {
		t.Errorf("%d are swept away that are being written", n)
	}
	for _, l := range []*download{file, folder, kept} { // as if its program was killed
		_ = l.endStream(errGone) // it is cut short
		l.handle.Close()
		l.root.Close()
	}
	if n := Sweep(dir); n != 2 {
		t.Errorf("%d are swept away, not 2", n)
	}
	if got := chattest.Contents(t, dir); len(got) != 3 || got[kept.temp] == "" {
		t.Errorf("there is %v", got)
	}
	if n := Sweep(filepath.Join(dir, "nowhere")); n != 0 {
		t.Errorf("%d are swept away where nothing is", n)
	}
}

// What is not locked yet may be swept away: then another is made.
func TestSweepWhileCreating(t *testing.T) {
	dir := t.TempDir()
	var stop atomic.Bool
	swept := make(chan int)
	go func() {
		n := 0
		for !stop.Load() {
			n += Sweep(dir)
		}
		swept <- n
	}()
	for i := range 100 {
		l, err := createDownload(dir, Offer{Name: "x", Size: 2, Folder: false}, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.write([]byte("hi")); err != nil {
			t.Fatal(err)
		}
		if path, err := l.commit(); err != nil {
			t.Fatalf("%d: %v", i, err)
		} else if b, err := os.ReadFile(path); string(b) != "hi" { //nolint:gosec // the test's own
			t.Fatalf("%d: %q, %v", i, b, err)
		}
	}
	stop.Store(true)
	t.Logf("%d were swept away before they were locked", <-swept)
}

func TestReceiverThatAlwaysStartsOver(t *testing.T) {
	m := New(Config{}, &fakeHost{}, "", "", nil)
	f := &file{Offer: Offer{Size: 100}, hashed: 100, bytes: 50, outgoing: true}
	for i := range maxLowered + 1 {
		if f.bytes = 50; m.mayHave(f, 0, 0, true) != (i < maxLowered) {
			t.Errorf("%d: it may, or not", i)
		}
	}
	if m.mayHave(f, 101, 0, true) || m.mayHave(f, 0, 101, true) || m.mayHave(f, 0, -1, true) || m.mayHave(f, -1, 0, true) {
		t.Error("it says what makes no sense")
	}
}

func TestPartialReplacedByAnotherFile(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "precious")
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := createDownload(dir, Offer{Name: "x", Size: 100}, true)
	if err != nil {
		t.Fatal(err)
	}
	l.suspend()
	if err := errors.Join(os.Remove(filepath.Join(dir, l.temp)), os.Link(other, filepath.Join(dir, l.temp))); err != nil {
		t.Fatal(err)
	}
	if l, err := resumeDownload(dir, l.temp, l.Offer); !errors.Is(err, errLost) {
		t.Errorf("it would be written to: %v", err)
		l.discard()
	}
}

// A pipe that breaks while the receiver still reads what an earlier run has written ends nothing: the file goes on over the next one. If what
// was written cannot be read, the file is given up.
func TestAPipeThatBreaksBeforeAFileGoesOn(t *testing.T) {
	dir := t.TempDir()
	d, err := createDownload(dir, Offer{Name: "x", Size: 100}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.write(chattest.Noise(50)); err != nil {
		t.Fatal(err)
	}
	d.suspend()
	if d, err = resumeDownload(dir, d.temp, d.Offer); err != nil {
		t.Fatal(err)
	}
	defer d.discard()
	h := &fakeHost{}
	m := New(Config{}, h, "ours", "theirs", nil)
	f := &file{id: 1, of: "theirs", Offer: d.Offer, download: d}
	f.state.move(waiting)
	m.put(f)
	broken, cut := context.WithCancel(t.Context())
	cut()
	var ch bytes.Buffer
	m.receiveOver(broken, &ch, 1, make([]byte, 100))
	if f.state != waiting || len(h.events) > 0 || ch.Len() > 0 {
		t.Fatalf("after a cut it is %v; it tells %v, and writes %q", f.state, h.events, ch.Bytes())
	}
	d.handle.Close() // the disk fails
	m.receiveOver(t.Context(), &ch, 1, make([]byte, 100))
	if _, failed := h.events[0].(Failed); !failed || !f.state.over() {
		t.Errorf("after an error of the disk it is %v; it tells %v", f.state, h.events)
	}
}
