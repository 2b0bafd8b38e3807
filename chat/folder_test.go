package chat

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
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
}
