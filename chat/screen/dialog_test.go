package screen

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/internal/chattest"
)

// A dialog is a screen at work: its conversation, and the other side's.
type dialog struct {
	*chat.Conversation
	other *other
	out   *safeBuffer
	notes *safeBuffer

	shown chan error // of the screen
	ran   error      // of Run, once shown has something
}

// The other side: it collects what it reads.
type other struct {
	*chat.Conversation
	over chan struct{}

	mu     sync.Mutex // guards what follows
	events []chat.Event
}

// begin joins a screen to another side called Ben. It reads in; tune may change its
// streams.
func begin(t *testing.T, s Screen, in io.Reader, tune func(*Streams)) *dialog {
	t.Helper()

	d := &dialog{Conversation: chat.New(chat.Config{Name: "Ann"}), out: &safeBuffer{}, notes: &safeBuffer{}, shown: make(chan error, 1)}
	d.other = &other{Conversation: chat.New(chat.Config{Name: "Ben"}), over: make(chan struct{})}
	there, back := make(chan []byte), make(chan []byte)
	closed := make(chan struct{})
	hangUp := sync.OnceFunc(func() { close(closed) })
	run := func(c *chat.Conversation, p *pipe) error {
		defer c.Close()
		defer hangUp()
		return c.Run(t.Context(), func(ctx context.Context) (chat.Link, error) {
			if p == nil {
				<-ctx.Done()
				return chat.Link{}, ctx.Err()
			}
			defer func() { p = nil }()
			return chat.Link{Pipe: p, Details: chat.Details{Path: "host"}}, nil
		})
	}
	streams := Streams{In: io.NopCloser(in), Out: d.out, Notes: d.notes}
	if c, ok := in.(io.ReadCloser); ok {
		streams.In = c
	}
	if tune != nil {
		tune(&streams)
	}
	go func() {
		var wg sync.WaitGroup
		var err error
		wg.Go(func() { d.ran = run(d.Conversation, &pipe{there, back, closed}) })
		wg.Go(func() { err = s(t.Context(), d.Conversation, streams) })
		wg.Wait()
		d.shown <- err
	}()
	go func() { _ = run(d.other.Conversation, &pipe{back, there, closed}) }()
	go func() {
		defer close(d.other.over)
		for e := range d.other.Events() {
			d.other.mu.Lock()
			d.other.events = append(d.other.events, e)
			d.other.mu.Unlock()
		}
	}()
	return d
}

// end waits until both sides have ended, and is how the screen did.
func (d *dialog) end() error {
	<-d.other.over
	return <-d.shown
}

func (o *other) say(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := o.Say(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}

func (o *other) finish(t *testing.T) {
	t.Helper()
	if err := o.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (o *other) texts() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		m, ok := e.(chat.Message)
		switch {
		case ok && m.Continues:
			all[len(all)-1] += m.Text
		case ok:
			all = append(all, m.Text)
		}
	}
	return all
}

// left is how often it was told that the screen's side left.
func (o *other) left() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if _, ok := e.(chat.Left); ok {
			n++
		}
	}
	return n
}

// alone shows events to a screen without input, and returns what it wrote.
func alone(t *testing.T, s Screen, terminal bool, events ...chat.Event) (out, notes string) {
	t.Helper()
	c := chat.New(chat.Config{})
	for _, e := range events {
		c.Tell(e)
	}
	c.Close()
	var o, n safeBuffer
	if err := s(t.Context(), c, Streams{In: io.NopCloser(strings.NewReader("")), Out: &o, Notes: &n, Terminal: terminal}); err != nil {
		t.Errorf("it ends with %v", err)
	}
	return o.String(), n.String()
}

// A pipe holds nothing: what is sent is received.
type pipe struct {
	out, in chan []byte
	closed  chan struct{}
}

func (p *pipe) Send(ctx context.Context, b []byte) error {
	select {
	case p.out <- b:
		return nil
	case <-p.closed:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pipe) Recv(ctx context.Context) ([]byte, error) {
	select {
	case b := <-p.in:
		return b, nil
	case <-p.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (*pipe) Flush(context.Context) error { return nil }

func (*pipe) Open(context.Context) (io.ReadWriteCloser, error) {
	return nil, errors.New("it has no further channels")
}

func (p *pipe) OpenApart(ctx context.Context) (io.ReadWriteCloser, error) { return p.Open(ctx) }

func (*pipe) RoundTrip() time.Duration { return 0 }

func (*pipe) Accept(ctx context.Context) (io.ReadWriteCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (*pipe) Expect(bool) {}

type safeBuffer = chattest.Buffer

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %.1000v, not %.1000v", what, got, want)
	}
}
