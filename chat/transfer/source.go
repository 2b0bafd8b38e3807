package transfer

import (
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
	"strings"
	"sync"
	"time"

	"p2pchat/chat/disk"
)

// A source is a file or folder of this side: a stream that can be read from any offset. A file's is
// the same each time, or fails; of a folder, files that have changed since become zeros. A folder's is a tar stream, of which only the list of its parts is kept in memory.
type source struct {
	Offer
	root    *os.Root // of the folder; nil for a file
	path    string   // of the file
	parts   []part
	stamp   string // of all parts: it changes when one of them does
	leftOut int    // symbolic links, devices and the like
	room    int64  // bytes left for what is kept in memory

	mu      sync.Mutex        // guards what follows
	spoiled map[int64]leftOut // by the offset of the part
}

// A part is a file or folder of a source, with the header before it; or the trailer of a tar stream.
type part struct {
	at   int64  // where it begins in the stream
	name string // in the folder; empty for a file that is sent alone, and for the trailer
	mode fs.FileMode
	size int64
	time time.Time // of the last change
	data []byte    // of a file that does not say its size, as in /proc; else nil
}

// maxParts limits the list of what is in a folder.
const maxParts = 200_000

const tarBlock = 512

var trailer = make([]byte, 2*tarBlock)

// Reasons why a source cannot be sent; both sides read them.
var (
	errVanished = errors.New("it is no longer there")
	errShorter  = errors.New("it became shorter after it was offered; send it again")
	errLonger   = errors.New("it became longer after it was offered; send it again")
	errChanged  = errors.New("it was changed after it was offered; send it again")
)

// newSources looks at all paths, and returns an error that names the first one that cannot be sent.
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

// newSource looks at the file or folder at path. It keeps a folder open.
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
		return nil, errors.Unwrap(err) // without the path, which the caller adds
	}
	s := &source{path: whole, room: maxInMemory, spoiled: map[int64]leftOut{}, Offer: Offer{
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

// walk lists what is in the folder, ordered by name.
func (s *source) walk(ctx context.Context) (err error) {
	if s.root, err = os.OpenRoot(s.path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	s.Size, s.Content = 0, Content{Known: true}
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
		s.Content.Bytes += p.size
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

// mark sets the stamp.
func (s *source) mark() {
	h := sha256.New()
	for _, p := range s.parts {
		fmt.Fprintf(h, "%q %v %d %d\n", p.name, p.mode, p.size, p.time.UnixNano())
	}
	s.stamp = hex.EncodeToString(h.Sum(nil))
}

// try opens a file, so that an unreadable one is refused before anything is offered. It reads a file
// that does not say its size, as in /proc and /sys, at once.
func (s *source) try(p *part, open func(string) (*os.File, error)) error {
	f, err := open(cmp.Or(p.name, s.path))
	if err != nil {
		return err
	}
	defer f.Close()
	if p.size != 0 && p.size != 4096 { // files in /proc say 0, those in /sys 4096
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

// unreadable returns an error with the path, which only this side reads.
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

// notSent returns the notice that n links or special files of a folder are not sent.
func notSent(folder string, n int) string {
	if n == 1 {
		return fmt.Sprintf("1 link or special file in %q is left out.", folder)
	}
	return fmt.Sprintf("%d links or special files in %q are left out.", n, folder)
}
