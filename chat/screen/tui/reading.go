package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// away tells whether the person looks elsewhere, as far as the terminal says.
func (m *model) away() bool {
	return m.blurred || !m.tellsFocus && m.now().Sub(m.lastKey) > time.Minute
}

// hear shows a message of the other side. The first one that the person does not see is below a
// line that says where they left off.
func (m *model) hear(e *entry) {
	if !m.away() && m.history.follows() {
		m.history.add(e)
		return
	}
	if m.news == 0 {
		m.history.divides = true
	}
	m.news++
	m.history.add(e)
}

// looked notes that the person looks at the screen.
func (m *model) looked() {
	if m.history.follows() {
		m.news = 0
	}
}

// Titles: one is put on the terminal's stack before the first of the screen's own, and taken from
// there afterwards. A terminal without a stack has none then.
const (
	saveTitle    = "\x1b[22;0t"
	restoreTitle = "\x1b]0;\a\x1b[23;0t"
)

// mostTitle is how many cells of a name the title has.
const mostTitle = 40

// title is that of the window: how many messages are unread, and with whom.
func (m *model) title() string {
	text := "p2pchat"
	if m.link.Peer != "" {
		text = fit(m.other(), mostTitle, m.method) + " – p2pchat"
	}
	if m.news > 0 {
		text = fmt.Sprintf("(%d) %s", m.news, text)
	}
	return text
}

// retitle sets the title if it has changed.
func (m *model) retitle(next tea.Cmd) tea.Cmd {
	if t := m.title(); t != m.titled {
		m.titled = t
		return tea.Batch(next, tea.Raw(title{m}))
	}
	return next
}

// A title is written as it is when Bubble Tea's loop writes it: two that are set one soon after the
// other may come there in any order.
type title struct{ *model }

func (t title) String() string { return ansi.SetIconNameWindowTitle(t.title()) }
