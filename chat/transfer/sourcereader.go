package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"time"

	"p2pchat/chat/disk"
)

// header returns what precedes the part in a tar stream.
func (p part) header() ([]byte, error) {
	switch {
	case p.name != "":
	case p.mode.IsRegular():
		return nil, nil
	default:
		return trailer, nil
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: p.name, Size: p.size, Mode: int64(p.mode.Perm()), ModTime: p.time.Truncate(time.Second)}
	if p.mode.IsDir() {
		h.Typeflag, h.Name = tar.TypeDir, p.name+"/"
	}
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(h)
	return b.Bytes(), err
}

// padding returns how many bytes fill the last block of the part.
func (p part) padding() int64 {
	if p.name == "" {
		return 0
	}
	return -p.size & (tarBlock - 1)
}

// open returns a reader of the stream from offset on. Both sides read its error; it is io.EOF only if the source
// has not changed.
func (s *source) open(offset int64) io.ReadCloser {
	first := sort.Search(len(s.parts), func(i int) bool { return s.parts[i].at > offset }) - 1
	return &sourceReader{s: s, parts: slices.Clip(s.parts[first:]), skip: offset - s.parts[first].at}
}

// A sourceReader reads one part after the other.
type sourceReader struct {
	s     *source
	parts []part // still to come
	skip  int64  // bytes of the first of them that are not read
	piece io.Reader
	body  *body // the open file of the piece; nil if it has none
}

func (r *sourceReader) Read(b []byte) (int, error) {
	for {
		if r.piece == nil {
			if len(r.parts) == 0 {
				return 0, io.EOF
			}
			if err := r.begin(r.parts[0]); err != nil {
				return 0, err
			}
			r.parts, r.skip = r.parts[1:], 0
		}
		n, err := r.piece.Read(b)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if errors.Is(err, io.EOF) {
			r.piece = nil
			if err := r.Close(); err != nil {
				return 0, err
			}
		}
	}
}

// begin opens the piece of p, without the bytes to skip.
func (r *sourceReader) begin(p part) error {
	header, err := p.header()
	if err != nil {
		return p.because(err)
	}
	skip := min(r.skip, int64(len(header)))
	pieces, skip := []io.Reader{bytes.NewReader(header[skip:])}, r.skip-skip
	if p.mode.IsRegular() {
		from, err := r.content(p, min(skip, p.size))
		if err != nil {
			return err
		}
		pieces, skip = append(pieces, from), max(0, skip-p.size)
	}
	r.piece = io.MultiReader(append(pieces, bytes.NewReader(trailer[:p.padding()-skip]))...)
	return nil
}

// content returns a reader of the file p from offset on.
func (r *sourceReader) content(p part, offset int64) (io.Reader, error) {
	if p.data != nil {
		return bytes.NewReader(p.data[offset:]), nil
	}
	if r.s.root != nil {
		return r.s.mended(r, p, offset), nil
	}
	b, err := r.s.body(p, offset)
	r.body = b
	return b, err
}

func (r *sourceReader) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.file.Close()
	r.body = nil
	return err
}

// A body reads the file of a part, and fails if it has changed since it was offered.
type body struct {
	part
	file *os.File
	left int64
}

func (s *source) body(p part, offset int64) (*body, error) {
	open := func() (*os.File, error) { return os.Open(s.path) }
	if s.root != nil {
		open = func() (*os.File, error) { return s.root.Open(p.name) }
	}
	f, err := open()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errVanished
	case err != nil:
		return nil, unreadable(err)
	}
	b := &body{part: p, file: f, left: p.size - offset}
	if err = b.check(); err == nil || errors.Is(err, errLonger) && s.root != nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return b, nil
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		if err := b.check(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	n, err := b.file.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF):
		return n, errShorter
	case err != nil:
		return n, unreadable(err)
	}
	return n, nil
}

// check returns an error unless the file is as it was offered.
func (b *body) check() error {
	info, err := b.file.Stat()
	switch {
	case err != nil:
		return unreadable(err)
	case info.Size() < b.size:
		return errShorter
	case info.Size() > b.size:
		return errLonger
	case !info.ModTime().Equal(b.time):
		return errChanged
	}
	return nil
}

func unreadable(err error) error {
	return fmt.Errorf("the sender cannot read it: %w", disk.WithoutPath(err))
}

// because returns err with the name of the part, if it is in a folder.
func (p part) because(err error) error {
	if p.name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p.name, err)
}
