// Package reliable numbers frames, so that each is handed over exactly once over one pipe after another. It
// knows what has to be written to a pipe, and what to make of what comes from one; it reads and writes none.
//
//	Put ─▶ outbox ─▶ Next ──── frame ───▶ Receive ─▶ Took ─▶ (reader) ─▶ Handled
//	Acked ◀──────────────────── ack ◀──── NextAck ◀─────────────────────────┘
//
// A frame stays in the outbox until the other side acknowledges that its reader has handled it. On a new pipe, both
// sides begin with a Hello, which says what they have, and begin to send the rest again. With a Journal, that outlasts
// the program: it goes on as if only the pipe had broken.
package reliable

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// A Kind says what a frame is for. It means nothing to a Stream; no Kind is 0.
type Kind byte

// A Frame is numbered: Seq counts the frames of one side, from 1.
type Frame struct {
	Kind Kind
	Seq  uint64
	Text string
	At   int64 // when it was queued, as Unix time in seconds; 0 if the Journal does not say. It is not sent
}

// A Hello says where the two sides go on after a lost pipe.
type Hello struct {
	Conversation string // random; the program of another one has begun from nothing
	First        uint64 // the lowest number that this side may still send
	Heard        uint64 // the last number of the other side that this side's reader has handled,
	Of           string // counted in that conversation of the other side
}

// A Place is where a frame of the other side stood.
type Place struct {
	Of  string // its conversation: it counts from 1 again when its program begins from nothing
	Seq uint64
}

// A Stream is one side. Its methods may be called from any goroutine.
type Stream struct {
	id      string
	journal *Journal    // may be nil
	noted   func(error) // is told how keeping went where a loss does no harm

	// order is held while the Journal is written, so that its entries have the order of what they say. Next
	// and NextAck do not wait for it: nothing that goes out waits for a disk.
	order sync.Mutex

	mu      sync.Mutex // guards what follows
	out     outbox
	room    chan struct{} // closed when the outbox may have room again; nil while nothing waits
	peer    string        // the other side's conversation
	took    uint64        // its last frame that was handed to the reader
	handled uint64        // its last frame that the reader is done with
	acked   uint64        // its last frame that was acknowledged
	greeted bool          // the other side's Hello has come over the current pipe
	past    []Place       // up to where the reader has handled its conversations before, see turn
}

// New returns a Stream that goes on with what journal holds, or from nothing if it is nil. It calls noted, which must
// not call it back, with the result of each entry whose loss only means that something comes twice after a crash.
func New(journal *Journal, noted func(error)) *Stream {
	s := &Stream{id: rand.Text(), journal: journal, noted: noted}
	if journal != nil {
		r := journal.state.clone()
		s.id, s.out, s.peer, s.past = r.id, r.out, r.peer, r.past
		s.took, s.handled, s.acked = r.heard, r.heard, r.heard
	}
	return s
}

// ID returns this side's conversation.
func (s *Stream) ID() string { return s.id }

// Peer returns the other side's conversation; it is empty before the first Hello.
func (s *Stream) Peer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// Put queues a frame, and returns its number. It does not mind a full outbox: see Room. The error is the Journal's:
// then nothing was queued.
func (s *Stream) Put(k Kind, text string) (seq uint64, err error) {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	seq = s.out.last + 1 // only Put changes it
	s.mu.Unlock()
	now := time.Now().Unix()
	if s.journal != nil {
		if err := s.journal.note(entry{Said: &said{seq, k, text, now}}, false); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.put(k, text, now), nil
}

// Room returns nil if the outbox has room, or a channel that is closed when it may have.
func (s *Stream) Room() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.out.full() {
		return nil
	}
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

// Hello returns what this side says first on a new pipe, and begins to send again. It has to be called before anything
// comes from that pipe.
func (s *Stream) Hello() Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.sent = 0
	s.acked = s.handled
	s.greeted = false
	return Hello{Conversation: s.id, First: s.out.first(), Of: s.peer, Heard: s.handled}
}

// Greet takes the other side's Hello. It returns fresh if the other side's program is not the one before; the new one
// has heard this side's frames up to heard, and will not hear those again. What h acknowledges is left to Acked.
func (s *Stream) Greet(h Hello) (fresh bool, heard uint64) {
	s.order.Lock()
	defer s.order.Unlock()
	before := max(h.First, 1) - 1
	s.mu.Lock()
	fresh, heard = h.Conversation != s.peer, s.out.first()-1
	read := max(before, s.readBefore(h.Conversation))
	s.greeted = s.greeted || !fresh
	s.mu.Unlock()
	if h.Of == s.id {
		heard = max(heard, h.Heard)
	}
	if !fresh {
		return false, heard
	}
	s.note(entry{Peer: h.Conversation, Heard: read})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past = turn(s.past, Place{s.peer, s.handled}, h.Conversation)
	s.peer, s.took, s.handled, s.acked, s.greeted = h.Conversation, read, read, before, true
	return true, heard
}

// readBefore returns, under mu, the last frame of an earlier conversation of the other side that the reader has handled.
func (s *Stream) readBefore(conversation string) uint64 {
	for _, p := range s.past {
		if p.Of == conversation {
			return p.Seq
		}
	}
	return 0
}

// HasRead reports whether the reader has handled an earlier conversation of the other side, up to seq.
func (s *Stream) HasRead(conversation string, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := slices.ContainsFunc(s.past, func(p Place) bool { return p.Of == conversation })
	return known && seq <= s.readBefore(conversation)
}

// HasTaken reports whether the reader was given a conversation of the other side, up to seq.
func (s *Stream) HasTaken(conversation string, seq uint64) bool {
	s.mu.Lock()
	current, took := s.peer, s.took
	s.mu.Unlock()
	return conversation == current && seq <= took || s.HasRead(conversation, seq)
}

// Next returns the next frame to go out, if there is one and it has at most limit bytes of text.
func (s *Stream) Next(limit int) (Frame, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.next(limit)
}

// NextAck returns the acknowledgement to go out, if there is one. Before the other side's Hello there is none: its program may have
// begun from nothing, and would take an acknowledgement of the earlier one's frames for one of its own.
func (s *Stream) NextAck() (seq uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok = s.greeted && s.handled > s.acked; ok {
		s.acked = s.handled
	}
	return s.acked, ok
}

// Acked drops from the outbox what the other side has acknowledged, up to seq, and returns it without its texts. It
// returns false for a number that was never used.
func (s *Stream) Acked(seq uint64) (frames []Frame, ok bool) {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	news := seq >= s.out.first() && seq <= s.out.last
	s.mu.Unlock()
	if news {
		s.note(entry{Acked: seq})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	frames, ok = s.out.ack(seq)
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	return frames, ok
}

// Letter returns what a message beside the pipes would say: the Hello of now, and the frames after the number after that are not
// acknowledged. It changes nothing.
func (s *Stream) Letter(after uint64) (Hello, []Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.out.first()
	skip := min(max(after+1, first)-first, uint64(len(s.out.frames)))
	return Hello{Conversation: s.id, First: first, Of: s.peer, Heard: s.handled}, slices.Clone(s.out.frames[skip:])
}

// Replace makes another frame of each of a kind that is not acknowledged, with the same number. The Journal keeps it as it was. Call it before
// the first Hello.
func (s *Stream) Replace(k, by Kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.replace(k, by, text)
}

// Settled reports whether the reader is done with all that it was given.
func (s *Stream) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handled == s.took
}

// A Verdict says what to make of a frame of the other side.
type Verdict int

// What Receive returns.
const (
	Fresh Verdict = iota // it is the next one
	Known                // it came before, on another pipe
	Gap                  // one before it is missing
)

// Receive tells whether a frame of the other side is the next one, and where it stands. Call Took once it is in the
// hands of the reader.
func (s *Stream) Receive(seq uint64) (Place, Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := Place{Of: s.peer, Seq: seq}
	switch {
	case seq == s.took+1:
		return at, Fresh
	case seq > s.took:
		return at, Gap
	}
	return at, Known
}

// Took notes that the reader will handle the frame at that place.
func (s *Stream) Took(at Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.Of == s.peer {
		s.took = at.Seq
	}
}

// Handled notes that the reader is done with the frame at that place, and all before it. It returns false for what
// the program before the other side's current one has sent. If line is not nil, the Journal keeps it, too: see Note.
func (s *Stream) Handled(at Place, line any) bool {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	current, news := at.Of == s.peer, at.Seq > s.handled
	s.mu.Unlock()
	if !current {
		return false
	}
	if news {
		s.note(entry{Heard: at.Seq})
	}
	if line != nil && s.journal != nil {
		s.noted(s.journal.Note(line, true))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled = max(s.handled, at.Seq)
	return true
}

// A Status is where a Stream is.
type Status struct {
	Full      bool   // the outbox has no room
	Left      int    // frames that are not acknowledged
	Confirmed uint64 // the last frame that is
	Out       uint64 // the last frame that has gone out on the current pipe
	Next      Kind   // of what Next would return, or 0
	LastAck   uint64 // the last acknowledgement that went out
}

// Status returns where the Stream is.
func (s *Stream) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	confirmed := s.out.first() - 1
	return Status{
		Full: s.out.full(), Left: len(s.out.frames), Next: s.out.nextKind(), LastAck: s.acked,
		Confirmed: confirmed, Out: confirmed + uint64(s.out.sent), //nolint:gosec // at most len(s.out.frames)
	}
}

// Count returns how many frames of a kind are not acknowledged.
func (s *Stream) Count(k Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.count(k)
}

// note keeps an entry whose loss does no harm.
func (s *Stream) note(e entry) {
	if s.journal != nil {
		s.noted(s.journal.note(e, true))
	}
}
