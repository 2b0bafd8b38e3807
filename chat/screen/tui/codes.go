package tui

import (
	"context"
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat/screen"
)

// A question asks for the code of the call to answer. Until it is answered, the box has the code instead
// of the draft.
type question struct {
	draft editor
	why   string
	must  bool // Esc does not end it, because the call needs a code
	typed bool // as the draft: see askIfCode
}

// codeWanted handles screen.CodeWanted. A caller gets a new code with Enter, and keeps the draft.
func (m *model) codeWanted(e screen.CodeWanted) {
	m.phase, m.noCall = waiting, ""
	m.showHead()
	if e.Calling && m.code.Code != "" { // lines above tell of its attempts
		m.addNote(note, "The code "+tidyLine(m.code.Code)+" no longer works.")
	}
	m.code = screen.Waiting{Answering: m.code.Answering} // the old one works no more
	if e.Calling {
		m.newCode = e.Why
		return
	}
	m.ask(e.Why, true)
}

func (m *model) ask(why string, must bool) {
	if m.finding != nil {
		m.input, m.finding = m.finding.draft, nil
	}
	if m.asking == nil {
		m.asking = &question{draft: m.input}
		m.input = editor{}
	}
	m.asking.why, m.asking.must = why, must
	m.showHead()
}

// endQuestion ends the question, and brings the draft back.
func (m *model) endQuestion() {
	if m.asking != nil {
		m.input, m.asking = m.asking.draft, nil
	}
}

// codeKey handles a key while the person is asked for a code.
func (m *model) codeKey(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "enter", "kpenter", "ctrl+j":
		return m.giveCode()
	case "tab":
		m.completeCode()
	case "up", "ctrl+p":
		m.input.recall(1)
	case "down", "ctrl+n":
		m.input.recall(-1)
	case "esc":
		switch {
		case m.reading:
			m.backToEnd()
		case !m.asking.must:
			if m.input.text != strings.TrimSpace(m.asking.draft.text) {
				m.dropTyped()
			}
			m.endQuestion()
		}
	default:
		return m.boxKey(k)
	}
	return nil
}

// correctHere goes on after the reason why a code is doubted: its text stays in the box, where the same code, typed again, would be appended.
const correctHere = " Or correct it here: Ctrl-U empties the line."

func (m *model) giveCode() tea.Cmd {
	text := strings.TrimSpace(m.input.text)
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(text, "/"): // no code begins so
		return m.runCommand(text)
	}
	if err := m.streams.Code(text); err != nil {
		m.hint = screen.Capital(tidyLine(err.Error()))
		switch {
		case !errors.Is(err, screen.ErrDoubtful): // or else the next one would be appended; ↑ brings it back
			m.input.commit()
		case m.asking != nil && !m.asking.typed: // the other hint of a typed line says what to do
			m.hint += correctHere
		}
		return nil
	}
	m.dropTyped()
	m.endQuestion()
	return nil
}

// askIfCode asks whether a line of the box is the caller's code or a message: a code must not reach the wrong person.
func (m *model) askIfCode(text string) {
	m.ask("", false)
	m.asking.typed = true
	m.input.set(strings.TrimSpace(text))
	m.notCode = text
	if m.giveCode(); m.asking != nil {
		m.hint += " To send it as a message: Esc, Enter."
	}
}

// dropTyped takes from the draft a line that the person has replaced, or that may still be a code when the other side comes: it would come
// back as a message, and the next Enter would send it.
func (m *model) dropTyped() {
	if m.asking != nil && m.asking.typed {
		m.asking.draft.commit()
		m.asking.typed = false
	}
}

// holdAnotherCall reports whether a line stays in a caller's box because it is the code of another call.
func (m *model) holdAnotherCall(text string) bool {
	if m.streams.AnotherCall == nil {
		return false
	}
	why := m.streams.AnotherCall(text)
	if why == "" {
		return false
	}
	m.notCode = text
	m.hint = tidyLine(why) + " To send it as a message: Enter again."
	return true
}

func (m *model) completeCode() {
	if m.streams.Complete == nil || m.input.at != len(m.input.text) {
		return
	}
	head, choice := m.streams.Complete(m.input.text)
	switch {
	case len(choice) == 0:
		m.hint = "No match."
	case len(choice) > 1 && len(choice) <= mostChoices && head == m.input.text:
		m.hint = strings.Join(choice, "  ")
	}
	m.input.set(head)
}

// takeCode tries a line of the box as the caller's code. A refused line stays in the box.
func (m *model) takeCode(text string) {
	if err := m.streams.Code(text); err != nil {
		m.hint = screen.Capital(tidyLine(err.Error()))
		if errors.Is(err, screen.ErrDoubtful) {
			m.hint += correctHere
		}
		return
	}
	m.input.commit()
}

// takeNewCode accepts the new code that a caller was offered.
func (m *model) takeNewCode() {
	if err := m.streams.Code(""); err != nil {
		m.hint = screen.Capital(err.Error())
	}
}

// again is /again.
func (m *model) again(string) (tea.Cmd, string) {
	if m.streams.Again == nil {
		return nil, "This call cannot be opened again."
	}
	m.work(func(context.Context) answer {
		err := m.streams.Again()
		return func(m *model) {
			if err != nil {
				m.addNote(alarm, screen.Capital(tidyLine(err.Error()))+".")
			}
		}
	})
	return nil, ""
}

// answering shows an answerer, above the history, what the program waits for until the two connect.
func (m *model) answering(height int) []string {
	width := m.width - 3
	paragraph := func(paint func(...string) string, s string) (rows []string) {
		for _, r := range wrap(s, width, m.method) {
			rows = append(rows, "  "+paint(r))
		}
		return append(rows, "")
	}
	var parts [][]string
	switch {
	case m.asking != nil:
		if m.asking.why != "" {
			parts = append(parts, paragraph(m.style.warn.Render, tidyLine(m.asking.why)))
		}
		parts = append(parts, paragraph(m.style.strong.Render, "Type the caller's code."))
	case m.newCode != "":
		parts = append(parts, paragraph(m.style.warn.Render, tidyLine(m.newCode)), paragraph(m.style.strong.Render, "Press Enter for a new code."))
	default:
		parts = append(parts, paragraph(m.style.strong.Render, m.code.Title()))
		if m.noCall != "" {
			parts = append(parts, paragraph(m.style.warn.Render, m.noCall))
		}
		if m.canRetype() {
			parts = append(parts, paragraph(m.style.dim.Render, "Press Enter to type another code."))
		}
		for _, hint := range m.hints {
			if m.noCall != "" {
				parts = append(parts, paragraph(m.style.dim.Render, hint))
			}
		}
	}
	rows := []string{""}
	for _, p := range parts {
		rows = append(rows, p...)
	}
	if len(rows) > height { // without the gaps
		rows = rows[:0]
		for _, p := range parts {
			rows = append(rows, p[:len(p)-1]...)
		}
	}
	return rows[:max(0, min(len(rows), height))]
}

// canRetype reports whether Enter lets the person type another code.
func (m *model) canRetype() bool {
	return m.phase == waiting && m.noCall != "" && m.streams.Code != nil
}
