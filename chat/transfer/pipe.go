package transfer

import (
	"context"
	"io"
	"time"
)

// A Pipe carries the channels of files. See chat.Pipe.
type Pipe interface {
	Open(ctx context.Context) (io.ReadWriteCloser, error)
	OpenApart(ctx context.Context) (io.ReadWriteCloser, error)
	RoundTrip() time.Duration
	Accept(ctx context.Context) (io.ReadWriteCloser, error)
	Expect(channels bool)
}

// Attach prepares for a pipe, before the other side knows of it. A plain WebRTC program takes no files.
func (m *Manager) Attach(pipe Pipe, foreign bool) {
	m.foreign.Store(foreign)
	if foreign {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expect = pipe.Expect
	m.expectChannels()
}

// Detach ends what Attach began.
func (m *Manager) Detach() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expect, m.greeted, m.stripes = nil, false, 0
}

// expectChannels, under mu, allows the other side to open channels while a file of its own is to come. The
// pipe only sets a flag: the order of two calls matters, so they are made under mu.
func (m *Manager) expectChannels() {
	if m.expect == nil {
		return
	}
	coming := false
	for _, f := range m.in {
		coming = coming || f.state != offered
	}
	m.expect(coming)
}

// A Greeting is what the other side has said of itself.
type Greeting struct {
	Name    string
	Stripes bool // it takes stripes
	Haves   bool // it reads haves over stripes
}

// Greeted notes that the other side has said hello on the current pipe: from then on files move. It tells the reader of the
// offers of an earlier run that have no answer.
func (m *Manager) Greeted(other Greeting) {
	for _, f := range m.list(func(f *file) bool { return f.earlier != nil && !f.outgoing && f.state == offered }) {
		m.mu.Lock()
		f.earlier = nil // once
		m.mu.Unlock()
		m.ask(f, other.Name)
	}
	m.mu.Lock()
	m.greeted, m.stripes, m.havesOver = true, 0, other.Haves
	if other.Stripes && m.config.Stripes != StripesNever {
		m.stripes = stripesTries
	}
	m.mu.Unlock()
	m.wakeTransfers()
}
