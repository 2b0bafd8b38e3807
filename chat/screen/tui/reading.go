package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// isAway reports whether the person looks elsewhere, as far as the terminal and the keyboard show.
func (m *model) isAway() bool {
	return m.blurred || !m.reportsFocus && m.now().Sub(m.lastKey) > time.Minute
}

// addTheirs shows a message of the other side. A line stands above the first one that the person does not
// see.
func (m *model) addTheirs(e *entry) {
	if !m.isAway() && m.history.follows() {
		m.history.add(e)
		return
	}
	if m.missed == 0 {
		m.history.divides = true
	}
	m.missed++
	m.history.add(e)
}

// markSeen notes that the person looks at the screen.
func (m *model) markSeen() {
	if m.history.follows() {
		m.missed = 0
	}
}

// The window's title is pushed on the terminal's stack before the screen sets its own, and popped when it
// ends. A terminal without such a stack is left with an empty title.
const (
	saveTitle    = "\x1b[22;0t"
	restoreTitle = "\x1b]0;\a\x1b[23;0t"
)

// mostTitle bounds the cells of a name in the title.
const mostTitle = 40

// title returns the window's title: how many messages were missed, and the name of the other side.
func (m *model) title() string {
	text := "p2pchat"
	if m.link.Peer != "" {
		text = fit(m.other(), mostTitle, m.method) + " – p2pchat"
	}
	if m.missed > 0 {
		text = fmt.Sprintf("(%d) %s", m.missed, text)
	}
	return text
}

// retitle sets the title if it has changed.
func (m *model) retitle(next tea.Cmd) tea.Cmd {
	if t := m.title(); t != m.titleShown {
		m.titleShown = t
		return tea.Batch(next, tea.Raw(title{m}))
	}
	return next
}

// A title is made when Bubble Tea writes it, because Bubble Tea may write two commands in any order.
type title struct{ *model }

func (t title) String() string { return ansi.SetIconNameWindowTitle(t.title()) }
