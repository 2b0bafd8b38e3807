// Package disk has what journals and downloads need of a file system beyond package os: locks,
// owners, and errors without paths.
package disk

import (
	"errors"
	"io/fs"
)

// ErrLocked says that another program has locked a file.
var ErrLocked = errors.New("another program uses it")

// WithoutPath returns err without the path that package os puts before it: the person has given the
// path, or the other side must not learn it.
func WithoutPath(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
