package reliable

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Each of these Streams has a fault that loses frames, or repeats them.
var faulty = map[string]func(*Stream) stream{
	"acknowledges what is not read":            func(s *Stream) stream { return hasty{s} },
	"does not send a lost tail again":          func(s *Stream) stream { return proud{s} },
	"takes what came before for the next":      func(s *Stream) stream { return gullible{s} },
	"goes on counting with another program":    func(s *Stream) stream { return blind{s} },
	"does not write down what it has read":     func(s *Stream) stream { return oblivious{s} },
	"does not write down what it is to send":   func(s *Stream) stream { return careless{s} },
	"expects all frames of another program":    func(s *Stream) stream { return hopeful{s} },
	"writes down what is read before it is so": func(s *Stream) stream { return eager{s} },
}

type hasty struct{ *Stream }

func (s hasty) NextAck() (uint64, bool) {
	s.mu.Lock()
	s.handled = s.took
	s.mu.Unlock()
	return s.Stream.NextAck()
}

type proud struct{ *Stream }

func (s proud) Hello() Hello {
	sent := s.out.sent
	h := s.Stream.Hello()
	s.out.sent = sent
	return h
}

type gullible struct{ *Stream }

func (s gullible) Receive(seq uint64) (Place, Verdict) {
	at, v := s.Stream.Receive(seq)
	if v == Known {
		v = Fresh
	}
	return at, v
}

type blind struct{ *Stream }

func (s blind) Greet(h Hello) (bool, uint64) {
	if s.peer != "" {
		h.Conversation = s.peer
	}
	return s.Stream.Greet(h)
}

type oblivious struct{ *Stream }

func (s oblivious) Handled(at Place, _ any) bool {
	if at.Of != s.peer {
		return false
	}
	s.handled = max(s.handled, at.Seq)
	return true
}

type careless struct{ *Stream }

func (s careless) Put(k Kind, text string) (uint64, error) { return s.out.put(k, text, 0), nil }

// hopeful sends from the first frame that is not acknowledged, and says that there are none before.
type hopeful struct{ *Stream }

func (s hopeful) Greet(h Hello) (bool, uint64) {
	h.First = 1
	return s.Stream.Greet(h)
}

// eager notes a frame as handled once it is in the reader's hands.
type eager struct{ *Stream }

func (s eager) Took(at Place) {
	s.Stream.Took(at)
	s.Handled(at, nil)
}

// TestModelCatches runs this program again with each faulty Stream, and expects it to fail.
func TestModelCatches(t *testing.T) {
	const which = "RELIABLE_FAULTY"
	if name := os.Getenv(which); name != "" {
		checkModel(t, faulty[name])
		return
	}
	for name := range faulty {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-rapid.nofailfile", "-rapid.shrinktime=0", "-rapid.checks=5000") //nolint:gosec // this very binary
		cmd.Env = append(os.Environ(), which+"="+name)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: "+t.Name()) {
			t.Errorf("a stream that %s was not caught: %v\n%s", name, err, out)
		}
	}
}
