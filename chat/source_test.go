package chat

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// plant makes a folder with all that can be in one, and returns its path.
func plant(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	for name, mode := range map[string]fs.FileMode{"empty": 0o755, "sub/sub": 0o700} {
		if err := os.MkdirAll(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, size := range map[string]int{
		"a": 0, "b": 1, ".hidden": 511, "sub/c": 512, "sub/sub/d": 513, "sub/Grüße 👋": 100_000,
		"sub/" + strings.Repeat("long", 60): 5,
	} {
		if err := os.WriteFile(filepath.Join(root, name), noise(size), 0o640); err != nil { //nolint:gosec // to see that it is kept
			t.Fatal(err)
		}
	}
	return root
}

func TestSource(t *testing.T) {
	t.Run("is the same from any offset", func(t *testing.T) {
		root := plant(t)
		for _, path := range []string{root, filepath.Join(root, "b"), filepath.Join(root, "a"), filepath.Join(root, "sub", "Grüße 👋"), filepath.Join(root, "empty")} {
			s, err := newSource(path)
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
		s, err := newSource(plant(t))
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
		root := plant(t)
		for _, name := range []string{"link", "sub/link"} {
			if err := os.Symlink("/etc", filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := newSource(root)
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
		if err := os.Symlink(create(t, "data", noise(5)), link); err != nil {
			t.Fatal(err)
		}
		s, err := newSource(link)
		if err != nil || s.Name != "link.bin" || s.Size != 5 || s.Folder {
			t.Errorf("it is %+v (%v)", s, err)
		}
	})
}

func TestFolder(t *testing.T) {
	t.Run("arrives as it is", func(t *testing.T) {
		root, dir := plant(t), t.TempDir()
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
			id := offers(t, a, root)
			synctest.Wait()
			if !a.Sent(id) {
				t.Fatalf("it is not sent: %v", failures(a))
			}
			if got := only[FileOffered](b.seen()); len(got) != 1 || !got[0].Folder || got[0].Files != 7 || got[0].Name != "tree" {
				t.Errorf("it is offered %+v", got)
			}
		})
		holds(t, filepath.Join(dir, "tree"), contents(t, root))
	})

	t.Run("with 10,000 files arrives as it is", func(t *testing.T) {
		files := 10_000
		if testing.Short() {
			files = 500
		}
		root, dir := filepath.Join(t.TempDir(), "many"), t.TempDir()
		for i := range files {
			sub := filepath.Join(root, strconv.Itoa(i%100))
			if i < 100 {
				if err := os.MkdirAll(sub, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(sub, strconv.Itoa(i)), noise(i%700), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, _ *talker) {
			id := offers(t, a, root)
			synctest.Wait()
			if !a.Sent(id) {
				t.Fatalf("it is not sent: %v", failures(a))
			}
		})
		t.Logf("%d files took %v", files, time.Since(begun))
		holds(t, filepath.Join(dir, "many"), contents(t, root))
	})

	t.Run("of which a file changes is given up, and the file is named", func(t *testing.T) {
		root, dir := plant(t), t.TempDir()
		for what, change := range map[string]func(string) error{
			"sub/c: it is no longer there":                    os.Remove,
			"sub/c: it became longer while it was being sent": func(name string) error { return os.WriteFile(name, noise(600), 0o600) },
		} {
			meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
				id := offers(t, a, root)
				synctest.Wait()
				if err := errors.Join(change(filepath.Join(root, "sub", "c")), b.Accept(id)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				equal(t, "the sender hears", failures(a), []string{what})
				equal(t, "the receiver hears", failures(b), []string{what})
			})
			holds(t, dir, nil)
			if err := os.WriteFile(filepath.Join(root, "sub", "c"), noise(512), 0o640); err != nil { //nolint:gosec // as it was
				t.Fatal(err)
			}
		}
	})
}
