package chat

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
)

// TestFileWithoutSpace is a disk that runs full: a file system of 1 MiB in memory, which takes
// root.
func TestFileWithoutSpace(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system can be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := create(t, "data", noise(5<<20))
	for _, what := range []string{path, filepath.Dir(path)} {
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, b *talker) {
			offers(t, a, what)
			synctest.Wait()
			equal(t, "the sender hears", failures(a), []string{"the receiver's disk is full"})
			equal(t, "the receiver hears", failures(b), []string{"it cannot be written to " + dir + ": no space left on device. Make room there, then ask for the file again"})
			holds(t, dir, nil)
			small := create(t, "small", noise(5))
			id := offers(t, a, small) // the conversation goes on
			synctest.Wait()
			if !a.Sent(id) {
				t.Errorf("the next file is not sent: %v", failures(a))
			}
			if err := os.Remove(filepath.Join(dir, "small")); err != nil {
				t.Error(err)
			}
		})
	}
}
