//go:build unix

package chat

import (
	"errors"
	"os"
	"syscall"
)

// lock keeps other programs out, until file is closed.
func lock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrJournalInUse
	}
	return err
}

// replace puts the new file in the place of the old one, which has the path.
func replace(old, with *os.File, path string) (*os.File, error) {
	defer old.Close()
	return with, os.Rename(with.Name(), path)
}
