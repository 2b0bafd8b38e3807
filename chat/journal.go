package chat

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"

	"p2pchat/chat/reliable"
	"p2pchat/chat/transfer"
)

// A Journal is a file with what a conversation needs to go on after its program was killed: what it said and the
// other side has not acknowledged, how much of the other side's was shown, and which files of either side have not
// ended.
type Journal struct {
	file   *reliable.Journal
	memory *memory

	// when it was opened:
	resumption string
	confirmed  bool
	peer       string
	own        string
	begun      int // files that had not ended

	mu    sync.Mutex // guards what follows
	stale bool       // the reader knows that it could not be written
}

// Errors returned by OpenJournal.
var (
	ErrJournalInUse   = reliable.ErrInUse
	ErrJournalDamaged = reliable.ErrDamaged
	ErrJournalOpen    = reliable.ErrOpen
)

// OpenJournal opens the file, or makes it with mode 0600. It follows a symbolic link, which stays when the file is
// replaced or removed. It returns ErrJournalInUse, ErrJournalDamaged, ErrJournalOpen or the file system's error.
func OpenJournal(path string) (*Journal, error) {
	m := &memory{files: map[transfer.Ref]transfer.Record{}}
	file, err := reliable.OpenJournal(path, m)
	if err != nil {
		return nil, err
	}
	return &Journal{file: file, memory: m, resumption: m.Resumption, confirmed: m.Confirmed, peer: m.Name, own: m.Own, begun: len(m.files)}, nil
}

// PeekJournal returns how many messages in the Journal at path were not acknowledged, and its Resumption. It changes nothing, and the
// Journal may be in use. It returns ErrJournalDamaged, ErrJournalOpen or the file system's error.
func PeekJournal(path string) (waiting int, resumption string, err error) {
	m := &memory{files: map[transfer.Ref]transfer.Record{}}
	waiting, err = reliable.PeekJournal(path, m, kindMessage)
	return waiting, m.Resumption, err
}

// Resumption returns what Conversation.Keep and Link.Resumption said last; it is empty for a new
// conversation. Confirmed says that the other side was heard on that Link.
func (j *Journal) Resumption() (resumption string, confirmed bool) { return j.resumption, j.confirmed }

// Peer returns the name that the other side gave itself; it is empty if the two have never met.
func (j *Journal) Peer() string { return j.peer }

// PeerConversation returns the ID of the other side's conversation: two Journals have the same if the same program of the other side held
// both. It is empty if the two have never met.
func (j *Journal) PeerConversation() string { return j.file.Peer() }

// Own returns the name that this side had last; it is empty for a new conversation.
func (j *Journal) Own() string { return j.own }

// Waiting returns how many messages the other side had not acknowledged when it was opened.
func (j *Journal) Waiting() int { return j.file.Count(kindMessage) }

// Files returns how many files of either side had not ended when it was opened.
func (j *Journal) Files() int { return j.begun }

// End closes the file, and removes it unless it is to be kept. Call it when the Conversation is no longer used.
func (j *Journal) End(kept bool) error { return j.file.End(kept) }

// RemoveKept removes what has arrived of files that have not ended, because no later run goes on with them. The error names what is left.
// Call it before End.
func (j *Journal) RemoveKept() error {
	var left []error
	for _, r := range j.memory.records() {
		left = append(left, r.RemoveKept())
	}
	return errors.Join(left...)
}

// A memory is what a conversation keeps in its Journal besides the frames.
type memory struct {
	entry
	files map[transfer.Ref]transfer.Record // that have not ended
}

// An entry is a line of the Journal: each has one of these.
type entry struct {
	Quiet      bool   `json:"quiet,omitempty"`    // the other side's input has ended
	Speaks     bool   `json:"speaks,omitempty"`   // the other side has input again
	Finished   bool   `json:"finished,omitempty"` // this side's has
	Resumption string `json:"again,omitempty"`    // see Journal.Resumption
	Confirmed  bool   `json:"confirmed,omitempty"`
	Name       string `json:"name,omitempty"` // the other side's
	Own        string `json:"own,omitempty"`  // this side's

	File  *transfer.Record `json:"file,omitempty"`
	Ended *transfer.Ref    `json:"ended,omitempty"`
}

// Apply makes the change that a line says.
func (m *memory) Apply(line []byte) bool {
	var e entry
	if json.Unmarshal(line, &e) != nil {
		return false
	}
	switch {
	case e.Quiet:
		m.Quiet = true
	case e.Speaks:
		m.Quiet = false
	case e.Finished:
		m.Finished = true
	case e.Resumption != "":
		m.Resumption, m.Confirmed = e.Resumption, e.Confirmed
	case e.Name != "":
		m.Name = e.Name
	case e.Own != "":
		m.Own = e.Own
	case e.File != nil:
		m.files[e.File.Ref] = *e.File
	case e.Ended != nil:
		delete(m.files, *e.Ended)
	}
	return true
}

// Lines returns the fewest that come to the same.
func (m *memory) Lines() (list []any) {
	for _, e := range []entry{{Quiet: m.Quiet}, {Finished: m.Finished}, {Resumption: m.Resumption, Confirmed: m.Confirmed}, {Name: m.Name}, {Own: m.Own}} {
		if e != (entry{}) {
			list = append(list, e)
		}
	}
	for _, f := range m.files {
		list = append(list, entry{File: &f})
	}
	return list
}

// Said notes what a frame of this side changes.
func (m *memory) Said(id string, f reliable.Frame) bool {
	m.Finished = m.Finished || f.Kind == kindEnd
	return transfer.Follow(m.files, id, f.Seq, transfer.Kind(f.Kind), f.Text)
}

// Restarted notes that the other side's program has begun from nothing.
func (m *memory) Restarted() { m.Quiet = false }

// records returns the files that have not ended.
func (m *memory) records() []transfer.Record { return slices.Collect(maps.Values(m.files)) }
