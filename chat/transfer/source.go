package transfer

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
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
	"strings"
	"sync"
	"time"

	"p2pchat/chat/internal/disk"
)

// A source is what a file is sent from: bytes that can be read from any offset, and are
// the same each time. Those of a folder are a tar stream, of which nothing is kept but
// the list of what is in it.
type source struct {
	Offer
	root    *os.Root // of the folder; nil for a file
	path    string   // of the file
	parts   []part
	stamp   string // of all the parts: another one shows that something has changed
	leftOut int    // symbolic links, devices and the like
	room    int64  // for what is kept in memory

	mu      sync.Mutex      // guards what follows
	spoiled map[int64]spoil // by where the part begins
}

// A part is a file or folder of a source, with the header before it. One that is neither is
// the trailer of a tar stream.
type part struct {
	at   int64  // where it begins in the stream
	name string // in the folder; empty for a file that is sent alone, and for the trailer
	mode fs.FileMode
	size int64
	time time.Time // of the last change
	data []byte    // of a file that is longer than it says, as those in /proc are; else nil
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
func newSources(ctx context.Context, paths []string) (all []*source, err error) {
	for _, path := range paths {
		s, err := newSource(ctx, path)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("%s cannot be sent: %w", path, disk.WithoutPath(err))
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
func newSource(ctx context.Context, path string) (*source, error) {
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
	s := &source{path: whole, room: maxInMemory, spoiled: map[int64]spoil{}, Offer: Offer{
		Name: strings.ToValidUTF8(filepath.Base(whole), "\ufffd"), Mode: uint32(info.Mode().Perm()), Folder: info.IsDir(), Size: info.Size(),
	}}
	if hasDate(info.ModTime()) {
		s.Modified = info.ModTime().UTC()
	}
	switch {
	case info.IsDir():
		return s, s.walk(ctx)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is neither a file nor a folder")
	}
	p := part{mode: info.Mode(), size: info.Size(), time: info.ModTime()}
	if err := s.try(&p, os.Open); err != nil {
		return nil, disk.WithoutPath(err)
	}
	s.parts, s.Size = []part{p}, p.size
	s.mark()
	return s, nil
}

// walk lists what is in the folder, in the order of the names.
func (s *source) walk(ctx context.Context) (err error) {
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
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case name == ".":
			return nil
		case strings.Count(name, "/") >= maxDepth || len(name) > maxPath:
			return fmt.Errorf("%s: %w", filepath.Join(s.path, name), errTooDeep)
		}
		info, err := d.Info()
		if err != nil {
			return s.unreadable(name, err)
		}
		p := part{at: s.Size, name: name, mode: info.Mode(), time: info.ModTime()}
		switch {
		case info.Mode().IsRegular():
			p.size = info.Size()
			if err := s.try(&p, s.root.Open); err != nil {
				return s.unreadable(name, err)
			}
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

// try opens a file: a person who may not read it is told before anything is offered. A file that has another size
// than it says, as those in /proc and /sys, is read at once.
func (s *source) try(p *part, open func(string) (*os.File, error)) error {
	f, err := open(cmp.Or(p.name, s.path))
	if err != nil {
		return err
	}
	defer f.Close()
	if p.size != 0 && p.size != 4096 { // of those, each file says one of the two
		return nil
	}
	data := make([]byte, p.size+1)
	switch n, err := io.ReadFull(f, data); {
	case int64(n) == p.size:
		return nil
	case err == nil:
		rest, err := io.ReadAll(io.LimitReader(f, s.room))
		if err != nil {
			return err
		}
		p.data = append(data, rest...) //nolint:gocritic // what is left goes behind a copy
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		p.data = data[:n]
	default:
		return err
	}
	p.size = int64(len(p.data))
	if s.room -= p.size; s.room <= 0 {
		return errEndless
	}
	return nil
}

// unreadable names to the sender, and to nobody else, what is in the way.
func (s *source) unreadable(name string, err error) error {
	if name == "." {
		return err
	}
	return fmt.Errorf("%s cannot be read: %w", filepath.Join(s.path, name), disk.WithoutPath(err))
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
		from, err := r.content(p, min(skip, p.size))
		if err != nil {
			return err
		}
		pieces, skip = append(pieces, from), max(0, skip-p.size)
	}
	r.piece = io.MultiReader(append(pieces, bytes.NewReader(trailer[:p.padding()-skip]))...)
	return nil
}

// content reads the file p from offset on.
func (r *sourceReader) content(p part, offset int64) (io.Reader, error) {
	if p.data != nil {
		return bytes.NewReader(p.data[offset:]), nil
	}
	if r.s.root != nil {
		return r.s.mended(r, p, offset)
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

// check compares the file with what was offered.
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

// because names the part, in a folder.
func (p part) because(err error) error {
	if p.name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p.name, err)
}
