package disk

import (
	"errors"
	"os"
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

// Replace writes the content over that of file. Windows renames no open file, so a program that is
// killed while it writes leaves a damaged one.
func Replace(file *os.File, _ string, content []byte) (*os.File, error) {
	if err := file.Truncate(0); err != nil {
		return file, err
	}
	if _, err := file.Write(content); err != nil {
		return file, err
	}
	return file, file.Sync()
}

// SyncFolder does nothing: Windows syncs no folder.
func SyncFolder(string) error { return nil }

// Links returns 1: how many names a file has is not known on Windows.
func Links(os.FileInfo) uint64 { return 1 }

// IsOwn returns true: on Windows, a user who does not own a file cannot remove it.
func IsOwn(os.FileInfo) bool { return true }
