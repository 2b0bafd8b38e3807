//go:build unix

package contacts

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe in the folder keeps no program waiting for its writer.
func TestAPipeIsNoContact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := Open(dir)
	good := add(t, b, "ben")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"+extension), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := b.List(); len(list) != 1 || list[0].ID != good.ID || !errors.Is(err, errFile) {
		t.Error(list, err)
	}
	if _, err := b.TryHold("pipe"); err == nil {
		t.Error("a pipe is held")
	}
}
