package tui

import (
	tea "charm.land/bubbletea/v2"
)

// wheelRows is how far a notch of the mouse wheel scrolls.
const wheelRows = 3

// key handles a key that the person pressed.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	m.hint = ""
	m.armed = m.armed && k.String() == "ctrl+c"
	switch {
	case m.scrollKey(k.String()):
		return nil
	case m.finding != nil:
		return m.searchKey(k)
	case m.asking != nil:
		return m.codeKey(k)
	}
	switch k.String() {
	case "enter", "kpenter", "ctrl+j": // the last: Enter that was typed before the terminal was raw
		return m.submit()
	case "tab":
		m.complete()
	case "ctrl+y":
		if next, copied := m.copyLink(); copied {
			return next
		}
		m.input.edit(k)
	case "ctrl+r":
		m.find("")
	case "ctrl+f":
		if m.input.text == "" {
			m.find("")
		}
		m.input.edit(k)
	case "esc":
		m.history.bottom()
	case "up", "ctrl+p":
		if !m.input.move(-1, m.width-len(m.prompt()), m.method) {
			m.input.remember(1)
		}
	case "down", "ctrl+n":
		if !m.input.move(1, m.width-len(m.prompt()), m.method) {
			m.input.remember(-1)
		}
	default:
		return m.boxKey(k)
	}
	return nil
}

// boxKey handles a key that means the same whatever the box is for: it leaves, suspends, redraws, or edits.
func (m *model) boxKey(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c":
		return m.interrupt()
	case "ctrl+d":
		if m.input.text == "" {
			return m.leave("Press Ctrl-D")
		}
		m.input.edit(k)
	case "ctrl+z":
		return m.suspend()
	case "ctrl+l":
		return tea.ClearScreen
	default:
		m.input.edit(k)
	}
	return nil
}

// scrollKey scrolls, if the key does that.
func (m *model) scrollKey(key string) bool {
	page := max(1, m.room()-1)
	switch key {
	case "pgup":
		m.history.scroll(-page, m.room())
	case "pgdown":
		m.history.scroll(page, m.room())
	case "shift+up":
		m.history.scroll(-1, m.room())
	case "shift+down":
		m.history.scroll(1, m.room())
	case "ctrl+home":
		m.history.top(m.room())
	case "ctrl+end":
		m.history.bottom()
	default:
		return false
	}
	return true
}

func (m *model) wheel(w tea.MouseWheelMsg) {
	switch w.Button {
	case tea.MouseWheelUp:
		m.history.scroll(-wheelRows, m.room())
	case tea.MouseWheelDown:
		m.history.scroll(wheelRows, m.room())
	}
}
