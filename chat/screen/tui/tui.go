// Package tui shows a conversation on a whole terminal.
//
//	keys ───▶ ┌───────┐ ─▶ say ──▶ Say          ┌──────────────┐
//	          │ model │ ─▶ work ─▶ SendFiles, … │ Conversation │
//	screen ◀─ └───────┘ ◀─ tidy ◀───── Events ◀─└──────────────┘
//
// Bubble Tea runs the model, and draws at most framesPerSecond. Only visible lines are made.
// Everything that the other side sent passes tidy, which is screen.Clean and more. When the
// screen ends, the terminal is restored first. The conversation is printed below, and later
// events follow as lines.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// mostQueued is how many messages may wait until the conversation takes them.
const mostQueued = 256

// framesPerSecond is how often the screen is drawn at most. A key is seen within 33 ms.
const framesPerSecond = 30

// lastWords is how long what was written last may take to get into the outbox.
const lastWords = 500 * time.Millisecond

// Show is the screen of a whole terminal, which s.In and s.Out have to be. It gives the
// terminal back when the person leaves, ctx ends, the conversation has ended, or it fails.
func Show(ctx context.Context, c *chat.Conversation, s screen.Streams) error {
	return show(ctx, c, newModel(c, s))
}

func show(ctx context.Context, c *chat.Conversation, m *model) error {
	s := m.streams
	var program *tea.Program
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var workers, speaker, reader sync.WaitGroup
	outbox, gone, finished := make(chan *entry, mostQueued), make(chan struct{}), make(chan struct{})
	m.outbox = outbox
	m.work = func(do func(context.Context) answer) {
		workers.Go(func() { program.Send(do(working)) })
	}
	top := &careful{model: m}
	program = tea.NewProgram(top, tea.WithInput(terminal(s)), tea.WithOutput(s.Out), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
	var unsent []*entry
	speaker.Go(func() { unsent = speak(working, c, outbox, program, gone) })
	var shown error
	reader.Go(func() { shown = read(c, program, finished, screen.Lines(s)) })

	if n, ok := s.Notes.(holder); ok {
		n.Hold()
		defer n.Release() // if it was not reached below
	}
	interrupted := context.AfterFunc(ctx, program.Quit)
	m.jobs = watchJobs(program.Send)
	_, _ = io.WriteString(s.Out, saveTitle) // a terminal that is gone ends the program
	_, err := program.Run()
	m.jobs.end()
	interrupted()
	close(gone)
	m.goodbye()
	close(outbox)
	late := time.AfterFunc(lastWords, stop)
	speaker.Wait()
	late.Stop()
	for _, e := range unsent {
		m.reportUnsent(e.text)
	}
	c.Leave()
	close(finished)
	reader.Wait()
	stop()
	workers.Wait()
	if err != nil {
		err = fmt.Errorf("the terminal: %w", err)
	}
	if m.refused {
		err = errors.Join(screen.ErrOverheard, err)
	}
	return errors.Join(err, top.mistake, shown)
}

// A holder keeps what other parts of the program write, so that it does not spoil the screen.
type holder interface {
	Hold()
	Release()
}

// newModel is a screen on which nothing has happened yet.
func newModel(c talk, s screen.Streams) *model {
	m := &model{talk: c, streams: s, now: time.Now, notify: newNotifier(os.Getenv), style: newStyle(true, false)}
	m.history.render = m.rows
	m.lastKey = m.now()
	return m
}

// goodbye prints what the screen has held, now that it is gone.
func (m *model) goodbye() {
	text := restoreTitle + m.history.transcript()
	if n, ok := m.streams.Notes.(holder); ok {
		defer n.Release()
	}
	if _, err := io.WriteString(m.streams.Out, text); err != nil {
		return // nobody is there to read
	}
	draft := m.input
	switch {
	case m.finding != nil:
		draft = m.finding.draft
	case m.asking != nil:
		draft = m.asking.draft
	}
	m.reportUnsent(draft.text)
}

// reportUnsent prints a text that was written and not sent, if there is one.
func (m *model) reportUnsent(text string) {
	if text = strings.TrimSpace(text); text != "" {
		fmt.Fprintf(m.streams.Notes, "p2pchat: this was not sent: %s\n", strings.Join(tidy(text), "\n      "))
	}
}

// speak says what the person wrote, in order, and returns what was refused when the screen
// was gone, and could not tell.
func speak(ctx context.Context, c *chat.Conversation, outbox <-chan *entry, program *tea.Program, gone <-chan struct{}) (unsent []*entry) {
	for e := range outbox {
		taken := make(chan struct{})
		id, err := c.Say(ctx, e.text)
		program.Send(saidMsg{e, id, err, taken})
		if !told(taken, gone) && err != nil {
			unsent = append(unsent, e)
		}
	}
	return unsent
}

// told waits until the model has taken what it was sent. It is false if the screen was gone
// before that.
func told(taken, gone <-chan struct{}) bool {
	select {
	case <-taken:
		return true
	case <-gone:
	}
	select {
	case <-taken:
		return true
	default:
		return false
	}
}

// read hands the model each event; what comes when the screen is gone becomes a line.
func read(c *chat.Conversation, program *tea.Program, finished <-chan struct{}, lines func(chat.Event) error) error {
	for e := range c.Events() {
		taken := make(chan struct{})
		program.Send(eventMsg{e, taken})
		if told(taken, finished) {
			continue
		}
		if err := lines(e); err != nil {
			return err
		}
	}
	program.Send(overMsg{})
	return nil
}

// terminal is s.In, which interrupts the program when it ends: the terminal is gone then.
func terminal(s screen.Streams) io.Reader {
	if f, ok := s.In.(*os.File); ok && s.Interrupt != nil {
		return &hungUp{f, s.Interrupt}
	}
	return s.In
}

type hungUp struct {
	*os.File
	end func()
}

func (h *hungUp) Read(b []byte) (int, error) {
	n, err := h.File.Read(b)
	if n == 0 && errors.Is(err, io.EOF) {
		h.end()
	}
	return n, err
}
