package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"p2pchat/chat/internal/chattest"
)

func TestSource(t *testing.T) {
	t.Run("is the same from any offset", func(t *testing.T) {
		root := chattest.Plant(t)
		for _, path := range []string{root, filepath.Join(root, "b"), filepath.Join(root, "a"), filepath.Join(root, "sub", "Grüße 👋"), filepath.Join(root, "empty")} {
			s, err := newSource(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			read := func(offset int64) []byte {
				r := s.open(offset)
				defer r.Close()
				b, err := io.ReadAll(r)
				if err != nil {
					t.Fatalf("%s from %d: %v", path, offset, err)
				}
				return b
			}
			all := read(0)
			if int64(len(all)) != s.Size {
				t.Errorf("%s has %d bytes, not %d", path, len(all), s.Size)
			}
			for range 200 {
				offset := rand.Int64N(s.Size + 1) //nolint:gosec // any
				if !bytes.Equal(read(offset), all[offset:]) {
					t.Fatalf("%s is another one from %d", path, offset)
				}
			}
			s.close()
		}
	})

	t.Run("of a folder is a tar stream that others understand", func(t *testing.T) {
		s, err := newSource(t.Context(), chattest.Plant(t))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		r := tar.NewReader(s.open(0))
		n := 0
		for ; ; n++ {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || int64(len(b)) != h.Size {
				t.Errorf("%s: %d bytes (%v)", h.Name, len(b), err)
			}
		}
		if n != 10 || s.Files != 7 {
			t.Errorf("it has %d entries, and %d files", n, s.Files)
		}
	})

	t.Run("leaves out and counts what is neither file nor folder", func(t *testing.T) {
		root := chattest.Plant(t)
		for _, name := range []string{"link", "sub/link"} {
			if err := os.Symlink("/etc", filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := newSource(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if s.leftOut != 2 || s.Files != 7 {
			t.Errorf("it leaves out %d, and has %d files", s.leftOut, s.Files)
		}
	})

	t.Run("that a symbolic link names is what it points to", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link.bin")
		if err := os.Symlink(chattest.Create(t, "data", chattest.Noise(5)), link); err != nil {
			t.Fatal(err)
		}
		s, err := newSource(t.Context(), link)
		if err != nil || s.Name != "link.bin" || s.Size != 5 || s.Folder {
			t.Errorf("it is %+v (%v)", s, err)
		}
	})

	t.Run("that is too deep is not offered", func(t *testing.T) {
		root := t.TempDir()
		deep := filepath.Join(root, strings.Repeat("a/", maxDepth))
		if err := os.MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := newSource(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		s.close()
		if err := os.WriteFile(filepath.Join(deep, "x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newSource(t.Context(), root); !errors.Is(err, errTooDeep) {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("without an end is refused", func(t *testing.T) {
		s := &source{path: "/proc/cpuinfo", room: 10}
		if err := s.try(&part{}, os.Open); !errors.Is(err, errEndless) || !strings.Contains(err.Error(), "more than 16 MB") {
			t.Errorf("it says %v", err)
		}
	})
}

func TestNotSent(t *testing.T) {
	for n, want := range map[int]string{1: `1 link or special file in "dir" is left out.`, 2: `2 links or special files in "dir" are left out.`} {
		if got := notSent("dir", n); got != want {
			t.Errorf("it says %s", got)
		}
	}
}
