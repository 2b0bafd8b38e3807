package chat

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"unsafe"
)

// TestWhatCannotBeRead is refused before anything is offered, by its whole path: a file in a folder, a
// folder in it, and one of several.
func TestWhatCannotBeRead(t *testing.T) {
	good, dir := create(t, "good", []byte("good")), t.TempDir()
	for _, path := range []string{"file/a", "file/sub/secret", "file/z", "folder/a", "folder/sub/b", "alone"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"file/sub/secret", "folder/sub", "alone"} {
		path = filepath.Join(dir, path)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o700) }) //nolint:gosec // so that it can be removed
	}
	synctest.Test(t, func(t *testing.T) {
		withoutRoot(t)
		a := newTalker()
		const denied, missing = "permission denied", "no such file or directory"
		for _, c := range []struct {
			what  string // cannot be sent
			why   string
			paths []string
		}{
			{"/file", dir + "/file/sub/secret cannot be read: " + denied, []string{dir + "/file"}},
			{"/folder", dir + "/folder/sub cannot be read: " + denied, []string{dir + "/folder"}},
			{"/alone", denied, []string{good, dir + "/alone", good}},
			{"/file", dir + "/file/sub/secret cannot be read: " + denied, []string{good, dir + "/file"}},
			{"/none", missing, []string{dir + "/none", good}},
		} {
			want := dir + c.what + " cannot be sent: " + c.why
			if _, err := a.SendFiles(t.Context(), c.paths...); err == nil || err.Error() != want {
				t.Errorf("it says %v, not %s", err, want)
			}
		}
		if n := a.stream.Status().Left; n > 0 {
			t.Errorf("%d are offered", n)
		}
	})
}

// withoutRoot takes from this thread what lets root read everything, and lets it end with the goroutine.
func withoutRoot(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlock
	header := struct {
		version uint32
		pid     int32
	}{version: 0x20080522} // capget(2)
	var data [2]struct{ effective, permitted, inheritable uint32 }
	_, _, err := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0) //nolint:gosec // as the system wants it
	if err == 0 {
		data[0].effective &^= 1<<1 | 1<<2                                                                                       // CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
		_, _, err = syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0) //nolint:gosec // as above
	}
	if err != 0 {
		t.Fatal(err)
	}
}

func TestSeveralFilesAreOfferedInOrder(t *testing.T) {
	meets(t, nil, nil, func(t *testing.T, a, b *talker) {
		var paths, names []string
		for _, name := range strings.Split("zebra apple mango kiwi banana", " ") {
			paths, names = append(paths, create(t, name, nil)), append(names, name)
		}
		ids, err := a.SendFiles(t.Context(), paths...)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "their numbers", ids, []uint64{1, 2, 3, 4, 5})
		synctest.Wait()
		var offered []string
		for _, e := range only[FileOffered](b.seen()) {
			offered = append(offered, e.Name)
		}
		equal(t, "they are offered", offered, names)
	})
}
