package chat

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"p2pchat/chat/internal/disk"
	"p2pchat/chat/transfer"
)

// A Journal is a file with what a conversation needs to go on after its program was
// killed: what it said and nobody acknowledged, how much of the other side's was shown, and
// which files of either side have not ended.
//
// Each line is a JSON object, an entry. What a killed program was about to write is
// missing; the file system decides how much is when the whole machine goes down.
type Journal struct {
	path  string
	file  *os.File
	size  int64  // of the file
	live  int64  // of it when it was written anew
	torn  bool   // it may end with half a line
	stale bool   // the reader knows that it could not be written; guarded by the Conversation's mu
	found record // when it was opened
	now   record // what its entries come to
}

// A record is what the entries come to.
type record struct {
	id        string // of this side's conversation
	out       outbox
	finished  bool   // this side's input has ended
	peer      string // the other side's conversation
	heard     uint64 // its last seq that the reader is done with
	quiet     bool   // its input has ended
	again     string // see Again
	confirmed bool
	files     map[transfer.Ref]transfer.Record
}

// An entry is one change of the record: each has one of these.
type entry struct {
	ID        string `json:"conversation,omitempty"`
	Peer      string `json:"peer,omitempty"` // with what was heard of it
	Heard     uint64 `json:"heard,omitempty"`
	Quiet     bool   `json:"quiet,omitempty"`
	Said      *said  `json:"said,omitempty"`
	Acked     uint64 `json:"acked,omitempty"`
	Finished  bool   `json:"finished,omitempty"`
	Again     string `json:"again,omitempty"`
	Confirmed bool   `json:"confirmed,omitempty"`

	File  *transfer.Record `json:"file,omitempty"`
	Ended *transfer.Ref    `json:"ended,omitempty"`
}

type said struct {
	Seq  uint64 `json:"seq"`
	Kind kind   `json:"kind"`
	Text string `json:"text,omitempty"`
}

// What a Journal's file can be.
var (
	ErrJournalInUse   = disk.ErrLocked
	ErrJournalDamaged = errors.New("it is not an outbox, or it is damaged")
	ErrJournalOpen    = errors.New("others on this machine could read it: its mode must be 0600")
)

const (
	journalLine  = 8 * MaxMessage // a message in JSON, at most
	journalSpare = 1 << 20        // grows by so much, and as much as it had, before it is written anew
)

// OpenJournal opens the file, or makes it with mode 0600. It follows a symbolic link, which stays
// when the file is replaced or removed. The error is ErrJournalInUse, ErrJournalDamaged,
// ErrJournalOpen or the file system's.
func OpenJournal(path string) (*Journal, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // the person named it
		if err != nil {
			return nil, err
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
		j := &Journal{path: target, file: file, found: record{files: map[transfer.Ref]transfer.Record{}}}
		err = disk.Lock(file)
		if err == nil && !j.isThere() {
			file.Close() // another program has put a new one in its place, or removed it
			continue
		}
		if err == nil {
			err = j.load()
		}
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return j, nil
	}
}

// isThere tells whether the file is the one that has the path.
func (j *Journal) isThere() bool {
	this, err := j.file.Stat()
	if err != nil {
		return false
	}
	that, err := os.Stat(j.path)
	return err == nil && os.SameFile(this, that)
}

func (j *Journal) load() error {
	info, err := j.file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return ErrJournalDamaged
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return ErrJournalOpen
	}
	r := bufio.NewReaderSize(j.file, journalLine)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) { // the last line may be half of one
			break
		}
		var e entry
		if err != nil || json.Unmarshal(line, &e) != nil || !j.found.apply(e) {
			return ErrJournalDamaged
		}
	}
	if j.found.id == "" {
		j.found.id = rand.Text()
	}
	j.now = j.found.clone()
	return j.rewrite()
}

// apply makes the change; false says that it cannot be.
func (r *record) apply(e entry) bool {
	switch {
	case e.ID != "":
		r.id = e.ID
	case r.id == "":
		return false
	case e.Peer != "":
		r.peer, r.heard, r.quiet = e.Peer, e.Heard, false
	case e.Heard != 0:
		r.heard = e.Heard
	case e.Quiet:
		r.quiet = true
	case e.Said != nil:
		if e.Said.Seq != r.out.last+1 {
			return false
		}
		r.out.put(e.Said.Kind, e.Said.Text)
		r.finished = r.finished || e.Said.Kind == kindEnd
		return transfer.Follow(r.files, r.id, e.Said.Seq, transfer.Kind(e.Said.Kind), e.Said.Text)
	case e.Acked != 0:
		if r.out.last == 0 {
			r.out.last = e.Acked
		}
		_, ok := r.out.ack(e.Acked)
		return ok
	case e.Finished:
		r.finished = true
	case e.Again != "":
		r.again, r.confirmed = e.Again, e.Confirmed
	case e.File != nil:
		r.files[e.File.Ref] = *e.File
	case e.Ended != nil:
		delete(r.files, *e.Ended)
	}
	return true
}

// entries are the fewest that come to the record.
func (r *record) entries() (list []entry) {
	list = append(list, entry{ID: r.id})
	for _, e := range []entry{
		{Peer: r.peer, Heard: r.heard}, {Quiet: r.quiet}, {Acked: r.out.first() - 1}, {Finished: r.finished}, {Again: r.again, Confirmed: r.confirmed},
	} {
		if e != (entry{}) {
			list = append(list, e)
		}
	}
	for _, f := range r.files { // before what was said, which may have ended one
		list = append(list, entry{File: &f})
	}
	for _, f := range r.out.frames {
		list = append(list, entry{Said: &said{f.seq, f.kind, f.text}})
	}
	return list
}

// rewrite puts the fewest entries in the place of all.
func (j *Journal) rewrite() error {
	var b bytes.Buffer
	for _, e := range j.now.entries() {
		line, err := json.Marshal(e)
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

// note writes an entry. If that fails, a later entry writes all again. The error means that what the entry
// says must not happen, unless it does no harm to lose it: then may is true, and only the file lacks it.
func (j *Journal) note(e entry, may bool) error {
	if j.torn || j.size > 2*j.live+journalSpare {
		if err := j.rewrite(); err != nil {
			if may {
				j.now.apply(e)
			}
			return err
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := j.file.Write(append(line, '\n'))
	j.size += int64(n)
	j.torn = err != nil
	if err == nil || may {
		j.now.apply(e)
	}
	return err
}

// clone returns a record that can change without r.
func (r record) clone() record {
	r.files = maps.Clone(r.files)
	r.out.frames = slices.Clone(r.out.frames)
	return r
}

// Again is what Conversation.Keep and Link.Again said last; it is empty for a new
// conversation. Confirmed says that the other side was heard on that Link.
func (j *Journal) Again() (again string, confirmed bool) { return j.found.again, j.found.confirmed }

// Waiting is how many messages nobody had acknowledged when it was opened.
func (j *Journal) Waiting() int { return j.found.out.messages() }

// End lets go of the file, and removes it unless it is to be kept. Call it when nobody
// uses the Conversation any more.
func (j *Journal) End(kept bool) error {
	if kept {
		return errors.Join(j.file.Sync(), j.file.Close())
	}
	if runtime.GOOS == "windows" { // which removes nothing that is open
		j.file.Close()
	}
	defer j.file.Close()
	return os.Remove(j.path)
}
