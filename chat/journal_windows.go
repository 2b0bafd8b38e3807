package chat

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

// lock keeps other programs out, until file is closed: it locks a byte far behind the end.
func lock(file *os.File) error {
	at := syscall.Overlapped{OffsetHigh: 1 << 30}
	ok, _, err := lockFileEx.Call(file.Fd(), lockExclusive|lockAtOnce, 0, 1, 0, uintptr(unsafe.Pointer(&at))) //nolint:gosec // as the system wants it
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, errLocked):
		return ErrJournalInUse
	}
	return err
}

// replace writes the content in the old one's place. Windows lets nobody rename what is
// open: a program that is killed meanwhile leaves a file that is damaged.
func (j *Journal) replace(content []byte) error {
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.Write(content); err != nil {
		return err
	}
	return j.file.Sync()
}

// links is how many names a file has, as far as that is known here.
func links(os.FileInfo) uint64 { return 1 }

// isOwn tells whether a file is of the user who runs the program: who may not have it, cannot remove it.
func isOwn(os.FileInfo) bool { return true }
