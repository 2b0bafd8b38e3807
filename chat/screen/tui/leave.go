package tui

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// underway is how long a message may be on its way before leaving counts it as undelivered: the goodbye
// waits about as long for it.
const underway = 2 * time.Second

// The ways to leave, as a hint tells the person to repeat them.
const (
	pressCtrlC = "Press Ctrl-C"
	pressCtrlD = "Press Ctrl-D"
	typeQuit   = "Type /quit"
)

// leave ends the screen; its caller says the goodbye. If that drops a message or a file, the
// person has to ask in the same way twice in a row.
func (m *model) leave(how string) tea.Cmd {
	if lost := m.leaveWarning(how); lost != "" && m.leaveAsked != how {
		m.leaveAsked, m.hint = how, lost
		return nil
	}
	return m.end()
}

// otherKey forgets that the person asked to leave with another key than this one.
func (m *model) otherKey(key string) {
	if how := map[string]string{"ctrl+c": pressCtrlC, "ctrl+d": pressCtrlD}[key]; m.leaveAsked != typeQuit && m.leaveAsked != how {
		m.leaveAsked = ""
	}
}

func (m *model) end() tea.Cmd {
	m.leaving = true
	return tea.Quit
}

// interrupt is Ctrl-C. It clears a draft first, and then asks once.
func (m *model) interrupt() tea.Cmd {
	switch {
	case m.input.text != "":
		if m.phase == over && !slices.Contains(m.unsaid, m.input.text) {
			m.unsaid = append(m.unsaid, m.input.text)
		}
		m.input.commit()
		m.dropTyped()
		m.hint = "Draft cleared. ↑ brings it back."
	case m.phase == over:
		return m.end()
	case m.leaveAsked == pressCtrlC:
		if m.streams.Interrupt != nil {
			m.streams.Interrupt()
		}
		return m.end()
	default:
		m.leaveAsked = pressCtrlC
		m.hint = cmp.Or(m.leaveWarning(pressCtrlC), "Press Ctrl-C again to leave.")
	}
	return nil
}

// quit is /quit.
func (m *model) quit(string) (tea.Cmd, string) {
	next := m.leave(typeQuit)
	return next, m.hint
}

// finish handles the end of the conversation. The screen stays if the person has to read why. After an error it stays for one who has
// pressed keys, and who would type on in the shell, which runs what it gets; where no key was pressed, no person may be there.
func (m *model) finish() tea.Cmd {
	m.phase, m.newCode = over, ""
	m.endQuestion()
	if m.left || m.refused || m.failed && m.typed {
		return nil
	}
	return tea.Quit
}

// late handles what comes while the screen still shows a conversation that is over.
func (m *model) late(t lateMsg) tea.Cmd {
	m.addNote(alarm, t.text)
	if t.closes == nil {
		return m.alert(t.rings)
	}
	t.closes(m.draft())
	return m.end()
}

// unfinished counts what leaving now would lose. What is kept for the next run is not lost: messages in any case, files unless the goodbye
// reaches the other side.
func (m *model) unfinished() (messages, files int) {
	if m.phase == over {
		return 0, 0
	}
	messages, files = m.undelivered(), len(m.transfers)
	if m.streams.Keeps && m.phase != up {
		files = 0
	}
	if m.streams.Keeps || m.phase == up && messages > 0 && m.now().Sub(m.pending[0].at) < underway {
		messages = 0
	}
	return messages, files
}

// leaveWarning says what leaving now would lose, and how to leave nevertheless. It returns "" if nothing
// would be lost.
func (m *model) leaveWarning(how string) string {
	messages, files := m.unfinished()
	var what string
	them := "them"
	switch {
	case messages == 0 && files == 0:
		return ""
	case files == 0:
		what = count(messages, "message has", "messages have") + " not been delivered."
	case messages == 0 && files == m.offers():
		what = count(files, "offered file waits", "offered files wait") + " for your answer: /accept all takes " + map[bool]string{true: "it", false: "them"}[files == 1] + "."
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

// offers counts the files that wait for this person's answer.
func (m *model) offers() (n int) {
	for _, t := range m.transfers {
		if !t.outgoing && !t.accepted && t.ended == "" {
			n++
		}
	}
	return n
}

// undelivered counts the messages that the other side has not read, as far as one can know, and that do not wait for it at the server.
func (m *model) undelivered() int {
	read := slices.IndexFunc(m.pending, func(e *entry) bool { return e.id == 0 || e.id > max(m.delivered, m.mailed) })
	if read < 0 {
		read = len(m.pending)
	}
	m.pending = m.pending[read:]
	return len(m.pending)
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
