//go:build unix

package disk

import (
	"errors"
	"os"
	"syscall"
)

// Lock keeps other programs out until file is closed. It returns ErrLocked if another program has it.
func Lock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// Open is os.OpenFile, for a file that Replace may replace.
func Open(path string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag, mode) //nolint:gosec // the caller names it
}

func syncFolder(folder *os.File) error { return folder.Sync() }

// Links returns how many names a file has.
func Links(info os.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink) //nolint:unconvert // it is smaller on other systems
	}
	return 1
}

// IsOwn reports whether the user who runs the program owns a file.
func IsOwn(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(s.Uid) == int64(os.Geteuid())
}
