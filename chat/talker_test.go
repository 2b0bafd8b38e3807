package chat

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/internal/chattest"
)

// A talker is a conversation that runs, with a reader that writes down all events.
type talker struct {
	*Conversation
	log   *chattest.Buffer
	links chan Link     // what next brings
	ended chan struct{} // closed when Run has returned, and the reader, too
	err   error         // of Run, once ended is closed
	ends  []*end        // owned by next

	mu     sync.Mutex // guards what follows
	events []Event
}

type option func(*talker, *Config)

// named sets the name.
func named(name string) option { return func(_ *talker, c *Config) { c.Name = name } }

func leavesWhenSaid(_ *talker, c *Config) { c.LeaveWhenSaid = true }

func awaitsEnd(_ *talker, c *Config) { c.LeaveWhenSaid, c.AwaitsEnd = true, true }

// newTalker returns one that does not run yet.
func newTalker(options ...option) *talker {
	t := &talker{log: &chattest.Buffer{}, links: make(chan Link, 64), ended: make(chan struct{})}
	config := Config{Log: slog.New(slog.NewTextHandler(t.log, nil))}
	for _, o := range options {
		o(t, &config)
	}
	t.Conversation = New(config)
	return t
}

// joins gives the talker a pipe to use.
func (t *talker) joins(e *end) *talker {
	t.links <- Link{Pipe: e}
	return t
}

func (t *talker) next(ctx context.Context) (Link, error) {
	select {
	case l := <-t.links:
		switch e := l.Pipe.(type) {
		case *end:
			t.ends = append(t.ends, e)
		case slow:
			t.ends = append(t.ends, e.end)
		case narrow:
			t.ends = append(t.ends, e.end)
		}
		return l, nil
	case <-ctx.Done():
		return Link{}, ctx.Err()
	}
}

// run starts it; each is called with every event before the next is asked for, and
// ends the reading with false.
func (t *talker) run(ctx context.Context, each func(Event) bool) *talker {
	var wg sync.WaitGroup
	wg.Go(func() {
		t.err = t.Run(ctx, t.next)
		for _, e := range t.ends {
			e.hangUp()
		}
		t.Close()
	})
	wg.Go(func() {
		for e := range t.Events() {
			t.mu.Lock()
			t.events = append(t.events, e)
			t.mu.Unlock()
			if each != nil && !each(e) {
				return
			}
		}
	})
	go func() {
		wg.Wait()
		close(t.ended)
	}()
	return t
}

// end waits for the end, and returns Run's error.
func (t *talker) end() error {
	<-t.ended
	return t.err
}

func (t *talker) seen() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events)
}

func only[E Event](events []Event) (es []E) {
	for _, e := range events {
		if e, ok := e.(E); ok {
			es = append(es, e)
		}
	}
	return es
}

func texts(events []Event) (ts []string) {
	for _, m := range only[Message](events) {
		ts = append(ts, m.Text)
	}
	return ts
}

func deliveries(events []Event) (ids []uint64) {
	for _, d := range only[Delivered](events) {
		ids = append(ids, d.ID)
	}
	return ids
}

// say says all texts and expects no error.
func say(t *testing.T, c *talker, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := c.Say(t.Context(), text); err != nil {
			t.Fatalf("saying %.20q: %v", text, err)
		}
	}
}

func finish(t *testing.T, cs ...*talker) {
	t.Helper()
	for _, c := range cs {
		if err := c.Finish(t.Context()); err != nil {
			t.Fatalf("finishing: %v", err)
		}
	}
}

// meeting is two talkers over a pair, in a bubble of their own time.
func meeting(t *testing.T, f func(t *testing.T, a, b *talker)) {
	t.Helper()
	meetingWith(t, nil, nil, f)
}

// meetingWith is meeting for two talkers with options.
func meetingWith(t *testing.T, as, bs []option, f func(t *testing.T, a, b *talker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(16)
		a, b := newTalker(append(as, named("Ann"))...), newTalker(append(bs, named("Ben"))...)
		a.joins(left).run(t.Context(), nil)
		b.joins(right).run(t.Context(), nil)
		f(t, a, b)
		a.Leave()
		b.Leave()
		<-a.ended
		<-b.ended
	})
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

// within checks that not more than d has passed since begun, in the bubble.
func within(t *testing.T, begun time.Time, d time.Duration) {
	t.Helper()
	if took := time.Since(begun); took > d {
		t.Errorf("it took %v, more than %v", took, d)
	}
}

func undelivered(err error) int {
	if u := (*Undelivered)(nil); errors.As(err, &u) {
		return u.Messages
	}
	return 0
}

// A raw side is played by the test, frame by frame.
type raw struct {
	*end
	t *testing.T
}

func (r raw) send(b []byte) {
	r.t.Helper()
	if err := r.Send(r.t.Context(), b); err != nil {
		r.t.Fatalf("sending: %v", err)
	}
}

func (r raw) write(f frame) {
	r.t.Helper()
	b, err := f.encode()
	if err != nil {
		r.t.Fatalf("encoding: %v", err)
	}
	r.send(b)
}

func (r raw) hello(h hello) { r.write(frame{kind: kindHello, hello: h}) }

func (r raw) say(seq uint64, text string) { r.write(frame{kind: kindMessage, seq: seq, text: text}) }

// read waits for the next frame.
func (r raw) read() frame {
	r.t.Helper()
	b, err := r.Recv(r.t.Context())
	if err != nil {
		r.t.Fatalf("receiving: %v", err)
	}
	f, err := decode(b)
	if err != nil {
		r.t.Fatalf("%q: %v", b, err)
	}
	return f
}

// drain reads what has come so far.
func (r raw) drain() (frames []frame) {
	r.t.Helper()
	for synctest.Wait(); len(r.in.frames) > 0; synctest.Wait() {
		frames = append(frames, r.read())
	}
	return frames
}

// withRaw is a talker whose other side the test plays. What is left of it at the end
// leaves; the pipe is closed.
func withRaw(t *testing.T, f func(t *testing.T, a *talker, r raw)) {
	t.Helper()
	withRawOf(t, nil, f)
}
