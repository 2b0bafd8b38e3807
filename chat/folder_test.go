package chat

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
		"becomes shorter":  {func(name string) error { return os.WriteFile(name, noise(100), 0o600) }, "it became shorter after it was offered; send it again", -1},
		"is another one":   {func(name string) error { return os.WriteFile(name, noise(512), 0o600) }, "it was changed after it was offered; send it again", -1},
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
}

// A pipe breaks while more of a folder was sent than has arrived, and a file in that part changes. The SHA-256 at the end is that of what was sent then,
// and the receiver is told of the file: it does not take all for damaged.
func TestFolderChangesBetweenPipes(t *testing.T) {
	for _, messages := range []int{0, 1} { // that have arrived; the first one ends within the file
		t.Run(fmt.Sprint(messages, " messages have arrived"), func(t *testing.T) {
			withRawOf(t, nil, func(t *testing.T, a *talker, r raw) { changesBetweenPipes(t, a, r, messages) })
		})
	}
}

func changesBetweenPipes(t *testing.T, a *talker, r raw, messages int) {
	path := filepath.Join(t.TempDir(), "tree")
	name := filepath.Join(path, "file")
	if err := errors.Join(os.Mkdir(path, 0o700), os.WriteFile(name, noise(4*fileChunk), 0o600)); err != nil {
		t.Fatal(err)
	}
	ch := accepted(t, a, r, path)
	had, _, _ := readStream(t, ch, 0, messages)
	_, _, _ = readStream(t, ch, int64(len(had)), 1)
	synctest.Wait() // more is on its way
	r.cut()
	synctest.Wait()
	if err := os.WriteFile(name, noise(100), 0o600); err != nil {
		t.Fatal(err)
	}
	left, right := newPair(64)
	a.joins(left)
	r = raw{right, t}
	r.Expect(true)
	r.hello(hello{Conversation: "hostile", First: 2, Of: a.stream.ID()})
	ch, err := r.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Read(make([]byte, 100)); err != nil { // which file it is
		t.Fatal(err)
	}
	rest, sum, leftOut := readStream(t, ch, int64(len(had)), 1000)
	whole := slices.Concat(had, rest)
	if got := sha256.Sum256(whole); !bytes.Equal(sum, got[:]) || !strings.Contains(string(leftOut), `"file"`) {
		t.Errorf("%d bytes have SHA-256 %x, not %x; left out are %s", len(whole), got, sum, leftOut)
	}
	r.cut()
}

// readStream plays a receiver that has so much: it returns what the next messages of a file's channel add, and what stands at its end.
func readStream(t *testing.T, ch io.ReadWriteCloser, have int64, messages int) (data, sum, left []byte) {
	t.Helper()
	b := make([]byte, 1+fileChunk+100)
	for ; messages > 0; messages-- {
		if _, err := ch.Write(part8(fileHave, uint64(have)+uint64(len(data)))); err != nil { //nolint:gosec // not negative
			t.Fatal(err)
		}
		n, err := ch.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if b[0] == fileDone {
			return data, bytes.Clone(b[1:33]), bytes.Clone(b[33:n])
		}
		data = append(data, b[1:n]...)
	}
	return data, nil, nil
}
