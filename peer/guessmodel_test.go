package peer

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"p2pchat/signaling"
)

// Whatever happens to a program, and as often as it is killed and started again: a typed code takes three guesses in its life,
// each is on disk before it has an effect, and only an answer that did not go out, or whose caller has proven that it knows the code, is none.
// A guess that the disk does not take ends the program's meeting; the next program cannot know of it.
func TestModelOfGuesses(t *testing.T) { checkGuesses(t, counting{}) }

// A guessCounter is how a Session counts.
type guessCounter interface {
	resume(s *Session, r Resumption)
	refuse(s *Session, why error) error
	give(g *guess) error
	end(g *guess, proven bool)
}

type counting struct{}

func (counting) resume(s *Session, r Resumption) { s.resume(r) }
func (counting) refuse(s *Session, why error) error {
	return s.refuse(signaling.Ticket{}, modelCode, why)
}
func (counting) give(g *guess) error       { return g.give() }
func (counting) end(g *guess, proven bool) { g.end(proven) }

var modelCode = Code{Room: "417", Secret: "falcon-zebra"}

var errFullDisk = errors.New("the disk is full")

func checkGuesses(t *testing.T, by guessCounter) {
	rapid.Check(t, func(t *rapid.T) {
		m := &guessModel{guessCounter: by, side: rapid.SampledFrom([]signaling.Side{signaling.Caller, signaling.Callee}).Draw(t, "side")}
		m.disk = Resumption{Side: m.side, Typed: modelCode}
		m.start()
		actions := map[string]func(*rapid.T){"kill": m.kill, "fill the disk": m.fillDisk}
		if m.side == signaling.Caller {
			actions["a wrong answer"], actions["a garbled answer"] = m.wrongAnswer, m.garbledAnswer
		} else {
			actions["an offer"], actions["a proof"], actions["an end"], actions["an answer"] = m.offer, m.proof, m.stop, m.answer
		}
		actions[""] = m.check
		t.Repeat(actions)
	})
}

type guessModel struct {
	guessCounter
	side signaling.Side
	s    *Session
	g    *guess // the callee's current answer; nil: none
	told []Event

	disk  Resumption
	full  bool
	spent int // guesses that the current program has to know of
	vain  int // guesses that had an effect, and were not taken back, in all lives
	lost  int // of these, how many a disk has not taken
}

// start starts a program that goes on where the last one was.
func (m *guessModel) start() {
	m.s = &Session{side: m.side, codes: []Code{modelCode}, tickets: map[Code]signaling.Ticket{}, config: Config{
		Log: slog.New(slog.DiscardHandler), Report: func(e Event) { m.told = append(m.told, e) },
		Save: func(r Resumption) error {
			if m.full {
				return errFullDisk
			}
			m.disk = r
			return nil
		},
	}}
	m.resume(m.s, m.disk)
	m.g, m.spent = nil, m.disk.Spent
}

func (m *guessModel) kill(*rapid.T) { m.start() }

func (m *guessModel) fillDisk(*rapid.T) { m.full = !m.full }

// counts expects err to be that of a guess, and counts it.
func (m *guessModel) counts(t *rapid.T, err error) {
	if m.full {
		m.spent = max(m.spent+1, Guesses)
	} else {
		m.spent++
	}
	if errors.Is(err, errFullDisk) != m.full {
		t.Fatalf("the disk is full: %t, and the guess ends with %v", m.full, err)
	}
}

// burnt reports whether a Session begins no further attempt.
func (m *guessModel) burnt() bool { return len(m.s.unburnt([]Code{modelCode})) == 0 }

// wrongAnswer has the caller judge one.
func (m *guessModel) wrongAnswer(t *rapid.T) {
	if m.burnt() {
		return
	}
	m.vain++
	if m.full {
		m.lost++
	}
	m.told = nil
	err := m.refuse(m.s, errUnproven)
	m.counts(t, err)
	left := max(0, Guesses-m.spent)
	if len(m.told) != 1 || m.told[0] != (WrongCode{Left: left}) || errors.Is(err, ErrBurnt) != (left == 0) {
		t.Fatalf("%d are left: it says %v, and %v", left, m.told, err)
	}
}

// garbledAnswer is no guess.
func (m *guessModel) garbledAnswer(t *rapid.T) {
	if err := m.refuse(m.s, errGarbled); err != nil {
		t.Fatal(err)
	}
}

// offer has the callee begin to answer, unless it does.
func (m *guessModel) offer(*rapid.T) {
	if m.g == nil && !m.burnt() {
		m.g = m.s.newGuess(signaling.Ticket{}, modelCode)
	}
}

// answer has the callee send its answer.
func (m *guessModel) answer(t *rapid.T) {
	if m.g == nil || m.g.given.Load() {
		return
	}
	err := m.give(m.g)
	if m.counts(t, err); err == nil {
		m.vain++
	} else {
		m.g = nil // the attempt ends
	}
}

// proof ends the callee's attempt: the caller has proven that it knows the code.
func (m *guessModel) proof(t *rapid.T) { m.ends(t, true) }

// stop ends it without that.
func (m *guessModel) stop(t *rapid.T) { m.ends(t, false) }

func (m *guessModel) ends(_ *rapid.T, proven bool) {
	if m.g == nil {
		return
	}
	given := m.g.given.Load()
	if given && proven {
		m.spent--
		m.vain--
	}
	if m.full && !given { // it counts what it takes back
		m.spent = max(m.spent, Guesses)
	}
	m.end(m.g, proven && given)
	m.g = nil
}

func (m *guessModel) check(t *rapid.T) {
	if used := m.s.guesses.used(); used != m.spent {
		t.Fatalf("the program counts %d guesses, not %d", used, m.spent)
	}
	if m.vain > Guesses+m.lost {
		t.Fatalf("there were %d guesses, of which a disk did not take %d", m.vain, m.lost)
	}
	if m.burnt() != (m.spent >= Guesses) {
		t.Fatalf("after %d guesses the code takes no more: %t", m.spent, m.burnt())
	}
}

// A burnt code leaves the codes at which no one can guess: the two who have met meet again.
func TestWhatABurntCodeLeaves(t *testing.T) {
	private, room := Code{Room: "only-two", Secret: "know-it"}, Code{Room: "without a secret"}
	s := &Session{last: &Pipe{typed: modelCode, code: modelCode, Rendezvous: private}}
	s.guesses.spent = Guesses
	if got := s.unburnt([]Code{private, modelCode, room}); !slices.Equal(got, []Code{private, room}) {
		t.Errorf("there are %v", got)
	}
}

// Each of these miscounts.
var miscounting = map[string]guessCounter{
	"forgets when it is started again":    forgetful{},
	"counts no further than in memory":    unwritten{},
	"counts an answer when it has failed": generous{},
	"takes back a guess without a proof":  trusting{},
	"takes a garbled answer for a guess":  strict{},
}

type forgetful struct{ counting }

func (forgetful) resume(s *Session, r Resumption) {
	r.Spent = 0
	s.resume(r)
}

type unwritten struct{ counting }

func (unwritten) resume(s *Session, r Resumption) {
	s.config.Save = nil
	s.resume(r)
}

type generous struct{ counting }

func (generous) give(g *guess) error {
	g.given.Store(true)
	return nil
}

type trusting struct{ counting }

func (trusting) end(g *guess, _ bool) { g.end(true) }

type strict struct{ counting }

func (strict) refuse(s *Session, _ error) error { return counting{}.refuse(s, errUnproven) }

// TestModelOfGuessesCatches runs this program again with each that miscounts, and expects it to fail.
func TestModelOfGuessesCatches(t *testing.T) {
	const which = "PEER_MISCOUNTING"
	if name := os.Getenv(which); name != "" {
		checkGuesses(t, miscounting[name])
		return
	}
	for name := range miscounting {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-rapid.nofailfile", "-rapid.shrinktime=0", "-rapid.checks=5000") //nolint:gosec // this very binary
		cmd.Env = append(os.Environ(), which+"="+name)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: "+t.Name()) {
			t.Errorf("a count that %s was not caught: %v\n%s", name, err, out)
		}
	}
}
