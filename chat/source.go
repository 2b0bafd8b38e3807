package chat

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// A source is what a file is sent from: bytes that can be read from any offset, and are
// the same each time. Those of a folder are a tar stream, of which nothing is kept but
// the list of what is in it.
type source struct {
	offer
	root    *os.Root // of the folder; nil for a file
	path    string   // of the file
	parts   []part
	stamp   string // of all the parts: another one shows that something has changed
	leftOut int    // symbolic links, devices and the like
}

// A part is a file or folder of a source, with the header before it. One that is neither is
// the trailer of a tar stream.
type part struct {
	at   int64  // where it begins in the stream
	name string // in the folder; empty for a file that is sent alone, and for the trailer
	mode fs.FileMode
	size int64
	time time.Time // of the last change
}

// maxParts bounds what is kept of a folder.
const maxParts = 200_000

const tarBlock = 512

var trailer = make([]byte, 2*tarBlock)

// Why a source cannot be sent: the reasons that both sides are told.
var (
	errVanished = errors.New("it is no longer there")
	errShorter  = errors.New("it became shorter while it was being sent")
	errLonger   = errors.New("it became longer while it was being sent")
	errChanged  = errors.New("it was changed while it was being sent")
)

// newSources looks at all paths before any is sent.
func newSources(paths []string) (all []*source, err error) {
	for _, path := range paths {
		s, err := newSource(path)
		if err != nil {
			closeAll(all)
			err = fmt.Errorf("%s cannot be sent: %w", path, plain(err))
			if len(paths) > 1 {
				err = fmt.Errorf("%w; so nothing is offered", err)
			}
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func closeAll(sources []*source) {
	for _, s := range sources {
		s.close()
	}
}

// newSource looks at what is at path, and keeps nothing open but a folder.
func newSource(path string) (*source, error) {
	if path == "" {
		return nil, fs.ErrNotExist
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(whole)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is known
	}
	s := &source{path: whole, offer: offer{Name: filepath.Base(whole), Mode: uint32(info.Mode().Perm()), Folder: info.IsDir(), Size: info.Size()}}
	switch {
	case info.IsDir():
		return s, s.walk()
	case !info.Mode().IsRegular():
		return nil, errors.New("it is neither a file nor a folder")
	}
	s.parts = []part{{mode: info.Mode(), size: info.Size(), time: info.ModTime()}}
	s.mark()
	f, err := os.Open(whole) //nolint:gosec // the person wants it sent
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	return s, f.Close()
}

// walk lists what is in the folder, in the order of the names.
func (s *source) walk() (err error) {
	if s.root, err = os.OpenRoot(s.path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	s.Size = 0
	err = fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return s.unreadable(name, err)
		}
		if name == "." {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return s.unreadable(name, err)
		}
		p := part{at: s.Size, name: name, mode: info.Mode(), time: info.ModTime()}
		switch {
		case info.Mode().IsRegular():
			if err := s.try(name); err != nil {
				return s.unreadable(name, err)
			}
			p.size = info.Size()
			s.Files++
		case !info.IsDir():
			s.leftOut++
			return nil
		}
		header, err := p.header()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if len(s.parts) == maxParts {
			return fmt.Errorf("it holds more than %d files and folders", maxParts)
		}
		s.parts = append(s.parts, p)
		s.Size += int64(len(header)) + p.size + p.padding()
		return nil
	})
	if err != nil {
		return err
	}
	s.parts = append(s.parts, part{at: s.Size, mode: fs.ModeIrregular})
	s.Size += int64(len(trailer))
	s.mark()
	return nil
}

// mark makes the stamp.
func (s *source) mark() {
	h := sha256.New()
	for _, p := range s.parts {
		fmt.Fprintf(h, "%q %v %d %d\n", p.name, p.mode, p.size, p.time.UnixNano())
	}
	s.stamp = hex.EncodeToString(h.Sum(nil))
}

// try opens a file of the folder: whoever may not read it is told before anything is offered.
func (s *source) try(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return f.Close()
}

// unreadable names to the sender, and to nobody else, what is in the way.
func (s *source) unreadable(name string, err error) error {
	if name == "." {
		return err
	}
	return fmt.Errorf("%s cannot be read: %w", filepath.Join(s.path, name), plain(err))
}

func (s *source) close() {
	if s.root != nil {
		s.root.Close()
	}
}

// header is what stands before the part in a tar stream.
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

// padding fills the last block of a tar stream.
func (p part) padding() int64 {
	if p.name == "" {
		return 0
	}
	return -p.size & (tarBlock - 1)
}

// open reads from offset on. The error of a Read is for both sides; the last one is io.EOF
// only if the source is still as it was.
func (s *source) open(offset int64) io.ReadCloser {
	first := sort.Search(len(s.parts), func(i int) bool { return s.parts[i].at > offset }) - 1
	return &sourceReader{s: s, parts: slices.Clip(s.parts[first:]), skip: offset - s.parts[first].at}
}

// A sourceReader goes from part to part.
type sourceReader struct {
	s     *source
	parts []part // still to come
	skip  int64  // of the first of them
	piece io.Reader
	body  *body // of the piece; nil without one
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

// begin makes the piece of p, without what is to be skipped of it.
func (r *sourceReader) begin(p part) error {
	header, err := p.header()
	if err != nil {
		return p.because(err)
	}
	skip := min(r.skip, int64(len(header)))
	pieces, skip := []io.Reader{bytes.NewReader(header[skip:])}, r.skip-skip
	if p.mode.IsRegular() {
		if r.body, err = r.s.body(p, min(skip, p.size)); err != nil {
			return err
		}
		pieces, skip = append(pieces, r.body), max(0, skip-p.size)
	}
	r.piece = io.MultiReader(append(pieces, bytes.NewReader(trailer[:p.padding()-skip]))...)
	return nil
}

func (r *sourceReader) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.file.Close()
	r.body = nil
	return err
}

// A body is the file of a part, which has to stay as it was when it was offered.
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
		return nil, p.because(errVanished)
	case err != nil:
		return nil, p.because(fmt.Errorf("its sender cannot read it: %w", plain(err)))
	}
	b := &body{part: p, file: f, left: p.size - offset}
	if err = b.check(); err == nil {
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
		return n, b.because(errShorter)
	case err != nil:
		return n, b.because(fmt.Errorf("its sender cannot read it: %w", plain(err)))
	}
	return n, nil
}

// check compares the file with what was offered.
func (b *body) check() error {
	info, err := b.file.Stat()
	switch {
	case err != nil:
		return b.because(fmt.Errorf("its sender cannot read it: %w", plain(err)))
	case info.Size() < b.size:
		return b.because(errShorter)
	case info.Size() > b.size:
		return b.because(errLonger)
	case !info.ModTime().Equal(b.time):
		return b.because(errChanged)
	}
	return nil
}

// because names the part, in a folder.
func (p part) because(err error) error {
	if p.name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p.name, err)
}
