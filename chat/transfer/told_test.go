//go:build unix

package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
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

// eventsOf returns the events of one type that a host was told.
func eventsOf[E Event](h *fakeHost) (all []E) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e, ok := e.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// folderWith returns a folder with files of a byte each, and a link.
func folderWith(t *testing.T, files ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tree")
	err := errors.Join(os.Mkdir(path, 0o700), os.Symlink("elsewhere", filepath.Join(path, "link")))
	for _, name := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A sender hears what is offered, what of it is left out, how far it is, and what did not arrive. In the end the folder is closed.
func TestWhatASenderIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, h, to := folderWith(t, "a", "b"), &fakeHost{}, &receiverEnd{}
		m := New(Config{Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", nil)
		ids, err := m.SendFiles(t.Context(), true, []string{path})
		if err != nil {
			t.Fatal(err)
		}
		offering, notices := eventsOf[Offering](h), eventsOf[Notice](h)
		if len(offering) != 1 || offering[0].Name != "tree" || !offering[0].Folder || offering[0].Files != 2 || offering[0].ID != ids[0] || offering[0].Accepted {
			t.Errorf("it offers %+v", offering)
		}
		if len(notices) != 1 || !strings.Contains(notices[0].Text, "left out") {
			t.Errorf("it is told %+v", notices)
		}
		if err := os.Remove(filepath.Join(path, "b")); err != nil {
			t.Fatal(err)
		}
		say := func(k Kind, text string) {
			t.Helper()
			if err := m.Handle(them, 1, k, fmt.Sprintf(`{"id":%d,"of":"ours"%s}`, ids[0], text), false); err != nil {
				t.Error(err)
			}
		}
		has := 0
		to.says = func(b []byte) []byte {
			if b[0] == fileData {
				has += len(b) - 1
			}
			return have(has)
		}
		say(KindAccept, "")
		m.Attach(to, false)
		m.Greeted(Greeting{Name: "ben"})
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { m.Run(ctx, to) })
		synctest.Wait()
		say(KindReceived, `,"as":"tree (1)","renamed":3`)
		synctest.Wait()
		end()
		wg.Wait()
		progress, left, sent := eventsOf[Progress](h), eventsOf[LeftOut](h), eventsOf[Sent](h)
		if len(progress) == 0 || progress[0].Bytes != 0 || !progress[0].Outgoing || progress[0].Size != offering[0].Size || !progress[0].Folder || progress[0].Files != 2 {
			t.Errorf("it sees %+v", progress)
		}
		if len(left) != 1 || left[0].File != "b" || !left[0].Outgoing || left[0].Name != "tree" || left[0].Kept {
			t.Errorf("left out is %+v", left)
		}
		if len(sent) != 1 || sent[0].As != "tree (1)" || sent[0].Renamed != 3 || sent[0].Files != 2 || m.Missed() != 1 || m.Pending() {
			t.Errorf("sent is %+v; %d are missed", sent, m.Missed())
		}
		isClosed(t, path)
	})
}

// A senderEnd is a file's channel whose messages the test writes.
type senderEnd struct {
	fileChannel
	wrote [][]byte
}

func newSenderEnd() *senderEnd {
	s := &senderEnd{fileChannel: fileChannel{in: make(chan []byte, 100), closed: make(chan struct{})}}
	s.says = func(b []byte) []byte {
		s.wrote = append(s.wrote, bytes.Clone(b))
		return nil
	}
	return s
}

// A receiver sees how far a file is, however long the sender pauses, and how it ends: also if it cannot get its name. A file in a folder that was not
// sent as it was is removed.
func TestWhatAReceiverIsTold(t *testing.T) {
	folder := tape(t, tar.Header{Name: "a", Typeflag: tar.TypeReg}, tar.Header{Name: "b", Typeflag: tar.TypeReg})
	left, err := json.Marshal([]leftOut{{Name: "b", Why: "gone"}})
	if err != nil {
		t.Fatal(err)
	}
	odd := tape(t, tar.Header{Name: "a", Typeflag: tar.TypeReg}, tar.Header{Name: `x\y`, Typeflag: tar.TypeReg})
	oddLeft, err := json.Marshal([]leftOut{{Name: `x\y`, Why: "gone"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		offer  Offer
		stream []byte
		left   []byte
		breaks bool // what has arrived is removed by another program
		want   []string
	}{
		{name: "a file", offer: Offer{Name: "a", Size: 4}, stream: []byte("abcd"), want: []string{"a"}},
		{name: "a file without its disk", offer: Offer{Name: "a", Size: 4}, stream: []byte("abcd"), breaks: true},
		{name: "a folder with another name in it", offer: Offer{Name: "tree", Size: int64(len(odd)), Folder: true, Files: 2}, stream: odd, left: oddLeft, want: []string{"tree", "tree/a"}},
		{name: "a folder", offer: Offer{Name: "tree", Size: int64(len(folder)), Folder: true, Files: 2}, stream: folder, left: left, want: []string{"tree", "tree/a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, dir, ch := &fakeHost{}, t.TempDir(), newSenderEnd()
				m := New(Config{DownloadDir: dir, Log: slog.New(slog.DiscardHandler)}, h, "ours", "theirs", nil)
				text, err := json.Marshal(c.offer)
				if err == nil {
					err = m.Handle(them, 7, KindOffer, string(text), false)
				}
				if err = errors.Join(err, m.Accept(7)); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				wg.Go(func() { m.receiveFile(t.Context(), ch) })
				ch.in <- binary.BigEndian.AppendUint64([]byte{fileBegin}, 7)
				time.Sleep(time.Minute)
				ch.in <- append([]byte{fileData}, c.stream...)
				time.Sleep(time.Minute)
				if c.breaks {
					for name := range chattest.Contents(t, dir) {
						if err := os.Remove(filepath.Join(dir, name)); err != nil {
							t.Fatal(err)
						}
					}
				}
				sum := sha256.Sum256(c.stream)
				ch.in <- append(append([]byte{fileDone}, sum[:]...), c.left...)
				synctest.Wait()
				_ = ch.Close()
				wg.Wait()
				progress, received, failed := eventsOf[Progress](h), eventsOf[Received](h), eventsOf[Failed](h)
				if len(progress) != 2 || progress[0].Bytes != 0 || progress[1].Bytes != c.offer.Size || progress[1].Outgoing || progress[1].Size != c.offer.Size {
					t.Errorf("it sees %+v", progress)
				}
				var names []string
				for name := range chattest.Contents(t, dir) {
					names = append(names, name)
				}
				if slices.Sort(names); !slices.Equal(names, c.want) {
					t.Errorf("there is %q", names)
				}
				if c.breaks {
					last := h.frames[len(h.frames)-1]
					if len(received) > 0 || len(failed) != 1 || !strings.Contains(failed[0].Reason, "cannot be written to "+dir) || strings.Contains(last, dir) || !strings.Contains(last, "could not write it") {
						t.Errorf("it ends with %+v, %+v, and the sender hears %s", received, failed, last)
					}
				} else if len(received) != 1 || len(failed) > 0 || received[0].SHA256 != sum {
					t.Errorf("it ends with %+v, %+v", received, failed)
				}
				if m.Pending() || len(ch.wrote) < 2 {
					t.Errorf("it is pending, or the sender hears %d", ch.wrote)
				}
			})
		})
	}
}

// What cannot be offered is told, counts as missed if it had to get through, and is closed.
func TestFoldersThatAreNotOffered(t *testing.T) {
	broken := errors.New("the journal cannot be written")
	t.Run("at once", func(t *testing.T) {
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "theirs", nil)
		offers := 0
		h.fails = func(Kind) error {
			if offers++; offers == 2 {
				return broken
			}
			return nil
		}
		paths := []string{folderWith(t), folderWith(t), folderWith(t), folderWith(t)}
		ids, err := m.SendFiles(t.Context(), true, paths)
		if !errors.Is(err, broken) || len(ids) != 1 || m.Missed() != 3 || offers != 2 {
			t.Errorf("%v; %d are offered, %d are missed", err, ids, m.Missed())
		}
		for _, path := range paths[1:] {
			isClosed(t, path)
		}
		m.Close("over", false, false)
		isClosed(t, paths[0])
	})
	t.Run("later", func(t *testing.T) {
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "theirs", nil)
		h.fails = func(Kind) error { return ErrFull }
		path := folderWith(t)
		if ids, err := m.SendFiles(t.Context(), true, []string{path}); err != nil || len(ids) > 0 {
			t.Fatal(ids, err)
		}
		h.fails = func(Kind) error { return broken }
		m.OfferQueued()
		notices := eventsOf[Notice](h)
		if len(notices) != 1 || !strings.Contains(notices[0].Text, `"tree" was not offered: the journal`) || m.Pending() || m.Missed() != 1 {
			t.Errorf("it is told %+v; pending: %t; %d are missed", notices, m.Pending(), m.Missed())
		}
		isClosed(t, path)
	})
	t.Run("ever", func(t *testing.T) {
		h, path := &fakeHost{fails: func(Kind) error { return ErrFull }}, folderWith(t)
		m := New(Config{}, h, "ours", "theirs", nil)
		if _, err := m.SendFiles(t.Context(), true, []string{path}); err != nil {
			t.Fatal(err)
		}
		m.Close("over", false, false)
		if m.Missed() != 1 || m.Pending() {
			t.Errorf("%d are missed; pending: %t", m.Missed(), m.Pending())
		}
		isClosed(t, path)
	})
}

// A later run asks once about the offers that have no answer, and about nothing else.
func TestEarlierOffersAreAskedAboutOnce(t *testing.T) {
	h := &fakeHost{}
	m := New(Config{}, h, "ours", "theirs", []Record{
		{Ref: Ref{1, false}, Offer: Offer{Name: "unanswered"}},
		{Ref: Ref{2, false}, Offer: Offer{Name: "accepted"}, Accepted: true},
		{Ref: Ref{3, true}, Offer: Offer{Name: "ours"}},
	})
	m.Greeted(Greeting{Name: "ben"})
	m.Greeted(Greeting{Name: "ben"})
	if asked := eventsOf[Offered](h); len(asked) != 1 || asked[0].Name != "unanswered" || asked[0].From != "ben" {
		t.Errorf("it asks about %+v", asked)
	}
}

// A folder that a killed program was receiving begins from nothing. What another program or person has put in its place stays as it is.
func TestAFolderIsContinued(t *testing.T) {
	stream := tape(t, tar.Header{Name: "a", Typeflag: tar.TypeReg})
	o := Offer{Name: "tree", Folder: true, Files: 1, Size: int64(len(stream))}
	dir := t.TempDir()
	temp := filepath.Join(dir, "temp")
	if err := errors.Join(os.Mkdir(temp, 0o700), os.WriteFile(filepath.Join(temp, "half"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	d, err := resumeDownload(dir, "temp", o)
	if err != nil {
		t.Fatal(err)
	}
	if had, err := d.has(t.Context()); had != 0 || err != nil {
		t.Errorf("it goes on from %d, %v", had, err)
	}
	if _, err := d.write(stream); err != nil {
		t.Fatal(err)
	}
	path, err := d.commit()
	if content := chattest.Contents(t, dir); err != nil || filepath.Base(path) != "tree" || len(content) != 2 {
		t.Errorf("there is %v, %v", content, err)
	}
	if err := os.WriteFile(temp, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := resumeDownload(dir, "temp", o); !errors.Is(err, errLost) {
		t.Errorf("a file in its place: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(temp, 1, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := resumeDownload(dir, "temp", Offer{Name: "a", Size: 9}); !errors.Is(err, errLost) {
			t.Errorf("another person's file in its place: %v", err)
		}
		other := filepath.Join(dir, ".p2pchat-ABCDEFGHIJK2.part")
		if err := os.Rename(temp, other); err != nil {
			t.Fatal(err)
		}
		if n := Sweep(dir); n != 0 {
			t.Error("another person's file is swept away")
		}
		temp = other
	}
	if b, err := os.ReadFile(temp); string(b) != "mine" { //nolint:gosec // the test's own
		t.Errorf("it is %q, %v", b, err)
	}
}

// A folder that is the same as in an earlier run is sent whole, and one that has changed is closed.
func TestAFolderIsSentOn(t *testing.T) {
	for _, change := range []string{"", "longer", "y"} {
		path, changed := folderWith(t, "a", "b"), change != ""
		s, err := newSource(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		s.close()
		if changed {
			a := filepath.Join(path, "a")
			if err := errors.Join(os.WriteFile(a, []byte(change), 0o600), os.Chtimes(a, time.Time{}, time.Unix(1, 0))); err != nil {
				t.Fatal(err)
			}
		}
		h := &fakeHost{}
		m := New(Config{}, h, "ours", "theirs", []Record{{Ref: Ref{3, true}, Offer: s.Offer, Accepted: true, Path: s.path, Stamp: s.stamp}})
		m.Resume(t.Context())
		if f := m.find(3, true); changed != (f == nil) {
			t.Errorf("changed: %t; it is sent: %t", changed, f != nil)
		} else if changed {
			if len(h.frames) != 1 || !strings.Contains(h.frames[0], `"of":"ours"`) {
				t.Errorf("the other side hears %q", h.frames)
			}
		} else {
			r := f.source.open(0)
			stream, err := io.ReadAll(r)
			if _, err := comesDown(t.TempDir(), s.Offer, stream); err != nil {
				t.Error(err)
			}
			if err = errors.Join(err, r.Close()); err != nil || len(f.source.leftOuts()) > 0 {
				t.Errorf("%v; left out are %v", err, f.source.leftOuts())
			}
		}
		m.Close("over", false, false)
		isClosed(t, path)
	}
}
