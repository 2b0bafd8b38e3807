//go:build unix

package chat

import (
	"errors"
	"os"
	"path/filepath"
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

// replace puts a new file with that content in the old one's place, at once or not at all.
func (j *Journal) replace(content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".*") // 0600
	if err != nil {
		return err
	}
	err = lock(file)
	if err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), j.path)
	}
	if err != nil {
		file.Close()
		_ = os.Remove(file.Name()) // it is of no use
		return err
	}
	j.file.Close()
	j.file = file
	folder, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync() // the rename, too, is to survive a crash of the machine
}

// links is how many names a file has.
func links(info os.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink) //nolint:unconvert // it is smaller on other systems
	}
	return 1
}

// isOwn tells whether a file is of the user who runs the program.
func isOwn(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(s.Uid) == int64(os.Geteuid())
}
