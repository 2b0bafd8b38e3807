package reliable

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"p2pchat/chat/disk"
)

// A Journal is a file with what a Stream needs to go on after its program was killed: what the other side has not
// acknowledged, and how much of the other side's the reader has handled. The layers above keep their own in it:
// see Memory.
//
// Each line is a JSON object, which changes what the lines before it come to. A line that a killed program was about
// to write is missing; the file system decides how many are if the machine crashes.
type Journal struct {
	path   string
	memory Memory
	state  state // when it was opened

	mu   sync.Mutex // guards what follows
	file *os.File
	size int64 // of the file
	live int64 // of it when it was compacted
	torn bool  // it may end with half a line
	now  state // what its lines come to
}

// A Memory is what the layers above a Stream keep in its Journal. Its methods are called one at a time.
type Memory interface {
	// Apply makes the change that a line says. It returns false if the line makes no sense.
	Apply(line []byte) bool
	// Lines returns the fewest lines that come to the same.
	Lines() []any
	// Said is told, besides the lines, of each frame that is queued in the conversation id. It returns false if
	// the frame makes no sense.
	Said(id string, f Frame) bool
	// Restarted is told when the other side's program has begun from nothing.
	Restarted()
}

// A state is what the lines about a Stream come to.
type state struct {
	id    string // of this side's conversation
	out   outbox
	peer  string  // the other side's conversation
	heard uint64  // its last frame that the reader has handled
	past  []Place // up to where the reader has handled earlier conversations of the other side, the newest last
}

const maxPast = 8 // conversations

// turn returns past once current is the other side's conversation, and no longer the one that was handled up to last.
func turn(past []Place, last Place, current string) []Place {
	past = slices.DeleteFunc(append(slices.Clip(past), last), func(p Place) bool { return p.Of == current || p.Of == "" })
	return past[max(0, len(past)-maxPast):]
}

// An entry is a line about a Stream: each has one of these.
type entry struct {
	ID    string `json:"conversation,omitempty"`
	Peer  string `json:"peer,omitempty"` // with what was heard of it
	Heard uint64 `json:"heard,omitempty"`
	Said  *said  `json:"said,omitempty"`
	Acked uint64 `json:"acked,omitempty"`
}

type said struct {
	Seq  uint64 `json:"seq"`
	Kind Kind   `json:"kind"`
	Text string `json:"text,omitempty"`
	At   int64  `json:"at,omitempty"` // Unix time in seconds; older programs note none
}

// Errors returned by OpenJournal.
var (
	ErrInUse   = disk.ErrLocked
	ErrDamaged = errors.New("it is not an outbox, or it is damaged")
	ErrOpen    = errors.New("others on this machine could read it: its mode must be 0600")
)

const (
	maxLine      = 512 << 10 // bytes: a frame of 64 KiB in JSON, at most
	journalSpare = 1 << 20   // bytes that it grows by, beyond double, before it is compacted
)

// OpenJournal opens the file at path, or makes it with mode 0600, and applies its lines to memory. It follows a
// symbolic link, which stays when the file is replaced or removed. It returns ErrInUse, ErrDamaged, ErrOpen, or the
// file system's error.
func OpenJournal(path string, memory Memory) (*Journal, error) {
	for {
		file, err := disk.Open(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, disk.WithoutPath(err))
		}
		target, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) { // another program has removed it
			file.Close()
			continue
		}
		if err != nil {
			file.Close()
			return nil, err
		}
		j := &Journal{path: target, file: file, memory: memory}
		err = disk.Lock(file)
		if err == nil && !j.isThere() {
			file.Close() // another program has replaced or removed it
			continue
		}
		if err == nil {
			disk.Sweep(target) // what it removes has messages in it
			err = j.load()
		}
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("%s: %w", path, disk.WithoutPath(err)) // not the path of a temporary file
		}
		return j, nil
	}
}

// isThere reports whether the file is the one at the path.
func (j *Journal) isThere() bool {
	this, err := j.file.Stat()
	if err != nil {
		return false
	}
	that, err := os.Stat(j.path)
	return err == nil && os.SameFile(this, that)
}

// PeekJournal returns how many frames of a kind in the Journal at path are not acknowledged. It needs no lock: the last line may be half
// of one. It returns ErrDamaged, ErrOpen or the file system's error.
func PeekJournal(path string, memory Memory, k Kind) (int, error) {
	file, err := os.Open(path) //nolint:gosec // the caller's
	if err != nil {
		return 0, err
	}
	defer file.Close()
	j := &Journal{path: path, file: file, memory: memory}
	err = j.replay()
	return j.now.out.count(k), err
}

// load reads the file, and makes it as short as it can be.
func (j *Journal) load() error {
	if err := j.replay(); err != nil {
		return err
	}
	if j.now.id == "" {
		j.now.id = rand.Text()
	}
	j.state = j.now.clone()
	return j.compact()
}

// replay applies the lines of the file.
func (j *Journal) replay() error {
	info, err := j.file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return ErrDamaged
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return ErrOpen
	}
	r := bufio.NewReaderSize(j.file, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) { // the last line may be half of one
			break
		}
		var e entry
		switch {
		case err != nil, json.Unmarshal(line, &e) != nil:
			return ErrDamaged
		case e != (entry{}):
			if !j.apply(e) {
				return ErrDamaged
			}
		case j.now.id == "", !j.memory.Apply(line):
			return ErrDamaged
		}
	}
	return nil
}

// apply makes the change. It returns false if the entry makes no sense.
func (j *Journal) apply(e entry) bool {
	s := &j.now
	switch {
	case e.ID != "":
		s.id = e.ID
	case s.id == "":
		return false
	case e.Peer != "":
		if e.Peer != s.peer {
			s.past = turn(s.past, Place{s.peer, s.heard}, e.Peer)
		}
		s.peer, s.heard = e.Peer, e.Heard
		j.memory.Restarted()
	case e.Heard != 0:
		s.heard = e.Heard
	case e.Said != nil:
		if e.Said.Seq != s.out.last+1 {
			return false
		}
		s.out.put(e.Said.Kind, e.Said.Text, e.Said.At)
		return j.memory.Said(s.id, Frame{Kind: e.Said.Kind, Seq: e.Said.Seq, Text: e.Said.Text})
	case e.Acked != 0:
		if s.out.last == 0 {
			s.out.last = e.Acked
		}
		_, ok := s.out.ack(e.Acked)
		return ok
	}
	return true
}

// clone returns a state that can change without s.
func (s state) clone() state {
	s.out.frames = slices.Clone(s.out.frames)
	return s
}

// lines returns the fewest that come to what is now.
func (j *Journal) lines() (list []any) {
	s := j.now
	list = append(list, entry{ID: s.id})
	for _, p := range s.past {
		list = append(list, entry{Peer: p.Of, Heard: p.Seq})
	}
	for _, e := range []entry{{Peer: s.peer, Heard: s.heard}, {Acked: s.out.first() - 1}} {
		if e != (entry{}) {
			list = append(list, e)
		}
	}
	list = append(list, j.memory.Lines()...) // before the frames, which may say more of the same
	for _, f := range s.out.frames {
		list = append(list, entry{Said: &said{f.Seq, f.Kind, f.Text, f.At}})
	}
	return list
}

// compact replaces the file by the fewest lines.
func (j *Journal) compact() error {
	var b bytes.Buffer
	for _, l := range j.lines() {
		line, err := json.Marshal(l)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	file, err := disk.Replace(j.file, j.path, b.Bytes())
	if j.file = file; err != nil {
		return err
	}
	j.size, j.live, j.torn = int64(b.Len()), int64(b.Len()), false
	return nil
}

// note writes an entry about the Stream: see Note.
func (j *Journal) note(e entry, harmless bool) error {
	return j.write(e, harmless, func([]byte) { j.apply(e) })
}

// Note writes a line of the layers above, and applies it to the Memory. If it fails, what the line says must not
// happen; unless it is harmless to lose it: then only the file lacks it, until a later line compacts it.
func (j *Journal) Note(line any, harmless bool) error {
	return j.write(line, harmless, func(line []byte) { j.memory.Apply(line) })
}

func (j *Journal) write(content any, harmless bool, apply func(line []byte)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, err := json.Marshal(content)
	if err != nil {
		return err
	}
	if j.torn || j.size > 2*j.live+journalSpare {
		err = j.compact()
	}
	if err == nil {
		var n int
		n, err = j.file.Write(append(line, '\n'))
		j.size += int64(n)
		j.torn = err != nil
	}
	if err == nil || harmless {
		apply(line)
	}
	return err
}

// Sync makes what was noted survive a crash of the machine. Notes need not wait for it.
func (j *Journal) Sync() error {
	j.mu.Lock()
	file := j.file
	j.mu.Unlock()
	err := file.Sync()
	if errors.Is(err, fs.ErrClosed) && j.replaced(file) { // what replaced it was synced
		return nil
	}
	return err
}

func (j *Journal) replaced(file *os.File) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file != file
}

// Peer returns the other side's conversation; it is empty before the first Hello.
func (j *Journal) Peer() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.now.peer
}

// Path returns where the file is, with symbolic links followed.
func (j *Journal) Path() string { return j.path }

// Count returns how many frames of a kind were not acknowledged when it was opened.
func (j *Journal) Count(k Kind) int { return j.state.out.count(k) }

// End closes the file, and removes it unless it is to be kept. Call it when the Stream is no longer used.
func (j *Journal) End(keep bool) error {
	if keep {
		return errors.Join(j.file.Sync(), j.file.Close())
	}
	if runtime.GOOS == "windows" { // which removes no open file
		j.file.Close()
	}
	defer j.file.Close()
	return os.Remove(j.path)
}
