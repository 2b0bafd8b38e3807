package tui

import (
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// wheelRows is how far a notch of the mouse wheel scrolls.
const wheelRows = 3

// key handles a key that the person pressed.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	if next, was := m.afterEscape(k); was {
		return tea.Batch(m.key(tea.KeyPressMsg{Code: tea.KeyEscape}), m.key(next))
	}
	m.hint = ""
	m.otherKey(k.String())
	switch {
	case m.scrollKey(k.String()):
		return nil
	case m.finding != nil:
		return m.searchKey(k)
	case m.asking != nil:
		return m.codeKey(k)
	}
	return m.messageKey(k)
}

// afterEscape returns the key that the person pressed soon after Esc, if k is both. Terminals send Alt and a key as Esc and that key,
// and tmux takes for Alt what comes within half a second: so a key with Alt that has no meaning of its own is Esc and the key.
func (m *model) afterEscape(k tea.KeyPressMsg) (next tea.KeyPressMsg, was bool) {
	if k.Mod&^tea.ModShift != tea.ModAlt {
		return k, false
	}
	switch k.String() {
	case "alt+b", "alt+d", "alt+f":
		return k, false
	case "alt+enter", "alt+kpenter": // a code has no second line
		return tea.KeyPressMsg{Code: k.Code}, m.asking != nil && m.finding == nil
	}
	r := k.Code
	switch {
	case k.ShiftedCode != 0:
		r = k.ShiftedCode
	case k.Mod.Contains(tea.ModShift):
		r = unicode.ToUpper(r)
	}
	if !unicode.IsPrint(r) {
		return k, false
	}
	return tea.KeyPressMsg{Code: r, Text: string(r)}, true
}

// messageKey handles a key while the box is for messages and commands.
func (m *model) messageKey(k tea.KeyPressMsg) tea.Cmd {
	width := m.width - len(m.prompt())
	switch key := k.String(); {
	case key == "enter", key == "kpenter", key == "ctrl+j": // the last: Enter that was typed before the terminal was raw
		return m.submit()
	case key == "tab":
		m.complete()
	case key == "ctrl+y" && m.canCopyLink():
		return m.copyLink()
	case key == "ctrl+r", key == "ctrl+f" && m.input.text == "":
		m.find("")
	case key == "esc":
		m.backToEnd()
	case key == "up", key == "ctrl+p":
		if !m.input.move(-1, width, m.method) {
			m.input.recall(1)
		}
	case key == "down", key == "ctrl+n":
		if !m.input.move(1, width, m.method) {
			m.input.recall(-1)
		}
	default:
		return m.boxKey(k)
	}
	return nil
}

// boxKey handles a key that means the same in a message, a code and a search: it leaves, suspends, redraws,
// or edits.
func (m *model) boxKey(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c":
		return m.interrupt()
	case "ctrl+d":
		if m.input.text == "" {
			return m.leave(pressCtrlD)
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
	page := max(1, m.historyRows()-1)
	switch key {
	case "pgup":
		m.scroll(-page)
	case "pgdown":
		m.scroll(page)
	case "shift+up":
		m.scroll(-1)
	case "shift+down":
		m.scroll(1)
	case "ctrl+home":
		m.hideHead()
		m.history.top(m.historyRows())
	case "ctrl+end":
		m.backToEnd()
	default:
		return false
	}
	return true
}

func (m *model) wheel(w tea.MouseWheelMsg) {
	switch w.Button {
	case tea.MouseWheelUp:
		m.scroll(-wheelRows)
	case tea.MouseWheelDown:
		m.scroll(wheelRows)
	}
}
