// Package disk has what journals and downloads need of a file system beyond package os: locks,
// owners, and errors without paths.
package disk

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrLocked says that another program has locked a file.
var ErrLocked = errors.New("another program uses it")

// fresh follows the name of a file in that of the one that is about to replace it. Random digits come after it.
const fresh = ".new-"

// Replace puts a new, locked file with that content in the place of file at path, which Open has opened, wholly or not at all. It
// returns the file that is open and locked afterwards: the old one if it fails; but the new one, with an error, if only a crash of
// the machine can still bring the old one back.
func Replace(file *os.File, path string, content []byte) (*os.File, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return file, err
	}
	defer root.Close()
	folder, err := root.Open(".") // for SyncFolder, when nothing else can fail any more
	if err != nil {
		return file, err
	}
	defer folder.Close()
	name := filepath.Base(path)
	temporary := name + fresh + strconv.FormatUint(rand.Uint64(), 10) //nolint:gosec // O_EXCL keeps it from meeting another file
	next, err := root.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
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
		err = root.Rename(temporary, name)
	}
	if err != nil {
		next.Close()
		_ = root.Remove(temporary) // it is of no use
		return file, err
	}
	file.Close()
	return next, syncFolder(folder)
}

// SyncFolder returns once the names in a folder are on disk: a rename, too, has to survive a crash of the machine.
func SyncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // a folder that the caller writes to
	if err != nil {
		return err
	}
	defer folder.Close()
	return syncFolder(folder)
}

// Sweep removes what programs left that were killed while Replace put a new file in the place of the one at path. The caller has
// locked that one, so no other program is replacing it.
func Sweep(path string) {
	folder, name := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(folder))
	if err != nil {
		return
	}
	for _, e := range entries {
		if random, ok := strings.CutPrefix(e.Name(), name+fresh); ok && random != "" && strings.Trim(random, "0123456789") == "" {
			_ = os.Remove(filepath.Join(folder, e.Name())) // next time, then
		}
	}
}

// WithoutPath returns err without the path that package os puts before it: the person has given the
// path, or the other side must not learn it.
func WithoutPath(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
