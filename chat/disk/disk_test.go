package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// hold opens the file at path and locks it.
func hold(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := Lock(f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReplace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	f := hold(t, path)
	for _, text := range []string{"first", "second, which is longer", ""} {
		was := f
		var err error
		if f, err = Replace(was, path, []byte(text)); err != nil || f == was {
			t.Fatalf("it is replaced by %v (%v)", f, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text { //nolint:gosec // the test's own
			t.Errorf("it has %q, want %q (%v)", got, text, err)
		}
		other, err := Open(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := Lock(other); !errors.Is(err, ErrLocked) {
			t.Errorf("the new file is not locked: %v", err)
		}
		other.Close()
	}
	f.Close()
	hold(t, path).Close()
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("the folder has %v (%v)", list, err)
	}
}

// What cannot be replaced stays as it is, open and locked.
func TestReplaceFails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	f := hold(t, path)
	defer f.Close()
	taken := filepath.Join(folder, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{taken, filepath.Join(folder, "missing", "file")} {
		if is, err := Replace(f, at, []byte("text")); is != f || err == nil {
			t.Errorf("%s: it returns %v, %v", at, is, err)
		}
	}
	if list, err := os.ReadDir(folder); err != nil || len(list) != 2 {
		t.Errorf("the folder has %v (%v)", list, err)
	}
	other, err := Open(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := Lock(other); !errors.Is(err, ErrLocked) {
		t.Errorf("the old file is not locked: %v", err)
	}
}
