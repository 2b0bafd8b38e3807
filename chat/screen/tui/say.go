package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// say sends a text. It reports whether the text is in the outbox; if not, a hint says why.
func (m *model) say(text string) bool {
	switch {
	case m.phase == over:
		m.hint = "It cannot be sent: the call is over. To close this screen: Ctrl-C, then Enter."
		return false
	case len(text) > chat.MaxMessage:
		m.hint = fmt.Sprintf("This has %d bytes, and a message holds at most %d. Send it as a file, or in parts.", len(text), chat.MaxMessage)
		return false
	}
	e := &entry{kind: said, at: m.now(), name: you, lines: tidy(text), text: text}
	select {
	case m.outbox <- e:
	default:
		m.hint = "Too many messages are waiting. Try again after some have been delivered."
		return false
	}
	m.history.add(e)
	m.backToEnd()
	m.sent++
	m.unanswered++
	if !m.copyTheirs {
		m.copyText = clean(text)
	}
	if !m.link.Foreign {
		m.pending = append(m.pending, e)
	}
	return true
}

// tellSaved tells the one who sent the overMsg once no message is on its way to the conversation.
func (m *model) tellSaved() {
	if m.saved != nil && m.unanswered == 0 {
		close(m.saved)
		m.saved = nil
	}
}

// said notes that a message is in the outbox, or shows that it was refused.
func (m *model) said(t saidMsg) {
	m.unanswered--
	if t.err != nil {
		m.pending = slices.DeleteFunc(m.pending, func(e *entry) bool { return e == t.entry })
		m.addNote(alarm, "Not sent: "+t.err.Error()+": "+strings.Join(t.entry.lines, " "))
		return
	}
	t.entry.id, t.entry.text = t.id, ""
	t.entry.sent = m.link.Foreign
}

// queued shows a message of an earlier run that is not delivered yet.
func (m *model) queued(q chat.Queued) {
	e := &entry{kind: said, at: m.now(), name: you, lines: tidy(q.Text), id: q.ID}
	if !q.Written.IsZero() {
		if e.at = q.Written.Local(); e.at.Format(time.DateOnly) != m.now().Format(time.DateOnly) { // an entry shows no day
			m.addNote(note, "You wrote this on "+screen.Moment(e.at)+":")
		}
	}
	m.history.add(e)
	m.pending = append(m.pending, e)
}

// mark shows how far a message of this side has come: see keyHelp.
func (m *model) mark(e *entry) string {
	switch {
	case e.id != 0 && e.id <= m.delivered:
		return m.style.delivered.Render("✓✓")
	case e.id != 0 && e.id <= m.mailed:
		return m.style.dim.Render(" ✉")
	case e.id != 0 && (m.phase == up || e.sent):
		return m.style.dim.Render(" ✓")
	}
	return m.style.warn.Render(" ○")
}
