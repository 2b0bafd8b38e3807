package contacts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/disk"
	"p2pchat/peer/contact"
)

func keys() contact.Keys {
	return contact.Keep(contact.First, bytes.Repeat([]byte{1}, contact.KeySize), make([]byte, contact.NonceSize), make([]byte, contact.NonceSize))
}

func add(t *testing.T, b *Book, name string) Contact {
	t.Helper()
	c, err := b.Add(Contact{Name: name, Server: "https://chat.example.org", Keys: keys()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"ben", "Zoë", "ben-2", "李雷", "анна", "a_b"} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-ben", "../ben", "a b", "a\x1b[31m", "a\n", "ben@home", "a/b", "a\\b", "$(reboot)", "\u202eneb", "\u200b", strings.Repeat("x", 33)} {
		if CheckName(bad) == nil {
			t.Errorf("%q passes", bad)
		}
		if p := Proper(bad); CheckName(p) != nil {
			t.Errorf("%q becomes %q, which does not pass either", bad, p)
		}
	}
	if p := Proper("Ben \x1b[31m& Sons"); p != "Ben-31m-Sons" {
		t.Error(p)
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	t.Run("a new one is empty", func(t *testing.T) {
		t.Parallel()
		list, err := Open(filepath.Join(t.TempDir(), "none")).List()
		if len(list) > 0 || err != nil {
			t.Error(list, err)
		}
	})

	t.Run("no two contacts have names that look alike", func(t *testing.T) {
		t.Parallel()
		b := Open(t.TempDir())
		for _, c := range []struct{ name, want string }{{"ben", "ben"}, {"Ben", "Ben-2"}, {"bеn", "bеn-3"}, {strings.Repeat("x", 32), strings.Repeat("x", 32)}, {strings.Repeat("x", 32), strings.Repeat("x", 30) + "-2"}} {
			if got := add(t, b, c.name).Name; got != c.want {
				t.Errorf("%q is kept as %q, want %q", c.name, got, c.want)
			}
		}
		ben, err := b.Find("BEN")
		if err != nil || ben.Name != "ben" {
			t.Error(ben.Name, err)
		}
		h, err := b.TryHold(ben.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Release()
		if err := b.Rename(h, "bEN-2"); !errors.Is(err, ErrTaken) {
			t.Error(err)
		}
		if err := b.Rename(h, "../x"); !errors.Is(err, ErrName) {
			t.Error(err)
		}
		if err := b.Rename(h, "BEN"); err != nil { // its own name
			t.Error(err)
		}
	})

	t.Run("one program holds a contact", func(t *testing.T) {
		t.Parallel()
		b := Open(t.TempDir())
		c := add(t, b, "ben")
		h, err := b.TryHold(c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.TryHold(c.ID); !errors.Is(err, ErrInUse) {
			t.Error(err)
		}
		for range 3 { // the lock goes with the file that replaces the old one
			if err := h.Update(func(c *Contact) { c.Keys.Shown = !c.Keys.Shown }); err != nil {
				t.Fatal(err)
			}
			if _, err := b.TryHold(c.ID); !errors.Is(err, ErrInUse) {
				t.Error(err)
			}
		}
		h.Release()
		h, err = b.TryHold(c.ID)
		if err != nil || !h.Keys.Shown {
			t.Fatal(err)
		}
		if err := h.Forget(); err != nil {
			t.Error(err)
		}
		if _, err := b.TryHold(c.ID); !errors.Is(err, ErrNone) {
			t.Error(err)
		}
	})

	t.Run("what a killed program left is removed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		b := Open(dir)
		c := add(t, b, "ben")
		left, other := filepath.Join(dir, c.ID+extension+".new-123"), filepath.Join(dir, c.ID+extension+".new-mine")
		created := filepath.Join(dir, ".new-456")
		for _, path := range []string{left, other, created} {
			if err := os.WriteFile(path, []byte("keys"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h, err := b.TryHold(c.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Release()
		add(t, b, "carl")
		for path, want := range map[string]bool{left: false, created: false, other: true} {
			if _, err := os.Stat(path); (err == nil) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
	})

	t.Run("a file of a later version is not touched", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		b := Open(dir)
		c := add(t, b, "ben")
		path := filepath.Join(dir, c.ID+extension)
		text, err := os.ReadFile(path) //nolint:gosec // a file of the test
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte(`"format": 1`), []byte(`"format": 2`), 1)
		if err := os.WriteFile(path, text, 0o600); err != nil { //nolint:gosec // a file of the test
			t.Fatal(err)
		}
		if _, err := b.TryHold(c.ID); !errors.Is(err, errNewer) {
			t.Error(err)
		}
		if _, err := b.Find("ben"); !errors.Is(err, errNewer) {
			t.Error(err)
		}
	})

	t.Run("a file that cannot be right is named, and hides no other", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		b := Open(dir)
		good := add(t, b, "ben")
		for name, text := range map[string]string{"empty": "", "half": `{"id":"half","name":"x"`, "hostile": `{"id":"hostile","name":"\u001b[2J","keys":{}}`} {
			if err := os.WriteFile(filepath.Join(dir, name+extension), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		list, err := b.List()
		if len(list) != 1 || list[0].ID != good.ID || err == nil || strings.Count(err.Error(), "\n") != 2 {
			t.Error(list, err)
		}
	})

	t.Run("a file that no program wrote is refused", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		b := Open(dir)
		c := add(t, b, "ben")
		path := filepath.Join(dir, c.ID+extension)
		text, err := os.ReadFile(path) //nolint:gosec // a file of the test
		if err != nil {
			t.Fatal(err)
		}
		for was, is := range map[string]string{
			`"name": "ben"`:                        `"name": "\u001b[2J"`,
			`"server": "https://chat.example.org"`: `"server": "javascript:\u001b[2J"`,
			`"kept":`:                              `"ring": "\u001b[2J", "kept":`,
		} {
			changed := bytes.Replace(text, []byte(was), []byte(is), 1)
			if bytes.Equal(changed, text) {
				t.Fatalf("the file does not have %s", was)
			}
			if err := os.WriteFile(path, changed, 0o600); err != nil { //nolint:gosec // a file of the test
				t.Fatal(err)
			}
			if list, err := b.List(); len(list) > 0 || !errors.Is(err, errFile) {
				t.Errorf("%s is read as %v (%v)", is, list, err)
			}
		}
		if _, err := b.Add(Contact{Name: "carl", Server: "", Keys: keys()}); err == nil {
			t.Error("a contact without a server is added")
		}
	})

	t.Run("a change that may not survive a crash is known", func(t *testing.T) {
		t.Parallel()
		b := Open(t.TempDir())
		h, err := b.TryHold(add(t, b, "ben").ID)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Release()
		failed := errors.New("the disk fails")
		b.replace = func(file *os.File, path string, text []byte) (*os.File, error) {
			next, err := disk.Replace(file, path, text)
			return next, cmp.Or(err, failed)
		}
		if err := h.Update(func(c *Contact) { c.Keys.Shown = true }); !errors.Is(err, failed) || !h.Keys.Shown {
			t.Errorf("what is in memory is not what is on disk: %v", err)
		}
		b.replace = func(file *os.File, _ string, _ []byte) (*os.File, error) { return file, failed }
		if err := h.Update(func(c *Contact) { c.Keys.Shown = false }); !errors.Is(err, failed) || !h.Keys.Shown {
			t.Errorf("what is in memory is not what is on disk: %v", err)
		}
	})

	t.Run("a file that others can read is refused", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no modes")
		}
		dir := t.TempDir()
		b := Open(filepath.Join(dir, "contacts"))
		c := add(t, b, "ben")
		path := filepath.Join(dir, "contacts", c.ID+extension)
		for at, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(at); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v (%v)", at, info.Mode(), want, err)
			}
		}
		if err := os.Chmod(path, 0o640); err != nil { //nolint:gosec // that is the mistake
			t.Fatal(err)
		}
		if _, err := b.TryHold(c.ID); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Error(err)
		}
	})
}

// Hold waits for a program that has the contact for a moment, and no longer than some seconds.
func TestHoldWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Open(t.TempDir())
		c := add(t, b, "ben")
		held, err := b.Hold(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := b.Hold(t.Context(), c.ID); !errors.Is(err, ErrInUse) || time.Since(begun) != HoldPatience {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun = time.Now()
		if _, err := b.Hold(ctx, c.ID); !errors.Is(err, ErrInUse) || time.Since(begun) > 0 {
			t.Errorf("after the context: %v after %v", err, time.Since(begun))
		}
		time.AfterFunc(time.Second, held.Release)
		if held, err = b.Hold(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		held.Release()
	})
}
