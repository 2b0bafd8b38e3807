package tui

import "fmt"

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
