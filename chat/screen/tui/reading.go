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

// scroll moves the history by a number of rows; up is negative. The head gives way to what does not fit below it, and returns
// with another step down at the end.
func (m *model) scroll(by int) {
	switch {
	case by < 0 && m.hideHead(): // that shows more rows already
	case by > 0 && m.reading && m.history.follows():
		m.backToEnd()
	default:
		m.history.scroll(by, m.historyRows())
	}
}

// hideHead gives the history the rows of its head, and reports whether that shows more of it.
func (m *model) hideHead() bool {
	rows := m.historyRows()
	if rows == m.layout().history || len(m.history.window(rows+1)) <= rows {
		return false
	}
	m.reading = true
	return true
}

// backToEnd shows the end of the history, and its head.
func (m *model) backToEnd() {
	m.reading = false
	m.history.bottom()
}

// showHead shows the head again if it has given way: it has something new to say.
func (m *model) showHead() {
	if m.reading {
		m.backToEnd()
	}
}
