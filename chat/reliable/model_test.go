package reliable

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Two sides write, read, and lose their pipe, with what was on its way; each is killed, and started again with its journal
// or without. Whatever the order: a reader gets every frame once, in order, and none counts as delivered before it was read.
func TestModel(t *testing.T) { checkModel(t, sound) }

func sound(s *Stream) stream { return s }

func checkModel(t *testing.T, over func(*Stream) stream) {
	rapid.Check(t, func(r *rapid.T) {
		m := newModel(r, t.TempDir(), over, func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "choice") })
		defer m.stop()
		actions := map[string]func(*rapid.T){}
		for i, name := range m.often() {
			actions[fmt.Sprint(name, i)] = func(*rapid.T) { m.actions()[name]() }
		}
		r.Repeat(actions)
		m.finish()
	})
}

// The same with many frames: a million in 'task test:long'.
func TestManyFrames(t *testing.T) {
	frames := 30_000
	switch {
	case os.Getenv("P2PCHATTEST_LONG") != "":
		frames = 1_000_000
	case testing.Short():
		frames = 3000
	}
	seed := rand.Uint64()                    //nolint:gosec // it is logged
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's
	m := newModel(t, t.TempDir(), sound, random.IntN)
	defer m.stop()
	actions, often := m.actions(), m.often()
	for m.written < frames {
		actions[often[random.IntN(len(often))]]()
	}
	m.finish()
	t.Logf("seed %d: %d frames, %d pipes, %d programs killed", seed, m.written, m.pipes, m.killed)
}

// A stream is what the model needs of a Stream.
type stream interface {
	ID() string
	Put(k Kind, text string) (uint64, error)
	Room() <-chan struct{}
	Hello() Hello
	Greet(h Hello) (fresh bool, heard uint64)
	Next(limit int) (Frame, bool)
	NextAck() (uint64, bool)
	Acked(seq uint64) ([]Frame, bool)
	Receive(seq uint64) (Place, Verdict)
	Took(at Place)
	Handled(at Place, line any) bool
}

// A model is two sides with a pipe between them.
type model struct {
	t interface {
		Fatal(args ...any)
		Fatalf(format string, args ...any)
	}
	dir    string
	over   func(*Stream) stream
	choose func(n int) int // below n

	sides         [2]*modelSide
	conversations map[string]*modelConversation

	written, pipes, killed int
}

// A modelSide is a program, and its end of the current pipe.
type modelSide struct {
	stream
	journal  *Journal
	taken    []taken // what its reader has not handled yet
	begun    bool    // its hello has gone out
	incoming []any   // on its way to this side: a Hello, a Frame, or the number of an acknowledgement
}

type taken struct {
	at   Place
	text string
}

// A modelConversation is what one program has written, and how far that has come.
type modelConversation struct {
	said      []string
	read      uint64 // by the other side's current program
	delivered uint64
}

// burst is how many frames, or messages of a pipe, an action takes at most.
const burst = 40

func newModel(t interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}, dir string, over func(*Stream) stream, choose func(int) int) *model {
	m := &model{t: t, dir: dir, over: over, choose: choose, conversations: map[string]*modelConversation{}}
	for i := range m.sides {
		m.sides[i] = &modelSide{}
		m.start(i)
	}
	return m
}

func (m *model) path(side int) string { return filepath.Join(m.dir, fmt.Sprint("journal", side)) }

// start starts a side's program.
func (m *model) start(side int) {
	j, err := OpenJournal(m.path(side), nothing{})
	if err != nil {
		m.t.Fatal(err)
	}
	s := m.over(New(j, func(err error) {
		if err != nil {
			m.t.Fatal(err)
		}
	}))
	*m.sides[side] = modelSide{stream: s, journal: j}
	if m.conversations[s.ID()] == nil {
		m.conversations[s.ID()] = &modelConversation{}
	}
}

func (m *model) stop() {
	for _, s := range m.sides {
		_ = s.journal.file.Close() // or a kill has closed it
	}
}

func (m *model) actions() map[string]func() {
	return map[string]func(){
		"put": m.put, "send": m.send, "arrive": m.arrive, "read": m.read, "cut": m.cut, "kill": m.kill, "begin again": m.beginAgain,
	}
}

// often returns the names of the actions, those more than once that happen more often.
func (m *model) often() []string {
	return slices.Concat(slices.Repeat([]string{"put", "send", "arrive", "read"}, 10), slices.Sorted(maps.Keys(m.actions())))
}

// some returns one of the sides, and how often it acts.
func (m *model) some() (s, other *modelSide, times int) {
	i := m.choose(2)
	return m.sides[i], m.sides[1-i], 1 + m.choose(burst)
}

func (m *model) put() {
	s, _, times := m.some()
	for range times {
		if s.Room() != nil {
			return
		}
		m.written++
		text := strconv.Itoa(m.written)
		seq, err := s.Put(testMessage, text)
		said := &m.conversations[s.ID()].said
		if *said = append(*said, text); err != nil || seq != uint64(len(*said)) {
			m.t.Fatalf("frame %d has number %d, %v", len(*said), seq, err)
		}
	}
}

// send sends the next messages, as a conversation does.
func (m *model) send() {
	s, other, times := m.some()
	for range times {
		if !s.sendOne(other) {
			return
		}
	}
}

func (s *modelSide) sendOne(other *modelSide) bool {
	if !s.begun {
		s.begun = true
		other.incoming = append(other.incoming, s.Hello())
		return true
	}
	if seq, ok := s.NextAck(); ok {
		other.incoming = append(other.incoming, seq)
		return true
	}
	f, ok := s.Next(MaxBytes)
	if ok {
		other.incoming = append(other.incoming, f)
	}
	return ok
}

func (m *model) arrive() {
	s, _, times := m.some()
	for range times {
		if !m.arriveOne(s) {
			return
		}
	}
}

// arriveOne handles a message, as a conversation does. It waits until this side's hello has gone out.
func (m *model) arriveOne(s *modelSide) bool {
	if len(s.incoming) == 0 || !s.begun {
		return false
	}
	message := s.incoming[0]
	s.incoming = s.incoming[1:]
	switch message := message.(type) {
	case Hello:
		s.Greet(message)
		if message.Of == s.ID() {
			m.acked(s, message.Heard)
		}
	case uint64:
		m.acked(s, message)
	case Frame:
		switch at, verdict := s.Receive(message.Seq); verdict {
		case Fresh:
			s.taken = append(s.taken, taken{at, message.Text})
			s.Took(at)
		case Gap:
			m.t.Fatalf("frame %d, %q, comes too early", message.Seq, message.Text)
		case Known:
		}
	}
	return true
}

func (m *model) acked(s *modelSide, seq uint64) {
	frames, ok := s.Acked(seq)
	c := m.conversations[s.ID()]
	for _, f := range frames {
		if c.delivered++; f.Seq != c.delivered || c.delivered > c.read {
			m.t.Fatalf("frame %d counts as delivered after %d; %d are read", f.Seq, c.delivered-1, c.read)
		}
	}
	if !ok {
		m.t.Fatalf("frame %d is acknowledged, of %d", seq, len(c.said))
	}
}

func (m *model) read() {
	s, _, times := m.some()
	for range min(times, len(s.taken)) {
		m.readOne(s)
	}
}

func (m *model) readOne(s *modelSide) {
	next := s.taken[0]
	s.taken = s.taken[1:]
	c := m.conversations[next.at.Of]
	if c.read++; next.at.Seq != c.read || c.read > uint64(len(c.said)) || c.said[c.read-1] != next.text {
		m.t.Fatalf("frame %d, %q, is read after %d of %d", next.at.Seq, next.text, c.read-1, len(c.said))
	}
	s.Handled(next.at, nil)
}

// cut breaks the pipe, and makes another one.
func (m *model) cut() {
	m.pipes++
	for _, s := range m.sides {
		s.begun, s.incoming = false, nil
	}
}

// kill ends a program in the middle of a line of its journal, and starts it again.
func (m *model) kill() {
	m.cut()
	m.killed++
	i := m.choose(2)
	_, err := m.sides[i].journal.file.WriteString(`{"said":{"seq":`)
	if err == nil {
		err = m.sides[i].journal.file.Close()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.start(i)
}

// beginAgain starts a program without the journal of before. It reads again what the other side does not know to be read.
func (m *model) beginAgain() {
	m.cut()
	i := m.choose(2)
	if err := m.sides[i].journal.End(false); err != nil {
		m.t.Fatal(err)
	}
	m.start(i)
	theirs := m.conversations[m.sides[1-i].ID()]
	theirs.read = theirs.delivered
}

// finish lets all arrive over a pipe that holds, and compares.
func (m *model) finish() {
	m.cut()
	for busy := true; busy; {
		busy = false
		for i, s := range m.sides {
			for s.sendOne(m.sides[1-i]) {
				busy = true
			}
		}
		for _, s := range m.sides {
			for m.arriveOne(s) {
				busy = true
			}
			for len(s.taken) > 0 {
				m.readOne(s)
				busy = true
			}
		}
	}
	for i, s := range m.sides {
		if c := m.conversations[s.ID()]; c.read != uint64(len(c.said)) || c.delivered != c.read {
			m.t.Fatalf("of %d frames of side %d, %d are read and %d delivered", len(c.said), i, c.read, c.delivered)
		}
	}
}
