package transfer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"p2pchat/chat/internal/chattest"
)

func TestUnpacking(t *testing.T) {
	hi := fmt.Sprintf(" %x", sha256.Sum256([]byte("hi")))
	t.Run("makes files and folders, with names that fit any system", func(t *testing.T) {
		dir := t.TempDir()
		stream := tape(
			t, tar.Header{Typeflag: tar.TypeDir, Name: "sub/", Mode: 0o555}, tar.Header{Typeflag: tar.TypeReg, Name: "sub/x", Mode: 0o4755}, tar.Header{Typeflag: tar.TypeReg, Name: ".hidden", Mode: 0o600},
			tar.Header{Typeflag: tar.TypeReg, Name: "con", Mode: 0o600}, tar.Header{Typeflag: tar.TypeReg, Name: "deep/er/a\nb", Mode: 0}, tar.Header{Typeflag: tar.TypeReg, Name: "deep/er/a\tb", Mode: 0o600},
			tar.Header{Typeflag: tar.TypeReg, Name: `..\y`, Mode: 0o600},
		)
		path, err := comesDown(dir, Offer{Name: "tree", Folder: true, Files: 6, Mode: 0o750}, stream)
		if err != nil || path != filepath.Join(dir, "tree") {
			t.Fatalf("it is %q (%v)", path, err)
		}
		chattest.Holds(t, dir, map[string]string{
			"tree": "drwxr-x---", "tree/sub": "drwxr-xr-x", "tree/sub/x": "-rwxr-xr-x" + hi, "tree/.hidden": "-rw-------" + hi, "tree/con": "-rw-------" + hi,
			"tree/deep": "drwxr-xr-x", "tree/deep/er": "drwxr-xr-x", "tree/deep/er/a_b": "-r--------" + hi, "tree/deep/er/a_b (1)": "-rw-------" + hi, "tree/.._y": "-rw-------" + hi,
		})
	})

	t.Run("leaves nothing of a stream that is not what it says", func(t *testing.T) {
		good := tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "x"})
		for what, test := range map[string]struct {
			stream []byte
			want   error
		}{
			"a name that leads out":       {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "../x"}), errLeadsOut},
			"a name that leads out late":  {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "a/../../x"}), errLeadsOut},
			"an absolute name":            {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "/etc/x"}), errLeadsOut},
			"no name":                     {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "a//b"}), errLeadsOut},
			"a name that is too deep":     {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("a/", 64) + "x"}), errTooDeep},
			"deep folders":                {tape(t, tar.Header{Typeflag: tar.TypeDir, Name: strings.Repeat("a/", 2000)}), errTooDeep},
			"a name that is too long":     {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat(strings.Repeat("a", 250)+"/", 13) + "x"}), errTooDeep},
			"a symbolic link":             {tape(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/etc"}), errNoTar},
			"a hard link":                 {tape(t, tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "/etc/passwd"}), errNoTar},
			"a device":                    {tape(t, tar.Header{Typeflag: tar.TypeChar, Name: "x"}), errNoTar},
			"a pipe":                      {tape(t, tar.Header{Typeflag: tar.TypeFifo, Name: "x"}), errNoTar},
			"no tar stream":               {bytes.Repeat([]byte("x"), 5000), errNoTar},
			"more files than offered":     {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "x"}, tar.Header{Typeflag: tar.TypeReg, Name: "y"}), errNoTar},
			"fewer files than offered":    {tape(t), errNoTar},
			"a stream cut short":          {good[:513], errTooMuch},
			"a file and a folder at once": {tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "x"}, tar.Header{Typeflag: tar.TypeDir, Name: "x", Mode: 0o700}), fs.ErrExist},
		} {
			t.Run(what, func(t *testing.T) {
				dir := t.TempDir()
				if path, err := comesDown(dir, Offer{Name: "tree", Folder: true, Files: 1}, test.stream); !errors.Is(err, test.want) {
					t.Errorf("it is %q (%v)", path, err)
				}
				chattest.Holds(t, dir, nil)
			})
		}
	})

	t.Run("removes what the sender left out, or leaves nothing", func(t *testing.T) {
		stream := tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "x"}, tar.Header{Typeflag: tar.TypeReg, Name: "y"})
		for name, want := range map[string]error{"x": nil, "z": errNoTar, "../x": errNoTar, "": errNoTar} {
			dir := t.TempDir()
			d, err := createDownload(dir, Offer{Name: "tree", Folder: true, Files: 2, Size: int64(len(stream))}, false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.write(stream); err != nil {
				t.Fatal(err)
			}
			d.leaveOut([]leftOut{{Name: name}})
			if _, err := d.commit(); !errors.Is(err, want) {
				t.Errorf("without %q: %v", name, err)
			}
			if all := chattest.Contents(t, dir); want != nil && len(all) != 0 || want == nil && (all["tree/x"] != "" || all["tree/y"] == "") {
				t.Errorf("without %q there are %v", name, all)
			}
		}
	})

	t.Run("takes no more than the reader was told of", func(t *testing.T) {
		var stream bytes.Buffer
		w := tar.NewWriter(&stream)
		for _, name := range []string{"x", "y"} { // together
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 500, Mode: 0o600}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(make([]byte, 500)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for told, want := range map[Content]error{{0, true}: errTooMuch, {1, true}: errTooMuch, {999, true}: errTooMuch, {1000, true}: nil, {}: nil} {
			if _, err := comesDown(t.TempDir(), Offer{Name: "tree", Folder: true, Files: 2, Content: told}, stream.Bytes()); !errors.Is(err, want) {
				t.Errorf("%+v was told: %v", told, err)
			}
		}
		for _, o := range []Offer{{Size: 9, Folder: true, Content: Content{-1, true}}, {Size: 9, Folder: true, Content: Content{10, true}}, {Size: 9, Content: Content{9, true}}} {
			if o.makesSense() {
				t.Errorf("%+v makes sense", o)
			}
		}
	})

	t.Run("takes no more room than was sent", func(t *testing.T) {
		// PAX 0.1: a file of 1 TiB, of which nothing but a hole was sent.
		sparse := tape(t, tar.Header{Typeflag: tar.TypeReg, Name: "x"})
		stream := paxSparse(sparse)
		dir := t.TempDir()
		if path, err := comesDown(dir, Offer{Name: "tree", Folder: true, Files: 1}, stream); !errors.Is(err, errNoTar) {
			t.Errorf("it is %q (%v)", path, err)
		}
		chattest.Holds(t, dir, nil)
		// Small enough for what was offered, it is none of this program's all the same.
		if path, err := comesDown(dir, Offer{Name: "tree", Folder: true, Files: 1, Size: 1 << 50}, stream); err == nil {
			t.Errorf("it is %q", path)
		}
		chattest.Holds(t, dir, nil)
	})

	t.Run("takes the next free name for a folder, too", func(t *testing.T) {
		dir := t.TempDir()
		for _, want := range []string{"tree", "tree (1)", "tree (2)"} {
			path, err := comesDown(dir, Offer{Name: "tree", Folder: true}, tape(t))
			if err != nil || path != filepath.Join(dir, want) {
				t.Errorf("it is %q (%v)", path, err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "tree (3)"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if path, err := comesDown(dir, Offer{Name: "tree", Folder: true}, tape(t)); err != nil || path != filepath.Join(dir, "tree (4)") {
			t.Errorf("it is %q (%v)", path, err)
		}
	})
}

// A path that begins with a dash would be a flag.
func TestPathWithADash(t *testing.T) {
	t.Chdir(t.TempDir())
	if path, err := comesDown("", Offer{Name: "-rf"}, []byte("hi")); err != nil || path != "./-rf" {
		t.Errorf("it is %q (%v)", path, err)
	}
}

func TestNamesOnOtherFileSystems(t *testing.T) {
	refuses := func(name string) error {
		if strings.ContainsAny(name, ":?") {
			return &fs.PathError{Op: "openat", Path: name, Err: syscall.EINVAL}
		}
		return nil
	}
	for given, want := range map[string]string{"a/10:30/b?": "a/10_30/b_", "a/b": "a/b"} {
		if got, err := orPortable(given, refuses); got != want || err != nil {
			t.Errorf("%q becomes %q (%v)", given, got, err)
		}
	}
}

// A tape is a tar stream.
func tape(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg && h.Size == 0 {
			h.Size = 2
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("hi")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// comesDown lands a stream in dir, as an honest sender would say that it is.
func comesDown(dir string, o Offer, stream []byte) (string, error) {
	o.Size = int64(len(stream))
	l, err := createDownload(dir, o, false)
	if err != nil {
		return "", err
	}
	defer l.discard()
	for chunk := range bytesIn(stream, 1000) {
		if _, err := l.write(chunk); err != nil {
			return "", err
		}
	}
	if err := l.check(sha256.Sum256(stream)); err != nil {
		return "", err
	}
	return l.commit()
}

func bytesIn(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// paxSparse puts before a stream the extended header that makes its first file a sparse one.
func paxSparse(stream []byte) []byte {
	var records strings.Builder
	for _, r := range []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.name=x", "GNU.sparse.size=1099511627776", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,2"} {
		fmt.Fprintf(&records, "%d %s\n", len(r)+4, r)
	}
	header := make([]byte, 512)
	copy(header, "PaxHeaders.0/x")
	copy(header[100:], "0000644\x00")
	copy(header[124:], fmt.Sprintf("%011o\x00", records.Len()))
	copy(header[136:], "00000000000\x00")
	header[156] = 'x'
	copy(header[257:], "ustar\x0000")
	copy(header[148:], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	body := make([]byte, (records.Len()+511)/512*512)
	copy(body, records.String())
	return append(append(header, body...), stream...)
}

// What is discarded while it is being written is removed by the goroutine that writes it.
func TestDiscardWhileWriting(t *testing.T) {
	dir := t.TempDir()
	d, err := createDownload(dir, Offer{Name: "x", Size: 8}, false)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.discard() // does not wait
	if len(chattest.Contents(t, dir)) != 1 {
		t.Error("it is removed under the one that writes it")
	}
	d.unlock()
	chattest.Holds(t, dir, nil)
	if _, err := d.write([]byte("late")); !errors.Is(err, errGone) {
		t.Errorf("writing says %v", err)
	}
}
