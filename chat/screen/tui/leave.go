package tui

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// underway is how long a message may take to arrive before leaving counts it as undelivered:
// the goodbye waits about as long for what is on its way.
const underway = 2 * time.Second

// leave ends the screen; its caller says the goodbye. Where that drops a message or a file, the
// person has to ask twice; how is the key or command that does.
func (m *model) leave(how string) tea.Cmd {
	if lost := m.atStake(how); lost != "" && !m.warned {
		m.warned, m.hint = true, lost
		return nil
	}
	return m.end()
}

func (m *model) end() tea.Cmd {
	m.leaving = true
	return tea.Quit
}

// interrupt is Ctrl-C. It clears a draft first, and then asks once.
func (m *model) interrupt() tea.Cmd {
	switch {
	case m.input.text != "":
		m.input.take()
		m.hint = "Draft cleared. ↑ brings it back."
	case m.phase == over:
		return m.end()
	case m.armed:
		if m.streams.Interrupt != nil {
			m.streams.Interrupt()
		}
		return m.end()
	default:
		m.armed, m.warned = true, true
		m.hint = cmp.Or(m.atStake("Press Ctrl-C"), "Press Ctrl-C again to leave.")
	}
	return nil
}

// quit is /quit.
func (m *model) quit(string) (tea.Cmd, string) {
	next := m.leave("Type /quit")
	return next, m.hint
}

// finish comes when the conversation is over. The screen stays if the person has to read why.
func (m *model) finish() tea.Cmd {
	m.phase = over
	if m.left || m.refused {
		return nil
	}
	return tea.Quit
}

// stake counts what leaving now would lose.
func (m *model) stake() (messages, files int) {
	if m.phase == over {
		return 0, 0
	}
	messages, files = m.undelivered(), len(m.transfers)
	if m.streams.Keeps || m.phase == up && messages > 0 && m.now().Sub(m.unread[0].at) < underway {
		messages = 0
	}
	return messages, files
}

// atStake says what leaving now would lose, and what to do to lose it; how is the key or
// command. It returns "" if nothing would be lost.
func (m *model) atStake(how string) string {
	messages, files := m.stake()
	var what string
	them := "them"
	switch {
	case messages == 0 && files == 0:
		return ""
	case files == 0:
		what = count(messages, "message has", "messages have") + " not been delivered."
	case messages == 0:
		what = map[bool]string{true: "A file is still on its way.", false: fmt.Sprintf("%d files are still on their way.", files)}[files == 1]
	default:
		what = fmt.Sprintf("%s and %s have not been delivered.", count(messages, "message", "messages"), count(files, "file", "files"))
	}
	if messages+files == 1 {
		them = "it"
	}
	return what + " " + how + " again to drop " + them + "."
}

// undelivered counts the messages that the other side has not read, as far as one can know.
func (m *model) undelivered() int {
	read := slices.IndexFunc(m.unread, func(e *entry) bool { return e.id == 0 || e.id > m.delivered })
	if read < 0 {
		read = len(m.unread)
	}
	m.unread = m.unread[read:]
	return len(m.unread)
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
