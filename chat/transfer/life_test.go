//go:build unix

package transfer

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"p2pchat/chat/internal/chattest"
)

// What is queued, said again and ended leaves the records that a later run needs.
func TestFollow(t *testing.T) {
	records := map[Ref]Record{}
	say := func(seq uint64, k Kind, text string, want bool) {
		if Follow(records, "ours", seq, k, text) != want {
			t.Errorf("%d %s makes sense, or not", k, text)
		}
	}
	say(1, KindOffer, `{"name":"a","size":3}`, true)
	say(2, KindOffer, `{"name":"b"}`, true)
	records[Ref{1, true}] = Record{Ref: Ref{1, true}, Path: "/a", Offer: records[Ref{1, true}].Offer} // as a compacted journal has it
	say(1, KindOffer, `{"name":"a","size":3}`, true)
	records[Ref{2, false}] = Record{Ref: Ref{2, false}}
	for _, k := range []Kind{KindOffer, KindReceived, KindCancel} {
		say(9, k, `nonsense`, false)
	}
	say(9, KindAccept, `{"id":2,"of":"theirs"}`, true)
	if len(records) != 3 || records[Ref{1, true}].Path != "/a" || records[Ref{1, true}].Offer.Size != 3 || records[Ref{2, true}].Offer.Name != "b" {
		t.Errorf("there are %+v", records)
	}
	say(9, KindReceived, `{"id":2,"of":"theirs"}`, true)
	say(9, KindCancel, `{"id":1,"of":"ours"}`, true)
	if len(records) != 1 || records[Ref{2, true}].Offer.Name != "b" {
		t.Errorf("there are %+v", records)
	}
}

// Files and folders have the permissions and the time of the offer; a time that not all file systems can store is left out.
func TestWhatIsReceivedHasItsTimeAndMode(t *testing.T) {
	old, ancient := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(1850, 1, 1, 0, 0, 0, 0, time.UTC)
	folder := tape(t, tar.Header{Name: "sub/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: old}, tar.Header{Name: "sub/x", Typeflag: tar.TypeReg, Mode: 0o644, ModTime: old})
	for _, c := range []struct {
		offer  Offer
		stream []byte
		mode   fs.FileMode
		dated  bool
	}{
		{Offer{Name: "a", Size: 4, Mode: 0o640, Modified: old}, []byte("abcd"), 0o640, true},
		{Offer{Name: "a", Size: 4, Mode: 0o4711, Modified: ancient}, []byte("abcd"), 0o711, false},
		{Offer{Name: "a", Size: 4, Mode: 0o004}, []byte("abcd"), 0o404, false},
		{Offer{Name: "d", Size: int64(len(folder)), Folder: true, Files: 1, Mode: 0o050, Modified: old}, folder, 0o750, true},
	} {
		dir, before := t.TempDir(), time.Now().Add(-time.Minute)
		defer syscall.Umask(syscall.Umask(0))
		path, err := comesDown(dir, c.offer, c.stream)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != c.mode || info.ModTime().Equal(old) != c.dated || !c.dated && info.ModTime().Before(before) {
			t.Errorf("%+v: %v, %v, %v", c.offer, info.Mode(), info.ModTime(), err)
		}
		for _, name := range []string{"sub", "sub/x"} {
			if info, err := os.Stat(filepath.Join(path, name)); c.offer.Folder && (err != nil || !info.ModTime().Equal(old)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The second of a name gets a number, whether it is a file or a folder, and nothing else is there.
func TestNamesThatAreTaken(t *testing.T) {
	dir := t.TempDir()
	folder := tape(t, tar.Header{Name: "x", Typeflag: tar.TypeReg, Mode: 0o644})
	for i, want := range []string{"a.b", "a (1).b", "a (2).b"} {
		o, stream := Offer{Name: "a.b", Size: 4}, []byte("abcd")
		if i == 1 {
			o, stream = Offer{Name: "a.b", Size: int64(len(folder)), Folder: true, Files: 1}, folder
		}
		if path, err := comesDown(dir, o, stream); err != nil || path != filepath.Join(dir, want) {
			t.Errorf("%s, %v", path, err)
		}
	}
	if all := chattest.Contents(t, dir); len(all) != 4 {
		t.Errorf("there is %v", all)
	}
}

// After a file is given up, has its name, or is left to a later run, nothing more is written to it.
func TestADownloadThatHasEnded(t *testing.T) {
	sum := sha256.Sum256([]byte("abcd"))
	for name, end := range map[string]func(*download){
		"discarded": (*download).discard, "suspended": (*download).suspend, "committed": func(d *download) { _, _ = d.commit() },
	} {
		for _, folder := range []bool{false, true} {
			dir := t.TempDir()
			d, err := createDownload(dir, Offer{Name: "a", Size: 4, Folder: folder}, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.write([]byte("abcd")); err != nil && !folder {
				t.Fatal(err)
			}
			end(d)
			left := chattest.Contents(t, dir)
			if n, err := d.write(nil); !errors.Is(err, errGone) || !folder && n != 4 {
				t.Errorf("%s, written: %d, %v", name, n, err)
			}
			if _, err := d.has(t.Context()); !errors.Is(err, errGone) {
				t.Errorf("%s, read: %v", name, err)
			}
			if err := d.check(sum); !errors.Is(err, errGone) {
				t.Errorf("%s, checked: %v", name, err)
			}
			if path, err := d.commit(); !errors.Is(err, errGone) || path != "" {
				t.Errorf("%s, committed: %v", name, err)
			}
			d.discard()
			d.suspend()
			if now := chattest.Contents(t, dir); fmt.Sprint(now) != fmt.Sprint(left) || name == "discarded" && len(left) > 0 || name == "suspended" && len(left) != 1 {
				t.Errorf("%s: %v and then %v", name, left, now)
			}
		}
	}
}

// The next run continues a file with the bytes that are there, and its hash; a folder starts over.
func TestADownloadIsContinued(t *testing.T) {
	dir := t.TempDir()
	o := Offer{Name: "a", Size: 4, Mode: 0o400} // which may not be written to, as the other side has it
	d, err := createDownload(dir, o, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	d.suspend()
	if Sweep(dir) != 0 {
		t.Error("it is swept away")
	}
	again, err := resumeDownload(dir, d.temp, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resumeDownload(dir, d.temp, o); !errors.Is(err, errLost) {
		t.Errorf("two programs write it: %v", err)
	}
	if n, err := again.has(t.Context()); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := again.write([]byte("cde")); !errors.Is(err, errTooMuch) || n != 2 {
		t.Errorf("more than was offered: %d, %v", n, err)
	}
	if n, err := again.write([]byte("cd")); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	if err := again.check(sha256.Sum256([]byte("abcd"))); err != nil {
		t.Error(err)
	}
	path, err := again.commit()
	info, bad := os.Stat(path)
	if b, worse := os.ReadFile(path); string(b) != "abcd" || errors.Join(err, bad, worse) != nil || info.Mode().Perm() != 0o400 { //nolint:gosec // the test's own
		t.Errorf("%q, %v, %v", b, err, bad)
	}
	for name, lose := range map[string]func() error{
		"nothing": func() error { return nil }, "longer": func() error { return os.WriteFile(filepath.Join(dir, "t"), []byte("abcde"), 0o600) },
		"a folder": func() error { return os.Mkdir(filepath.Join(dir, "t"), 0o700) }, "a link": func() error { return os.Symlink(path, filepath.Join(dir, "t")) },
	} {
		if err := errors.Join(os.RemoveAll(filepath.Join(dir, "t")), lose()); err != nil {
			t.Fatal(err)
		}
		if _, err := resumeDownload(dir, "t", o); !errors.Is(err, errLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := resumeDownload(filepath.Join(dir, "nowhere"), "t", o); !errors.Is(err, errLost) {
		t.Error(err)
	}
}

// A folder that cannot be written to is told in terms of that folder, with what to do.
func TestFoldersThatCannotBeWrittenTo(t *testing.T) {
	file := chattest.Create(t, "file", nil)
	m, h := offeredTo(t, Config{DownloadDir: file})
	if err := m.Accept(7); err == nil || !strings.Contains(err.Error(), "it cannot be written to "+file) || !strings.Contains(err.Error(), "--download-dir") || len(h.frames) > 0 || !m.Pending() {
		t.Errorf("%v, %q", err, h.frames)
	}
	if err := CheckFolder(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
	below := filepath.Join(t.TempDir(), "a", "b")
	if err := CheckFolder(below); err != nil || len(chattest.Contents(t, filepath.Dir(filepath.Dir(below)))) > 0 {
		t.Error(err)
	}
	for err, want := range map[error]string{syscall.ENOSPC: "Make room", syscall.EDQUOT: "Make room", syscall.EROFS: "--download-dir"} {
		if got := unwritable("/x", &fs.PathError{Op: "write", Path: "/x/.part", Err: err}).Error(); !strings.Contains(got, want) || strings.Contains(got, ".part") {
			t.Errorf("%v: %s", err, got)
		}
	}
	if plain := unwritable("/x", errGone); !errors.Is(plain, errGone) || strings.Contains(plain.Error(), "/x") {
		t.Error(plain)
	}
}

// A conversation that ends tells of its files in their order, and says nothing more to a side that it leaves.
func TestTheEndOfAllFiles(t *testing.T) {
	h := &fakeHost{}
	m := New(Config{DownloadDir: t.TempDir()}, h, "ours", "theirs", nil)
	for i := range uint64(20) {
		if err := m.Handle(them, 20-i, KindOffer, `{"name":"a","size":4}`, false); err != nil {
			t.Fatal(err)
		}
	}
	m.Leave()
	if err := m.Cancel(20, false); err != nil || len(h.frames) > 0 {
		t.Errorf("%v, %q", err, h.frames)
	}
	m.Close("it is over", false, true)
	var ended []uint64
	for _, e := range h.events[21:] {
		f, ok := e.(Failed)
		if !ok || f.Reason != "it is over" || f.Outgoing {
			t.Errorf("%+v", e)
		}
		ended = append(ended, f.ID)
	}
	if len(ended) != 19 || !slices.IsSorted(ended) || m.Missed() != 0 || m.Pending() || len(h.frames) > 0 {
		t.Errorf("ended are %v, missed %d", ended, m.Missed())
	}
}

// A pipe takes channels only while a file of the other side is to come.
func TestChannelsAreExpected(t *testing.T) {
	m, h := offeredTo(t, Config{})
	var p expecting
	m.Attach(&p, false)
	h.fails = func(Kind) error { return ErrOver }
	_ = m.Accept(7) // which fails
	h.fails = nil
	if p.now {
		t.Error("channels are expected before anything is accepted")
	}
	if err := m.Accept(7); err != nil || !p.now {
		t.Error("none are expected of an accepted file", err)
	}
	if err := m.Cancel(7, false); err != nil || p.now {
		t.Error("channels are expected of a file that has ended", err)
	}
	m.Attach(nil, true)
	if _, err := m.SendFiles(t.Context(), false, []string{chattest.Create(t, "a", nil)}); !errors.Is(err, ErrNoFiles) {
		t.Error(err)
	}
}

// expecting is a Pipe that only expects.
type expecting struct {
	Pipe
	now bool
}

func (p *expecting) Expect(channels bool) { p.now = channels }

// Names at the limits, and beyond.
func TestPathsAtTheLimits(t *testing.T) {
	deep, long := strings.Repeat("a/", maxDepth-1)+"a", strings.Repeat(strings.Repeat("b", 99)+"/", 31)[:maxPath]
	for path, want := range map[string]error{
		deep: nil, deep + "/a": errTooDeep, long: nil, long + "b": errTooDeep, "a/./b": errLeadsOut, ".": errLeadsOut, "a//b": errLeadsOut, "/a": errLeadsOut, "../a": errLeadsOut,
	} {
		if len(path) > maxPath && want == nil {
			t.Fatal(len(path))
		}
		if _, err := properPath(path); !errors.Is(err, want) {
			t.Errorf("%.80s: %v", path, err)
		}
	}
	for given, want := range map[string]string{"\u202ax\u202e": "_x_", "\u2066x\u2069": "_x_", "x\u2029": "x_", "\u2065x\u206a": "\u2065x\u206a", "\u202fx": "\u202fx", "/x": "x", "a/": "_"} {
		if got := properFile(given); got != want {
			t.Errorf("%q becomes %q", given, got)
		}
	}
	if got := properElement("a/b\\c"); got != "a_b_c" {
		t.Error(got)
	}
}
