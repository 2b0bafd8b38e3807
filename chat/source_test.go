package chat

import (
	"archive/tar"
	"bytes"
	"cmp"
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

	for what, test := range map[string]struct {
		change func(name string) error
		why    string
		kept   int // bytes
	}{
		"vanishes":         {os.Remove, "it is no longer there", -1},
		"becomes shorter":  {func(name string) error { return os.WriteFile(name, noise(100), 0o600) }, "it became shorter while it was being sent", -1},
		"is another one":   {func(name string) error { return os.WriteFile(name, noise(512), 0o600) }, "it was changed while it was being sent", -1},
		"cannot be opened": {func(name string) error { return errors.Join(os.Remove(name), os.Symlink("/nowhere", name)) }, "the sender cannot read it: path escapes from parent", -1},
		"grows, as a log":  {func(name string) error { return appendTo(name, "one more line\n") }, "it grew while it was being sent: its first 512 bytes have arrived", 512},
	} {
		t.Run("of which a file "+what+" loses that file, and no other", func(t *testing.T) {
			root, dir := plant(t), t.TempDir()
			want := contents(t, root)
			meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
				if err := a.MustSend(t.Context(), root); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				time.Sleep(time.Second)
				if err := errors.Join(test.change(filepath.Join(root, "sub", "c")), b.Accept(1)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				lost := FileLeftOut{ID: 1, Name: "tree", File: "sub/c", Reason: test.why, Kept: test.kept > 0}
				equal(t, "the receiver hears", only[FileLeftOut](b.seen()), []FileLeftOut{lost})
				lost.Outgoing = true
				equal(t, "the sender hears", only[FileLeftOut](a.seen()), []FileLeftOut{lost})
				equal(t, "nothing fails", append(failures(a), failures(b)...), nil)
				a.Leave()
				missed := 0
				if i := (*Incomplete)(nil); errors.As(a.end(), &i) {
					missed = i.Files
				}
				if missed != 1 && test.kept < 0 {
					t.Errorf("%d files are missed", missed)
				}
			})
			if test.kept < 0 {
				delete(want, "sub/c")
			}
			holds(t, filepath.Join(dir, "tree"), want)
		})
	}

	t.Run("and a file keep the times of their last changes", func(t *testing.T) {
		root, dir := plant(t), t.TempDir()
		at := time.Date(2001, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
		for i, name := range []string{"sub/sub/d", "sub/sub", "sub", "a", "."} {
			if err := os.Chtimes(filepath.Join(root, name), at, at.Add(time.Duration(i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, _ *talker) {
			for _, path := range []string{root, filepath.Join(root, "a")} {
				offers(t, a, path)
			}
			synctest.Wait()
		})
		for name, want := range map[string]time.Time{
			"a": at.Add(3 * time.Hour), "tree": at.Add(4 * time.Hour), "tree/sub/sub/d": at.Truncate(time.Second), "tree/sub/sub": at.Add(time.Hour).Truncate(time.Second),
			"tree/sub": at.Add(2 * time.Hour).Truncate(time.Second), "tree/a": at.Add(3 * time.Hour).Truncate(time.Second),
		} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.ModTime().Equal(want) {
				t.Errorf("%s is of %v, not %v (%v)", name, info.ModTime(), want, err)
			}
		}
	})

	t.Run("that is too deep is not offered", func(t *testing.T) {
		root := t.TempDir()
		deep := filepath.Join(root, strings.Repeat("a/", maxDepth))
		if err := os.MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := newSource(root)
		if err != nil {
			t.Fatal(err)
		}
		s.close()
		if err := os.WriteFile(filepath.Join(deep, "x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newSource(root); !errors.Is(err, errTooDeep) {
			t.Errorf("it says %v", err)
		}
	})
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0) //nolint:gosec // of the test
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestNamesThatArrive(t *testing.T) {
	for name, test := range map[string]struct {
		is, called string // the same as the name if empty
	}{
		"10:30.log":         {},
		"1.M2.host:2,S":     {},
		"می\u200cخواهم.txt": {},
		"a\u00a0b":          {},
		"-rf":               {},
		".profile":          {"_profile", ".profile"},
		"a\x1b[31m\n":       {"a_[31m_", "a\x1b[31m\n"},
		`a\b`:               {"b", `a\b`},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := t.TempDir(), create(t, name, noise(5))
			meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
				offers(t, a, path)
				synctest.Wait()
				got, sent := only[FileReceived](b.seen()), only[FileSent](a.seen())
				if len(got) != 1 || len(sent) != 1 {
					t.Fatalf("%v, %v", failures(a), failures(b))
				}
				if got[0].Path != filepath.Join(dir, cmp.Or(test.is, name)) || got[0].Called != test.called || sent[0].As != test.is {
					t.Errorf("%+v, and the sender hears %+v", got[0], sent[0])
				}
			})
		})
	}

	t.Run("the next free one is told, too", func(t *testing.T) {
		dir, path := t.TempDir(), create(t, "a.txt", noise(5))
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
			for range 2 { // one after the other
				offers(t, a, path)
				synctest.Wait()
			}
			if got, sent := only[FileReceived](b.seen()), only[FileSent](a.seen()); len(got) != 2 || got[1].Called != "a.txt" || sent[0].As != "" || sent[1].As != "a (1).txt" {
				t.Errorf("%+v, and the sender hears %+v", got, sent)
			}
		})
	})

	t.Run("those in a folder are counted on both sides", func(t *testing.T) {
		dir, root := t.TempDir(), t.TempDir()
		for _, name := range []string{"a\nb", "c\u202ed", "10:30"} {
			if err := os.WriteFile(filepath.Join(root, name), noise(5), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
			offers(t, a, root)
			synctest.Wait()
			if got, sent := only[FileReceived](b.seen()), only[FileSent](a.seen()); len(got) != 1 || got[0].Renamed != 2 || got[0].Example != `"a\nb" is now "a_b"` || len(sent) != 1 || sent[0].Renamed != 2 {
				t.Errorf("%+v, and the sender hears %+v", got, sent)
			}
		})
	})

	t.Run("one that begins with a dash is no flag where it comes down", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if path, err := comesDown("", offer{Name: "-rf"}, []byte("hi")); err != nil || path != "./-rf" {
			t.Errorf("it is %q (%v)", path, err)
		}
	})
}
