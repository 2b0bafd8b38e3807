// Package disk has what journals and downloads need of a file system beyond package os: locks,
// owners, and errors without paths.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrLocked says that another program has locked a file.
var ErrLocked = errors.New("another program uses it")

// fresh follows the name of a file in that of the one that is about to replace it. Random digits come after it.
const fresh = ".new-"

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
