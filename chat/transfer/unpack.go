package transfer

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"p2pchat/chat/disk"
)

// A tree is a folder that is being unpacked from a tar stream.
type tree struct {
	root    *os.Root
	room    int64             // bytes of the stream that are still to come
	files   int               // that have arrived
	content int64             // their bytes
	renamed map[string]string // by the name in the stream, what has another one here
	folders []dated
}

// A dated is a folder whose time is set once its content is there.
type dated struct {
	name string
	time time.Time
}

// unpack makes the files and folders of a tar stream, and nothing else, and reads the stream to its end. It returns
// errNoTar, errTooMuch, errLeadsOut, errTooDeep, or the file system's error. What the person was told is a bound:
// the number of files, and of bytes in them if that is known; else only the size of the stream.
func (t *tree) unpack(r io.Reader, files int, content Content) error {
	stream := tar.NewReader(r)
	for parts := 0; ; parts++ {
		h, err := stream.Next()
		switch {
		case errors.Is(err, io.EOF):
			_, err := io.Copy(io.Discard, r)
			if err == nil && t.files != files {
				err = errNoTar
			}
			return err
		case errors.Is(err, tar.ErrHeader):
			return errNoTar
		case err != nil:
			return err
		case parts == maxParts, h.Typeflag == tar.TypeReg && t.files == files, isSparse(h): // a sparse file takes more room than was sent
			return errNoTar
		case h.Size < 0, h.Size > t.room-tarBlock, content.Known && h.Size > content.Bytes-t.content:
			return errTooMuch
		}
		if err := t.unpackPart(stream, h); err != nil {
			return err
		}
		t.room -= tarBlock + h.Size
		t.content += h.Size
	}
}

func (t *tree) unpackPart(from io.Reader, h *tar.Header) error {
	name, err := properPath(h.Name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(h.Mode) & 0o777 //nolint:gosec // nine bits of it
	switch h.Typeflag {
	case tar.TypeDir:
		name, err = orPortable(name, func(name string) error { return t.root.MkdirAll(name, dirPerm(mode)) })
		t.folders = append(t.folders, dated{name, h.ModTime})
	case tar.TypeReg:
		t.files++
		name, err = t.unpackFile(from, name, mode, h.ModTime)
	default:
		return errNoTar
	}
	if was := strings.TrimSuffix(h.Name, "/"); err == nil && filepath.ToSlash(name) != was {
		t.renamed[was] = name
	}
	return err
}

// isSparse reports whether a file has holes. This program sends no such file.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false // the older kind has a Typeflag of its own, which unpackPart refuses
}

// unpackFile writes a file, and returns its name.
func (t *tree) unpackFile(from io.Reader, name string, mode fs.FileMode, modified time.Time) (string, error) {
	var f *os.File
	open := func(name string) (err error) {
		if parent := filepath.Dir(name); parent != "." {
			if err := t.root.MkdirAll(parent, 0o777); err != nil {
				return err
			}
		}
		f, err = t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm(mode))
		return err
	}
	name, err := orPortable(name, open)
	for n, first := 1, name; errors.Is(err, fs.ErrExist) && n < 1000; n++ { // two names can be the same here
		name = filepath.Join(filepath.Dir(first), numbered(filepath.Base(first), n))
		err = open(name)
	}
	if err != nil {
		return name, err
	}
	_, err = io.Copy(disk.Eager(f), from)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	t.date(dated{name, modified})
	return name, err
}

// orPortable calls create with name or, if the file system refuses that, with a name that every system takes. It
// returns the name.
func orPortable(name string, create func(name string) error) (string, error) {
	err := create(name)
	if other := portable(name); errors.Is(err, syscall.EINVAL) && other != name {
		return other, create(other)
	}
	return name, err
}

// finish removes the files that are left out, and sets the times of the folders, the innermost first.
func (t *tree) finish(left []leftOut) error {
	for _, l := range left {
		if l.Kept {
			continue
		}
		name, err := properPath(l.Name)
		if is, ok := t.renamed[l.Name]; ok {
			name = is
		}
		if err == nil {
			err = t.root.Remove(name)
		}
		if err != nil {
			return errNoTar
		}
	}
	for i := len(t.folders) - 1; i >= 0; i-- {
		t.date(t.folders[i])
	}
	return nil
}

// date sets the time of a file or folder, if the file system can store it.
func (t *tree) date(d dated) {
	if hasDate(d.time) {
		_ = t.root.Chtimes(d.name, time.Now(), d.time) // the file is worth having without its date
	}
}
