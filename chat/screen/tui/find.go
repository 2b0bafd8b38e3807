package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// A search goes through the history. Until it ends, the box has its text instead of the draft.
type search struct {
	draft editor
	found *entry // nil if nothing matches
}

// search is /find.
func (m *model) search(text string) (tea.Cmd, string) {
	m.find(text)
	return nil, m.hint
}

// find begins a search.
func (m *model) find(text string) {
	m.finding = &search{draft: m.input}
	m.input = editor{}
	m.input.set(text)
	m.seek(older)
}

// Where a search goes next.
const (
	older = -1
	newer = 1
)

const findHint = "↑ older, ↓ newer, Esc ends the search."

// seek shows the next match. If there is none, it stays at the current match, and a hint says so.
func (m *model) seek(by int) {
	text := strings.ToLower(m.input.text)
	if m.hint = "Type what to search for. Esc ends the search."; text == "" {
		m.finding.found = nil
		return
	}
	m.hint = findHint
	entries := m.history.entries
	at := slices.Index(entries, m.finding.found)
	if at < 0 {
		at = len(entries)
	}
	for i := at + by; i >= 0 && i < len(entries); i += by {
		if entries[i].has(text) {
			m.finding.found = entries[i]
			m.showFound(i)
			return
		}
	}
	switch {
	case m.finding.found == nil:
		m.hint = "No match. Esc ends the search."
	case by == older:
		m.hint = "No older match. " + findHint
	default:
		m.hint = "No newer match. " + findHint
	}
}

// has reports whether an entry contains text, which is in lower case.
func (e *entry) has(text string) bool {
	return e.kind != helped && slices.ContainsFunc(e.lines, func(l string) bool { return strings.Contains(strings.ToLower(l), text) })
}

// showFound scrolls to the first row of an entry that has the text, and puts it in the middle.
func (m *model) showFound(i int) {
	rows := m.rows(m.history.entries[i])
	row := max(0, slices.IndexFunc(rows, func(r string) bool { return strings.Contains(r, highlight) }))
	m.history.last, m.history.hidden = i, len(rows)-1-row
	m.history.scroll(m.historyRows()/2, m.historyRows())
	m.history.fillWindow(m.historyRows())
}

// searchKey handles a key of a search.
func (m *model) searchKey(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "esc", "ctrl+c", "ctrl+g":
		m.hint = ""
		m.input, m.finding = m.finding.draft, nil
		m.backToEnd()
	case "up", "ctrl+p", "ctrl+r", "ctrl+f", "enter", "kpenter", "ctrl+j":
		m.seek(older)
	case "down", "ctrl+n", "ctrl+s":
		m.seek(newer)
	case "ctrl+z":
		return m.suspend()
	case "ctrl+l":
		return tea.ClearScreen
	default:
		m.input.edit(k)
		m.refind()
	}
	return nil
}

// refind searches again, from the newest, because the text has changed.
func (m *model) refind() {
	m.finding.found = nil
	m.seek(older)
}

// sought returns the text to highlight in the rows of an entry.
func (m *model) sought(e *entry) string {
	if m.finding == nil || m.finding.found != e {
		return ""
	}
	return m.input.text
}
