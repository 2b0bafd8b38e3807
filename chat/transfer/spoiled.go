package transfer

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// A folder is offered with the size of its stream, so a file in it that has changed since cannot be left out of the
// stream. What cannot be read of it is filled with zeros, and the end of the stream tells the receiver to remove it.
// A file that has grown, as a log does, is sent as far as it was offered.

// A leftOut tells the receiver of a file in a folder that has changed since it was offered.
type leftOut struct {
	Name string `json:"name"` // in the folder
	Why  string `json:"why"`
	Kept bool   `json:"kept,omitempty"` // as much of it as was offered has arrived
}

const (
	maxInMemory = 16 << 20 // bytes of files that are read when they are offered
	maxLeftOut  = 32 << 10 // bytes of JSON that tell of spoiled files
)

var (
	errEndless = errors.New("it says that it is empty, and has more than 16 MB: copy it to a file first")
	errSpoiled = errors.New("too many files in it were changed while it was being sent")
)

// mended reads p from offset on. It reads as many bytes as were offered, whatever happens to the file.
func (s *source) mended(r *sourceReader, p part, offset int64) io.Reader {
	m := &mended{s: s, part: p, at: offset}
	s.mu.Lock()
	was, spoiled := s.spoiled[p.at]
	s.mu.Unlock()
	if spoiled && !was.Kept {
		m.zeros = true
		return m
	}
	b, err := s.body(p, offset)
	if err != nil {
		m.spoil(err)
		return m
	}
	r.body, m.from = b, b
	return m
}

// A mended is a file in a folder, always as long as it was offered.
type mended struct {
	part
	s     *source
	from  *body
	at    int64
	zeros bool
}

func (m *mended) Read(b []byte) (int, error) {
	b = b[:min(int64(len(b)), m.size-m.at)]
	if !m.zeros {
		n, err := m.from.Read(b)
		m.at += int64(n)
		switch {
		case err == nil, n > 0: // the next Read returns the error again
			return n, nil
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case errors.Is(err, errLonger):
			m.s.note(m.part, leftOut{m.name, fmt.Sprintf("it grew while it was being sent: its first %d bytes have arrived", m.size), true})
			return 0, io.EOF
		}
		m.spoil(err)
	}
	if m.at == m.size {
		return 0, io.EOF
	}
	clear(b)
	m.at += int64(len(b))
	return len(b), nil
}

// spoil notes that the receiver has to remove the file, and fills the rest with zeros.
func (m *mended) spoil(why error) {
	m.zeros = true
	m.s.note(m.part, leftOut{Name: m.name, Why: why.Error()})
}

func (s *source) note(p part, what leftOut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.spoiled[p.at]; !ok || was.Kept {
		s.spoiled[p.at] = what
	}
}

// leftOuts returns the spoiled files, in their order.
func (s *source) leftOuts() (all []leftOut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if what, ok := s.spoiled[p.at]; ok && p.name != "" {
			all = append(all, what)
		}
	}
	return all
}

// missing returns how many of the files have not arrived.
func missing(all []leftOut) (n int) {
	for _, l := range all {
		if !l.Kept {
			n++
		}
	}
	return n
}

// hasDate reports whether every file system can store the time.
func hasDate(t time.Time) bool { return t.Year() > 1900 && t.Year() < 2200 }
