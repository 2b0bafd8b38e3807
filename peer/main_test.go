package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const room = "room"

// code splits ROOM or ROOM-SECRET at its first dash, unchanged.
func code(text string) peer.Code {
	room, secret, _ := strings.Cut(text, "-")
	return peer.Code{Room: room, Secret: secret}
}

// A logbook is a Config.Log that can be read.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logbook) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

func (l *logbook) has(t *testing.T, words string) {
	t.Helper()
	if l.count(words) == 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Errorf("the log does not say %q:\n%s", words, l.text.String())
	}
}

// tells checks that the log warned of n events, and only of the 1st, 2nd, 4th ...
func (l *logbook) tells(t *testing.T, words string, n uint) {
	t.Helper()
	if lines := l.count(words); lines != bits.Len(n) {
		t.Errorf("the log says %q %d times, want %d for %d", words, lines, bits.Len(n), n)
	}
	l.has(t, fmt.Sprintf("count=%d\n", 1<<(bits.Len(n)-1)))
}

// quiet returns the Config of a side without a log.
func quiet() peer.Config {
	return peer.Config{Log: slog.New(slog.DiscardHandler)}
}

// dataChannelsOnly returns a quiet Config without the fast path.
func dataChannelsOnly() peer.Config {
	config := quiet()
	config.DataChannelsOnly = true
	return config
}

// telling returns a quiet Config whose events can be awaited.
func telling() (peer.Config, <-chan peer.Event) {
	events := make(chan peer.Event, 100)
	config := quiet()
	config.Report = func(e peer.Event) { events <- e }
	return config, events
}

// await reads events until one of type E.
func await[E peer.Event](t *testing.T, events <-chan peer.Event) E {
	t.Helper()
	ctx := soon(t)
	for {
		select {
		case e := <-events:
			if e, ok := e.(E); ok {
				return e
			}
		case <-ctx.Done():
			t.Fatalf("no %T within the time of a test", *new(E))
		}
	}
}

// soon returns a context that ends after a minute, in which a test's step has long ended. (Under synctest its
// time is virtual.)
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// calling starts a Call that is closed with the test.
func calling(t testing.TB, at signaling.Store, room string, config peer.Config) *peer.Session {
	t.Helper()
	s := peer.Call(at, code(room), config)
	t.Cleanup(s.Close)
	return s
}

// answering starts an Answer that is closed with the test.
func answering(t testing.TB, at signaling.Store, room string, config peer.Config) *peer.Session {
	t.Helper()
	s := peer.Answer(at, code(room), config)
	t.Cleanup(s.Close)
	return s
}

func pipeOf(t testing.TB, s *peer.Session) *peer.Pipe {
	t.Helper()
	p, err := s.Pipe(soon(t))
	if err != nil {
		t.Fatal("no pipe: ", err)
	}
	return p
}

// connected returns the two pipes of a meeting at a Store of its own.
func connected(t testing.TB) (caller, callee *peer.Pipe) {
	t.Helper()
	return connectedWith(t, quiet())
}

func connectedWith(t testing.TB, config peer.Config) (caller, callee *peer.Pipe) {
	t.Helper()
	store := memstore.New(memstore.Limits{})
	from, to := calling(t, store, room, config), answering(t, store, room, config)
	return pipeOf(t, from), pipeOf(t, to)
}

func send(t testing.TB, p *peer.Pipe, message string) {
	t.Helper()
	if err := p.Send(soon(t), []byte(message)); err != nil {
		t.Fatal("sending: ", err)
	}
}

func hears(t testing.TB, p *peer.Pipe, want string) {
	t.Helper()
	got, err := p.Recv(soon(t))
	if err != nil {
		t.Fatal("receiving: ", err)
	}
	if string(got) != want {
		t.Fatalf("received %d bytes %.40q, want %d bytes %.40q", len(got), got, len(want), want)
	}
}

// talk sends a message each way.
func talk(t testing.TB, caller, callee *peer.Pipe) {
	t.Helper()
	send(t, caller, "ping")
	hears(t, callee, "ping")
	send(t, callee, "pong")
	hears(t, caller, "pong")
}

// fails waits for the end of a session without a pipe.
func fails(t testing.TB, s *peer.Session, want error) error {
	t.Helper()
	p, err := s.Pipe(soon(t))
	if p != nil || !errors.Is(err, want) {
		t.Fatalf("the session has %v and says %v, want %v", p, err, want)
	}
	return err
}

// eachSeed runs a test in virtual time for each seed, as many at once as there are cores.
func eachSeed(t *testing.T, seeds uint64, test func(t *testing.T, seed uint64)) {
	t.Helper()
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, seed) })
		})
	}
}

// eventually polls until a condition holds for which there is no event.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx := soon(t)
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("waited in vain: ", what)
		}
	}
}

// stands reports whether the room has an offer.
func stands(t testing.TB, at signaling.Store) bool {
	t.Helper()
	_, _, err := at.Description(soon(t), signaling.Ticket{Room: room}, signaling.Caller, "", 0)
	if err != nil && !errors.Is(err, signaling.ErrNoOffer) && !errors.Is(err, signaling.ErrNoRoom) {
		t.Fatal(err)
	}
	return err == nil
}
