//go:build unix

package disk

import (
	"errors"
	"os"
	"path/filepath"
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

// Replace puts a new, locked file with that content in the place of file at path, wholly or not at
// all. It returns the file that is open and locked afterwards: the old one if it fails.
func Replace(file *os.File, path string, content []byte) (*os.File, error) {
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+fresh+"*") // 0600
	if err != nil {
		return file, err
	}
	err = Lock(next)
	if err == nil {
		_, err = next.Write(content)
	}
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		next.Close()
		_ = os.Remove(next.Name()) // it is of no use
		return file, err
	}
	file.Close()
	return next, SyncFolder(filepath.Dir(path))
}

// SyncFolder returns once the names in a folder are on disk: a rename, too, has to survive a crash of the machine.
func SyncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // a folder that the caller writes to
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

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
