package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	lockAtOnce    = 1                 // LOCKFILE_FAIL_IMMEDIATELY
	lockExclusive = 2                 // LOCKFILE_EXCLUSIVE_LOCK
	errLocked     = syscall.Errno(33) // ERROR_LOCK_VIOLATION
)

// Lock keeps other programs out until file is closed: it locks a byte far behind the end. It returns
// ErrLocked if another program has it.
func Lock(file *os.File) error {
	at := syscall.Overlapped{OffsetHigh: 1 << 30}
	ok, _, err := lockFileEx.Call(file.Fd(), lockExclusive|lockAtOnce, 0, 1, 0, uintptr(unsafe.Pointer(&at))) //nolint:gosec // as the system wants it
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, errLocked):
		return ErrLocked
	}
	return err
}

// Open is os.OpenFile, for a file that Replace may replace. A file of an os.Root can be replaced and removed while it is open
// (FILE_SHARE_DELETE), which os.OpenFile does not allow.
func Open(path string, flag int, mode os.FileMode) (*os.File, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil { // a root has no links that lead out of it
		path = target
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(filepath.Base(path), flag, mode)
}

// syncFolder does nothing: Windows syncs no folder.
func syncFolder(*os.File) error { return nil }

// Links returns 1: how many names a file has is not known on Windows.
func Links(os.FileInfo) uint64 { return 1 }

// IsOwn returns true: on Windows, a user who does not own a file cannot remove it.
func IsOwn(os.FileInfo) bool { return true }
