//go:build unix

package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"p2pchat/chat/internal/chattest"
)

// Only what had to get through counts as missed, and only the other side's files settle.
func TestWhatNeedNotGetThrough(t *testing.T) {
	for _, must := range []bool{false, true} {
		h, refused := &fakeHost{}, errors.New("refused")
		m := New(Config{AcceptFiles: true}, h, "ours", "theirs", nil)
		missed := func(n int) {
			t.Helper()
			if !must {
				n = 0
			}
			if m.Missed() != n {
				t.Errorf("must: %t; %d are missed, not %d", must, m.Missed(), n)
			}
		}
		path := chattest.Create(t, "a", []byte("a"))
		h.fails = func(Kind) error {
			if !m.Pending() {
				t.Error("the conversation could end before the file is offered")
			}
			return nil
		}
		ids, err := m.SendFiles(t.Context(), must, []string{path, path})
		if err = errors.Join(err, m.Cancel(ids[0], true)); err != nil {
			t.Fatal(err)
		}
		missed(1)
		f := m.find(ids[1], true)
		f.source.spoiled[0] = leftOut{Why: "gone"}
		f.source.parts[0].name = "x"
		f.state, f.sum = moving, new([32]byte)
		m.handleReceived(f, note{})
		missed(2)
		h.fails = func(Kind) error { return refused }
		if _, err := m.SendFiles(t.Context(), must, []string{path, path, path}); !errors.Is(err, refused) {
			t.Error(err)
		}
		missed(5)
		h.fails = func(Kind) error { return ErrFull }
		if _, err := m.SendFiles(t.Context(), must, []string{path}); err != nil {
			t.Error(err)
		}
		h.fails = func(Kind) error { return refused }
		m.OfferQueued()
		missed(6)
		m.Close("over", false, false)
		if _, err := m.SendFiles(t.Context(), must, []string{path}); !errors.Is(err, ErrOver) {
			t.Error(err)
		}
		missed(7)
		if m.Settled() {
			t.Error("a file of the other side has ended")
		}
	}
}

// A file of an earlier run that the same command sends again has to get through, as the command says.
func TestAnEarlierFileHasToGetThrough(t *testing.T) {
	path := chattest.Create(t, "a", []byte("abcd"))
	s, err := newSource(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	changed := New(Config{}, &fakeHost{}, "ours", "theirs", []Record{{Ref: Ref{3, true}, Offer: s.Offer, Path: s.path, Stamp: "another"}})
	if ids, err := changed.SendFiles(t.Context(), true, []string{path}); err != nil || len(ids) != 1 || ids[0] == 3 {
		t.Errorf("what has changed is not offered again: %d, %v", ids, err)
	}
	m := New(Config{}, &fakeHost{}, "ours", "theirs", []Record{{Ref: Ref{3, true}, Offer: s.Offer, Path: s.path, Stamp: s.stamp}})
	if ids, err := m.SendFiles(t.Context(), true, []string{path}); err != nil || len(ids) != 1 || ids[0] != 3 {
		t.Fatal(ids, err)
	}
	m.Close("over", false, false)
	if m.Missed() != 1 {
		t.Errorf("%d are missed", m.Missed())
	}
}

// What has waited for room is offered like any other file, and stays open.
func TestAFolderThatWaited(t *testing.T) {
	h := &fakeHost{fails: func(Kind) error { return ErrFull }}
	m := New(Config{}, h, "ours", "theirs", nil)
	path := chattest.Create(t, "a", []byte("a"))
	if _, err := m.SendFiles(t.Context(), true, []string{path}); err != nil {
		t.Fatal(err)
	}
	h.fails = nil
	m.OfferQueued()
	if offering, notices := eventsOf[Offering](h), eventsOf[Notice](h); len(offering) != 1 || len(notices) > 0 || m.offering != 0 {
		t.Errorf("told is %+v, %+v; %d are being offered", offering, notices, m.offering)
	}
	m.Close("over", false, false)
}

// An offer that comes again changes nothing of a file that was accepted.
func TestAnAcceptedOfferThatComesAgain(t *testing.T) {
	m, h := offeredTo(t, Config{})
	if err := m.Accept(7); err != nil {
		t.Fatal(err)
	}
	f := m.find(7, false)
	if err := m.Handle(them, 7, KindOffer, `{"name":"a","size":4}`, false); err != nil || m.find(7, false) != f || len(eventsOf[Offered](h)) != 1 {
		t.Errorf("%v; it is another file: %t; told %+v", err, m.find(7, false) != f, h.events)
	}
	m.Close("over", false, false)
}

// The bytes in a folder are known if they are a number.
func TestContent(t *testing.T) {
	for text, want := range map[string]string{`5`: "{5 true}", `0`: "{0 true}", `null`: "{0 false}", `"x"`: "an error", `1.5`: "an error"} {
		var o Offer
		got := "an error"
		if json.Unmarshal([]byte(`{"content":`+text+`}`), &o) == nil {
			got = fmt.Sprint(o.Content)
		}
		if got != want {
			t.Errorf("%s is %s, not %s", text, got, want)
		}
	}
}

// The other side may answer an offer before this side knows its number, and the conversation may end then.
func TestWhileAnOfferGoesOut(t *testing.T) {
	for _, answered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h, sent := &fakeHost{}, make(chan struct{})
			m := New(Config{}, h, "ours", "theirs", nil)
			h.fails = func(Kind) error {
				<-sent
				return nil
			}
			path := chattest.Create(t, "a", []byte("a"))
			go func() { _, _ = m.SendFiles(t.Context(), true, []string{path}) }()
			synctest.Wait()
			if answered {
				go func() {
					if err := m.Handle(them, 1, KindAccept, `{"id":1,"of":"ours"}`, false); err != nil {
						t.Error(err)
					}
				}()
			} else {
				go m.Close("over", false, false)
			}
			synctest.Wait()
			close(sent)
			synctest.Wait()
			m.Greeted(Greeting{Name: "ben"})
			if f := m.nextFile(); (f != nil) != answered || m.Missed() != map[bool]int{false: 1}[answered] || m.Pending() != answered {
				t.Errorf("answered: %t; it moves: %t; %d are missed; pending: %t", answered, f != nil, m.Missed(), m.Pending())
			}
			m.Close("over", false, false)
		})
	}
}

// A pipe of the file system that has the name of a partial file is not opened, which would wait for ever.
func TestSweepOpensNoPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, ".p2pchat-ABCDEFGHIJK2.part"), 0o600); err != nil {
		t.Skip(err)
	}
	if n := Sweep(dir); n != 0 {
		t.Errorf("%d are swept away", n)
	}
}
