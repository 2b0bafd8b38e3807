//go:build unix

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
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/internal/chattest"
)

// A closingEnd is a receiverEnd that closes each channel a while after some messages.
type closingEnd struct {
	receiverEnd
	after int
}

func (e *closingEnd) Open(ctx context.Context) (io.ReadWriteCloser, error) {
	opened, err := e.receiverEnd.Open(ctx)
	c, n := opened.(*fileChannel), 0
	says := c.says
	c.says = func(b []byte) []byte {
		if n++; n == e.after {
			time.AfterFunc(10*time.Millisecond, func() { _ = c.Close() })
		}
		if n > e.after {
			return nil
		}
		return says(b)
	}
	return c, err
}

// A file is given up if five channels in a row bring nothing, and not while each of them brings some of it, however many close.
func TestChannelsThatKeepClosing(t *testing.T) {
	for _, moves := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			content := chattest.Noise(1 << 20)
			to := &closingEnd{after: 3}
			m, h, path := sends(t, content, &to.receiverEnd)
			has, done := 0, false
			to.says = func(b []byte) []byte {
				switch {
				case b[0] == fileData && moves:
					has += len(b) - 1
				case b[0] == fileDone:
					sum := sha256.Sum256(content)
					done = bytes.Equal(b[1:], sum[:])
				}
				return have(has)
			}
			ctx, end := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { m.Run(ctx, to) })
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			failed := eventsOf[Failed](h)
			if moves && (len(failed) > 0 || !done || to.opened <= 2*maxFutile) {
				t.Errorf("%d bytes have arrived over %d channels: %+v", has, to.opened, failed)
			}
			if !moves && (len(failed) != 1 || to.opened != maxFutile || !strings.Contains(failed[0].Reason, "keeps closing")) {
				t.Errorf("after %d channels: %+v", to.opened, failed)
			}
			end()
			wg.Wait()
			isClosed(t, path)
			m.Close("over", false, false)
		})
	}
}

// Accepted files move in the order in which they were offered, four at a time.
func TestFilesMoveInTheirOrder(t *testing.T) {
	h := &fakeHost{}
	m := New(Config{}, h, "ours", "theirs", nil)
	var paths []string
	for range 20 {
		paths = append(paths, chattest.Create(t, "a", []byte("a")))
	}
	ids, err := m.SendFiles(t.Context(), false, paths)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := m.Handle(them, 1, KindAccept, fmt.Sprintf(`{"id":%d,"of":"ours"}`, id), false); err != nil {
			t.Fatal(err)
		}
	}
	m.Greeted(Greeting{Name: "ben"})
	for i, id := range ids {
		f := m.nextFile()
		if i >= fileMoving {
			if f != nil {
				t.Fatalf("file %d moves as number %d", f.id, i+1)
			}
			break
		}
		if f == nil || f.id != id {
			t.Fatalf("number %d is %+v", i+1, f)
		}
	}
	m.Close("over", false, false)
}

// A folder so much of which has changed that the receiver cannot be told is given up.
func TestAFolderOfWhichTooMuchHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, to, h := folderWith(t), &receiverEnd{}, &fakeHost{}
		var names []string
		for i := range 200 {
			names = append(names, filepath.Join(path, fmt.Sprintf("%0200d", i)))
			if err := os.WriteFile(names[i], []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m := New(Config{Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", nil)
		ids, err := m.SendFiles(t.Context(), true, []string{path})
		for _, name := range names {
			err = errors.Join(err, os.Remove(name))
		}
		if err = errors.Join(err, m.Handle(them, 1, KindAccept, fmt.Sprintf(`{"id":%d,"of":"ours"}`, ids[0]), false)); err != nil {
			t.Fatal(err)
		}
		has := 0
		to.says = func(b []byte) []byte {
			if b[0] == fileData {
				has += len(b) - 1
			}
			if b[0] == fileDone {
				t.Errorf("its end has %d bytes", len(b))
			}
			return have(has)
		}
		m.Attach(to, false)
		m.Greeted(Greeting{Name: "ben"})
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { m.Run(ctx, to) })
		synctest.Wait()
		end()
		wg.Wait()
		if failed := eventsOf[Failed](h); len(failed) != 1 || failed[0].Reason != errSpoiled.Error() || m.Missed() != 1 || m.Pending() {
			t.Errorf("it ends with %+v", failed)
		}
		isClosed(t, path)
	})
}

// What an earlier run has sent is read for the hash, and closed; the rest is sent from where the receiver is.
func TestALaterRunSendsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, path := chattest.Noise(300_000), ""
		path = chattest.Create(t, "data", content)
		s, err := newSource(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		to, h, has, done := &receiverEnd{}, &fakeHost{}, 100_001, false
		m := New(Config{Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", []Record{{Ref: Ref{3, true}, Offer: s.Offer, Accepted: true, Path: s.path, Stamp: s.stamp}})
		m.Resume(t.Context())
		var got bytes.Buffer
		to.says = func(b []byte) []byte {
			switch b[0] {
			case fileData:
				got.Write(b[1:])
				has += len(b) - 1
				isOpenOnce(t, path)
			case fileDone:
				sum := sha256.Sum256(content)
				done = bytes.Equal(b[1:], sum[:])
			}
			return have(has)
		}
		m.Attach(to, false)
		m.Greeted(Greeting{Name: "ben"})
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { m.Run(ctx, to) })
		synctest.Wait()
		if !done || !bytes.Equal(got.Bytes(), content[100_001:]) {
			t.Errorf("%d bytes have come; the hash is right: %t", got.Len(), done)
		}
		end()
		wg.Wait()
		isClosed(t, path)
		m.Close("over", false, false)
	})
}

func isOpenOnce(t *testing.T, path string) {
	t.Helper()
	all, _ := os.ReadDir("/proc/self/fd") // none elsewhere
	n := 0
	for _, fd := range all {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && to == path {
			n++
		}
	}
	if n > 1 {
		t.Errorf("%s is open %d times", path, n)
	}
}

// How far a file is is told when it begins or goes on, and then four times a second at most; not after its end.
func TestProgressIsToldNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "theirs", nil)
		f := &file{id: 1, Offer: Offer{Size: 100}}
		var want []int64
		step := func(bytes int64, begins, told bool) {
			if m.progress(f, bytes, begins); told {
				want = append(want, bytes)
			}
		}
		step(1, true, true)
		step(2, false, false)
		step(3, true, true)
		time.Sleep(progressInterval - 1)
		step(4, false, false)
		time.Sleep(time.Nanosecond)
		step(5, false, true)
		step(6, false, false)
		f.state = failed
		step(7, true, false)
		var got []int64
		for _, e := range eventsOf[Progress](h) {
			got = append(got, e.Bytes)
		}
		if !slices.Equal(got, want) || f.bytes != 7 {
			t.Errorf("told is %d, not %d; %d bytes are there", got, want, f.bytes)
		}
	})
}
