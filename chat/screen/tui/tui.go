// Package tui shows a conversation on a whole terminal, or the contacts who may call.
//
//	keys ───▶ ┌───────┐ ─▶ say ──▶ Say          ┌──────────────┐
//	          │ model │ ─▶ work ─▶ SendFiles, … │ Conversation │
//	screen ◀─ └───────┘ ◀─ tidy ◀───── Events ◀─└──────────────┘
//
// Bubble Tea runs the model, and draws at most framesPerSecond. Only visible rows are made.
// All text of the other side passes tidy, which is screen.Clean and more. When the screen ends,
// the terminal is restored first. Then the conversation is printed, and later events follow as
// lines.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// mostQueued bounds the messages that wait until the conversation takes them.
const mostQueued = 256

// flushTimeout bounds how long the last messages may take to get into the outbox when the screen ends.
const flushTimeout = 500 * time.Millisecond

// Show is the screen for a whole terminal, which s.In and s.Out have to be. It gives the terminal
// back when the person leaves, ctx ends, the screen fails, or the conversation ends as the person asked: see finish.
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
		workers.Go(guard(program, gone, func() { program.Send(do(working)) }))
	}
	top := &recoverModel{model: m}
	program = newProgram(top, s)
	var unsent []*entry
	speaker.Go(guard(program, gone, func() { unsent = sendOutbox(working, c, outbox, program, gone) }))
	var shown error
	reader.Go(guard(program, gone, func() { shown = forwardEvents(c, program, finished, s) }))

	if n, ok := s.Notes.(noteHolder); ok {
		n.Hold()
		defer n.Release() // if printTranscript has not
	}
	interrupted := context.AfterFunc(ctx, program.Quit)
	err := m.run(program)
	interrupted()
	close(gone)
	m.printTranscript()
	close(outbox)
	late := time.AfterFunc(flushTimeout, stop)
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
	return errors.Join(err, top.err, shown)
}

// A noteHolder holds back what other parts of the program write while the screen has the terminal.
type noteHolder interface {
	Hold()
	Release()
}

// newModel returns a model before the first event.
func newModel(c talk, s screen.Streams) *model {
	m := &model{talk: c, terminal: newTerminal(s)}
	m.history.render = m.rows
	return m
}

// printTranscript prints the history once the screen has given the terminal back.
func (m *model) printTranscript() {
	text := restoreTitle + m.history.transcript()
	if n, ok := m.streams.Notes.(noteHolder); ok {
		defer n.Release()
	}
	if _, err := io.WriteString(m.streams.Out, text); err != nil {
		return // the terminal is gone
	}
	drafts := m.unsaid
	if draft := m.draft(); !slices.Contains(drafts, draft) { // else it was brought back
		drafts = append(drafts, draft)
	}
	for _, text := range drafts {
		m.reportUnsent(text)
	}
}

// draft returns what the person has written as a message and not sent.
func (m *model) draft() string {
	switch {
	case m.finding != nil:
		return m.finding.draft.text
	case m.asking != nil:
		return m.asking.draft.text
	}
	return m.input.text
}

// reportUnsent prints a text that the person wrote and did not send, if there is one.
func (m *model) reportUnsent(text string) {
	if text = strings.TrimSpace(text); text != "" {
		fmt.Fprintf(m.streams.Notes, "p2pchat: This was not sent: %s\n", strings.Join(tidy(text), "\n      "))
	}
}

// sendOutbox sends messages in order. It returns those that the conversation refused when the screen was
// gone, and could not show that.
func sendOutbox(ctx context.Context, c *chat.Conversation, outbox <-chan *entry, program *tea.Program, gone <-chan struct{}) (unsent []*entry) {
	for e := range outbox {
		taken := make(chan struct{})
		id, err := c.Say(ctx, e.text)
		program.Send(saidMsg{e, id, err, taken})
		if !awaitTaken(taken, gone) && err != nil {
			unsent = append(unsent, e)
		}
	}
	return unsent
}

// awaitTaken waits until the model has taken a message of the loop. It returns false if the screen ended
// before that.
func awaitTaken(taken, gone <-chan struct{}) bool {
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

// forwardEvents hands the model each event. Those that come when the screen is gone are shown as lines.
func forwardEvents(c *chat.Conversation, program *tea.Program, finished <-chan struct{}, s screen.Streams) error {
	lines := screen.Lines(s)
	for e := range c.Events() {
		taken := make(chan struct{})
		program.Send(eventMsg{e, taken})
		if awaitTaken(taken, finished) {
			continue
		}
		if err := lines(e); err != nil {
			return err
		}
	}
	saved := make(chan struct{})
	program.Send(overMsg{saved})
	awaitTaken(saved, finished)
	if s.Ended != nil {
		s.Ended(screen.Rest{
			Tell:  func(text, rings string) { program.Send(lateMsg{text: text, rings: rings}) },
			Close: func(text string, unsent func(string)) { program.Send(lateMsg{text: text, closes: unsent}) },
		})
	}
	return nil
}

// inputOf returns s.In. The end of a terminal interrupts the program: its window was closed.
func inputOf(s screen.Streams) io.Reader {
	if f, ok := s.In.(*os.File); ok && s.Interrupt != nil {
		return &hangupReader{f, s.Interrupt}
	}
	return s.In
}

// A hangupReader reads a terminal, and calls end when the terminal is gone.
type hangupReader struct {
	*os.File
	end func()
}

func (h *hangupReader) Read(b []byte) (int, error) {
	n, err := h.File.Read(b)
	if n == 0 && errors.Is(err, io.EOF) {
		h.end()
	}
	return n, err
}
