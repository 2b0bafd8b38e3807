package memstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"p2pchat/signaling"
)

// Random calls and answers of a few clients: of each client the Store knows how many of its answers were turned down within
// ten minutes, and how many wait for a caller, as a simple model does.
func TestModelOfGuesses(t *testing.T) {
	checkGuesses(t, func(s *Store) signaling.Store { return s })
}

func checkGuesses(t *testing.T, over func(*Store) signaling.Store) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(r *rapid.T) { // without Deadline, which a bubble does not allow
			m := &guessModel{Store: over(New(Limits{Idle: 24 * time.Hour})), ctx: t.Context(), turnedDown: map[string][]time.Time{}}
			r.Repeat(map[string]func(*rapid.T){
				"open": m.open, "answer": m.answer, "crowd": m.crowd, "accept": m.accept, "turn down": m.turnDown, "turn down again": m.turnDown, "close": m.close, "sleep": m.sleep,
			})
		})
	})
}

type guessModel struct {
	signaling.Store

	ctx        context.Context
	opened     int
	calls      []*modelCall
	turnedDown map[string][]time.Time // when answers of a client were
}

// A modelCall is a room with an offer.
type modelCall struct {
	ticket   signaling.Ticket
	secret   bool   // an answer can be a guess
	refused  bool   // an answer was turned down
	callee   string // the client that has answered; empty: none
	accepted bool   // the callee's answer
	written  int    // candidates of the caller
}

func (m *guessModel) do(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// offer returns another offer each time.
func (m *guessModel) offer(secret bool) signaling.Description {
	m.opened++
	d := fmt.Sprintf(`{"type":"offer","sdp":"%d"}`, m.opened)
	if secret {
		d = strings.Replace(d, "}", `,"p2pchat":{}}`, 1)
	}
	return signaling.Description(d)
}

func (m *guessModel) open(t *rapid.T) {
	c := &modelCall{ticket: signaling.NewTicket(fmt.Sprint("room", m.opened), signaling.Caller), secret: rapid.IntRange(0, 4).Draw(t, "secret") > 0}
	c.ticket.From = rapid.SampledFrom([]string{"anna", "mallory"}).Draw(t, "caller")
	_, err := m.Offer(m.ctx, c.ticket, m.offer(c.secret))
	m.do(t, err)
	m.calls = append(m.calls, c)
}

// draw returns one of the calls, or nil.
func (m *guessModel) draw(t *rapid.T) *modelCall {
	if len(m.calls) == 0 {
		return nil
	}
	return rapid.SampledFrom(m.calls).Draw(t, "call")
}

func (m *guessModel) answer(t *rapid.T) {
	if c := m.draw(t); c != nil {
		m.answerIn(t, c)
	}
}

// crowd answers several calls, of which none is accepted.
func (m *guessModel) crowd(t *rapid.T) {
	for range rapid.IntRange(1, 10).Draw(t, "calls") {
		m.open(t)
		m.answerIn(t, m.calls[len(m.calls)-1])
	}
}

func (m *guessModel) answerIn(t *rapid.T, c *modelCall) {
	from := rapid.SampledFrom([]string{"mallory", "ben"}).Draw(t, "callee")
	ticket := signaling.NewTicket(c.ticket.Room, signaling.Callee)
	ticket.From = from
	_, err := m.Answer(m.ctx, ticket, "", answer)
	pending := 0
	for _, other := range m.calls {
		if other.secret && other.callee == from && other.ticket.From != from && !other.accepted {
			pending++
		}
	}
	var wanted error
	var after time.Duration
	guessed := m.turnedDown[from]
	switch {
	case c.callee != "":
		wanted = signaling.ErrAnswered
	case from == c.ticket.From:
	case len(guessed) >= 3 && time.Since(guessed[len(guessed)-3]) < 10*time.Minute:
		wanted, after = signaling.ErrGuesses, 10*time.Minute-time.Since(guessed[len(guessed)-3])
	case pending >= 10:
		wanted, after = signaling.ErrTooMany, time.Second
	}
	var later *signaling.RetryError
	if !errors.Is(err, wanted) || after != 0 && (!errors.As(err, &later) || later.After != after) {
		t.Fatalf("%s answers %s: %v, want %v after %s; turned down at %v, %d wait", from, c.ticket.From, err, wanted, after, guessed, pending)
	}
	if err == nil {
		c.callee = from
	}
}

func (m *guessModel) accept(t *rapid.T) {
	if c := m.draw(t); c != nil {
		n, err := m.AddCandidates(m.ctx, c.ticket, c.written, signaling.Candidate(`{}`))
		m.do(t, err)
		c.written, c.accepted = n, c.callee != ""
	}
}

// guessed notes that the caller has turned down the answer, if there is one that it has not accepted.
func (m *guessModel) guessed(c *modelCall) {
	if c.secret && c.callee != "" && !c.accepted {
		m.turnedDown[c.callee] = append(m.turnedDown[c.callee], time.Now())
	}
}

func (m *guessModel) turnDown(t *rapid.T) {
	if c := m.draw(t); c != nil {
		_, err := m.Reoffer(m.ctx, c.ticket, m.offer(c.secret))
		m.do(t, err)
		m.guessed(c)
		*c = modelCall{ticket: c.ticket, secret: c.secret, refused: c.refused || c.callee != ""}
	}
}

// close ends a call. A caller that has turned down an answer before has read the last one, too.
func (m *guessModel) close(t *rapid.T) {
	if c := m.draw(t); c != nil {
		m.do(t, m.Close(m.ctx, c.ticket))
		if c.refused {
			m.guessed(c)
		}
		m.calls = slices.DeleteFunc(m.calls, func(other *modelCall) bool { return other == c })
	}
}

func (*guessModel) sleep(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 5).Draw(t, "minutes")) * time.Minute)
}

// Each of these Stores miscounts.
var miscounting = map[string]func(*Store) signaling.Store{
	"knows no clients":              func(s *Store) signaling.Store { return anonymous{s} },
	"sees no caller accept":         func(s *Store) signaling.Store { return blind{s} },
	"forgets the last guess":        func(s *Store) signaling.Store { return lenient{s} },
	"remembers guesses for an hour": func(s *Store) signaling.Store { return resentful{s} },
}

type anonymous struct{ *Store }

func (s anonymous) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	t.From = ""
	return s.Store.Answer(ctx, t, to, d)
}

// blind counts what an accepted answer leaves to count.
type blind struct{ *Store }

func (s blind) AddCandidates(_ context.Context, _ signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	return at + len(c), nil
}

// lenient takes an answer in a room that is closed for none.
type lenient struct{ *Store }

func (s lenient) Close(ctx context.Context, t signaling.Ticket) error {
	if _, err := s.AddCandidates(ctx, t, -1, signaling.Candidate(`{}`)); err != nil {
		return err
	}
	return s.Store.Close(ctx, t)
}

type resentful struct{ *Store }

func (s resentful) Reoffer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	v, err := s.Store.Reoffer(ctx, t, d)
	for _, times := range s.clients.guesses {
		for i := range times {
			times[i] = times[i].Add(time.Hour - guessWindow)
		}
	}
	return v, err
}

// TestModelOfGuessesCatches runs this program again with each Store that miscounts, and expects it to fail. It begins a bubble for every
// 100 checks: rapid ends after 24 hours of the bubble's time, whatever -rapid.checks says, and 200 checks sleep for so long.
func TestModelOfGuessesCatches(t *testing.T) {
	const which = "MEMSTORE_MISCOUNTING"
	if name := os.Getenv(which); name != "" {
		checkGuesses(t, miscounting[name])
		return
	}
	for name := range miscounting {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=500", "-test.failfast", "-rapid.nofailfile", "-rapid.shrinktime=0") //nolint:gosec // this very binary
		cmd.Env = append(os.Environ(), which+"="+name)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: "+t.Name()) {
			t.Errorf("a store that %s was not caught: %v\n%s", name, err, out)
		}
	}
}
