package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/internal/chattest"
)

// A receiverEnd is a pipe whose other side the test plays: each channel that is opened hands what is written to says, which returns the response.
type receiverEnd struct {
	says   func(message []byte) (response []byte)
	opened int
}

func (*receiverEnd) OpenApart(context.Context) (io.ReadWriteCloser, error) {
	return nil, errors.New("no further connection")
}
func (*receiverEnd) RoundTrip() time.Duration { return 0 }
func (*receiverEnd) Expect(bool)              {}
func (*receiverEnd) Accept(ctx context.Context) (io.ReadWriteCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (r *receiverEnd) Open(context.Context) (io.ReadWriteCloser, error) {
	r.opened++
	return &fileChannel{says: r.says, in: make(chan []byte, 100), closed: make(chan struct{})}, nil
}

type fileChannel struct {
	says   func([]byte) []byte
	in     chan []byte
	once   sync.Once
	closed chan struct{}
}

func (c *fileChannel) Write(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	if response := c.says(b); response != nil {
		c.in <- response
	}
	return len(b), nil
}

func (c *fileChannel) Read(b []byte) (int, error) {
	select {
	case m := <-c.in:
		return copy(b, m), nil
	case <-c.closed:
		return 0, io.EOF
	}
}

func (c *fileChannel) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func have(n int) []byte {
	var b bytes.Buffer
	_ = postHave(&b, int64(n), 0) // to memory
	return b.Bytes()
}

// sends runs a Manager that sends a file of those bytes, which the other side has accepted.
func sends(t *testing.T, content []byte, to *receiverEnd) (m *Manager, h *fakeHost, path string) {
	t.Helper()
	h, path = &fakeHost{}, chattest.Create(t, "data", content)
	m = New(Config{Resumable: true, Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", nil)
	ids, err := m.SendFiles(t.Context(), true, []string{path})
	if err == nil {
		err = m.Handle(them, 1, KindAccept, fmt.Sprintf(`{"id":%d,"of":"ours"}`, ids[0]), false)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Attach(to, false)
	m.Greeted(Greeting{Name: "ben"})
	return m, h, path
}

// The SHA-256 of a file is kept before the receiver is told it: a sender that is killed then still believes the confirmation.
func TestTheSumIsKeptBeforeItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, has, done := chattest.Noise(300_000), 0, false
		sum := sha256.Sum256(content)
		to := &receiverEnd{}
		m, h, path := sends(t, content, to)
		to.says = func(b []byte) []byte {
			switch b[0] {
			case fileData:
				has += len(b) - 1
			case fileDone:
				h.mu.Lock()
				last := h.kept[len(h.kept)-1]
				h.mu.Unlock()
				if done = true; !bytes.Equal(last.Sum, sum[:]) || !bytes.Equal(b[1:], sum[:]) || last.Path != path {
					t.Errorf("kept is %+v", last)
				}
			}
			return have(has)
		}
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { m.Run(ctx, to) })
		synctest.Wait()
		end()
		wg.Wait()
		if !done || has != len(content) {
			t.Fatalf("%d bytes have arrived", has)
		}
		h.mu.Lock()
		kept := h.kept[len(h.kept)-1]
		h.mu.Unlock()
		later := New(Config{Resumable: true, Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", []Record{kept})
		later.Resume(t.Context())
		if err := later.Handle(them, 2, KindReceived, fmt.Sprintf(`{"id":%d,"of":"ours"}`, kept.ID), false); err != nil || !later.Sent(kept.ID) {
			t.Errorf("a later run does not believe that it has arrived: %v, %+v", err, h.events[len(h.events)-1])
		}
		m.Close("over", false, false)
	})
}

// Whenever a channel closes, the file that it was for is closed, and is sent from where it was.
func TestCutFilesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, has, messages := chattest.Noise(1<<20), 0, 0
		to := &receiverEnd{}
		m, _, path := sends(t, content, to)
		var got bytes.Buffer
		ctx, end := context.WithCancel(t.Context())
		to.says = func(b []byte) []byte {
			if b[0] == fileData {
				got.Write(b[1:])
				has += len(b) - 1
			}
			if messages++; messages%5 == 0 && has < len(content) {
				end() // the pipe breaks
				return nil
			}
			return have(has)
		}
		for range 100 {
			var wg sync.WaitGroup
			wg.Go(func() { m.Run(ctx, to) })
			synctest.Wait()
			if runtime.GOOS == "linux" && ctx.Err() != nil {
				isClosed(t, path)
			}
			if has == len(content) {
				end()
			}
			wg.Wait()
			if has == len(content) {
				break
			}
			ctx, end = context.WithCancel(t.Context())
		}
		end()
		if !bytes.Equal(got.Bytes(), content) || to.opened < 3 {
			t.Errorf("%d bytes have arrived over %d channels", got.Len(), to.opened)
		}
		m.Close("over", false, false)
	})
}

func isClosed(t *testing.T, path string) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, fd := range all {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && to == path {
			t.Errorf("%s is still open", path)
		}
	}
}

// A file that has changed since the program was killed is not sent on, and one that is the same waits for a channel.
func TestResumedSources(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		sent   bool
	}{
		"the same": {func(string) error { return nil }, true},
		"another time": {func(path string) error {
			return os.Chtimes(path, time.Time{}, time.Unix(1, 0))
		}, false},
		"longer": {func(path string) error { return os.WriteFile(path, []byte("abcdefgh"), 0o600) }, false},
		"gone":   {os.Remove, false},
		"a folder": {func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}, false},
	} {
		path := chattest.Create(t, "data", []byte("abcd"))
		s, err := newSource(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		h := &fakeHost{}
		m := New(Config{Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", []Record{{Ref: Ref{3, true}, Offer: s.Offer, Accepted: true, Path: s.path, Stamp: s.stamp}})
		m.Attach(&receiverEnd{}, false)
		m.Greeted(Greeting{Name: "ben"})
		if m.nextFile() != nil {
			t.Errorf("%s: it moves before this run has looked at it", name)
		}
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		m.Resume(t.Context())
		if f := m.nextFile(); (f != nil) != c.sent {
			t.Errorf("%s: it is sent: %v", name, f != nil)
		}
		if last, ok := h.events[len(h.events)-1].(Failed); ok == c.sent || !c.sent && (!strings.Contains(last.Reason, "changed while") || len(h.frames) != 1 || m.Pending()) {
			t.Errorf("%s: %+v, %q", name, h.events, h.frames)
		}
		m.Close("over", false, false)
	}
}

// The runs of a program end before they have looked at a source: the next one does.
func TestResumeIsEnded(t *testing.T) {
	h, path := &fakeHost{}, filepath.Dir(chattest.Create(t, "data", []byte("abcd")))
	s, err := newSource(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	m := New(Config{}, h, "ours", "theirs", []Record{{Ref: Ref{3, true}, Offer: s.Offer, Accepted: true, Path: s.path, Stamp: s.stamp}})
	ctx, end := context.WithCancel(t.Context())
	end()
	m.Resume(ctx)
	if !m.Pending() || len(h.events) > 0 || len(h.kept) > 0 {
		t.Errorf("it is pending: %v; %+v, %+v", m.Pending(), h.events, h.kept)
	}
	m.Close("over", true, false)
}
