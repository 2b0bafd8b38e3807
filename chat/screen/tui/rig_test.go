package tui

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// A stagehand is the conversation behind a screen: it notes what is asked of it.
type stagehand struct {
	did []string
	err error
}

func (s *stagehand) SendFiles(_ context.Context, paths ...string) ([]uint64, error) {
	for _, path := range paths {
		s.did = append(s.did, "send "+path)
	}
	return nil, s.err
}

func (s *stagehand) SetName(name string) string {
	s.did = append(s.did, "name "+name)
	return name
}

func (s *stagehand) KeepPeer(name string, compared bool) error {
	s.did = append(s.did, fmt.Sprint("keep ", name, compared))
	return s.err
}

func (s *stagehand) LeaveOverheard() { s.did = append(s.did, "leave overheard") }
func (s *stagehand) Leave()          { s.did = append(s.did, "leave") }

func (s *stagehand) Accept(id uint64) error {
	s.did = append(s.did, fmt.Sprint("accept ", id))
	return s.err
}

func (s *stagehand) Decline(id uint64) error {
	s.did = append(s.did, fmt.Sprint("decline ", id))
	return s.err
}

func (s *stagehand) Cancel(id uint64, outgoing bool) error {
	s.did = append(s.did, fmt.Sprint("cancel ", id, outgoing))
	return s.err
}

// A rig is a model under test, with a clock that is set by hand.
type rig struct {
	*model
	t      *testing.T
	talk   stagehand
	outbox chan *entry
	clock  time.Time
	asked  []tea.Cmd // what the last Update wants done
}

var evening = time.Date(2026, time.November, 24, 21, 4, 0, 0, time.UTC)

func newRig(t *testing.T, columns, rows int) *rig {
	t.Helper()
	r := &rig{t: t, outbox: make(chan *entry, mostQueued), clock: evening}
	r.model = newModel(&r.talk, screen.Streams{})
	r.model.outbox = r.outbox
	r.now = func() time.Time { return r.clock }
	r.lastKey = r.clock
	r.work = func(do func(context.Context) answer) { r.send(do(t.Context())) }
	r.send(tea.WindowSizeMsg{Width: columns, Height: rows})
	return r
}

func (r *rig) send(messages ...tea.Msg) *rig {
	r.t.Helper()
	for _, m := range messages {
		_, next := r.Update(m)
		r.asked = nil
		r.ask(next)
		r.fits()
	}
	return r
}

// ask notes what is wanted, and each part of it.
func (r *rig) ask(next tea.Cmd) {
	if next == nil {
		return
	}
	if batch, ok := next().(tea.BatchMsg); ok {
		for _, c := range batch {
			r.ask(c)
		}
		return
	}
	r.asked = append(r.asked, next)
}

// writes is what the last Update writes past the screen.
func (r *rig) writes() string {
	var b strings.Builder
	for _, c := range r.asked {
		if raw, ok := c().(tea.RawMsg); ok {
			fmt.Fprint(&b, raw.Msg)
		}
	}
	return b.String()
}

// happens hands the model events.
func (r *rig) happens(events ...chat.Event) *rig {
	r.t.Helper()
	for _, e := range events {
		r.send(eventMsg{e, make(chan struct{})})
	}
	return r
}

func (r *rig) press(text string) *rig {
	r.t.Helper()
	for _, k := range keys(text) {
		r.send(k)
	}
	return r
}

// speaks puts what was said into the outbox, as a conversation numbers it.
func (r *rig) speaks(id uint64) *rig {
	r.t.Helper()
	return r.send(saidMsg{<-r.outbox, id, nil, make(chan struct{})})
}

// seen is the screen as plain text.
func (r *rig) seen() string { return ansi.Strip(r.View().Content) }

// fits checks that the screen is exactly as large as the terminal.
func (r *rig) fits() {
	r.t.Helper()
	if r.width < 2 || r.height < 1 {
		return
	}
	rows := strings.Split(r.View().Content, "\n")
	if len(rows) != r.height {
		r.t.Fatalf("%d rows on a screen of %d×%d:\n%s", len(rows), r.width, r.height, r.seen())
	}
	for _, row := range rows {
		if w := r.method.StringWidth(row); w > r.width {
			r.t.Fatalf("a row of %d cells on a screen of %d×%d: %q", w, r.width, r.height, row)
		}
	}
}

func (r *rig) shows(pattern string) {
	r.t.Helper()
	if !regexp.MustCompile("(?m)" + pattern).MatchString(r.seen()) {
		r.t.Errorf("it does not show %q:\n%s", pattern, r.seen())
	}
}

// quits tells whether the last message ended the screen.
func (r *rig) quits() bool {
	for _, c := range r.asked {
		if _, ok := c().(tea.QuitMsg); ok {
			return true
		}
	}
	return false
}
