package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat/screen"
)

// copyLink is Ctrl-Y while the other side is awaited; it is false if there is no link then.
func (m *model) copyLink() (tea.Cmd, bool) {
	if m.phase >= up || m.code.Link == "" {
		return nil, false
	}
	m.hint = "Copied the link, if your terminal allows it."
	return tea.SetClipboard(tidyLine(m.code.Link)), true
}

// copyMessage is /copy.
func (m *model) copyMessage(string) (tea.Cmd, string) {
	if m.last == "" {
		return nil, "There is no message to copy yet."
	}
	return tea.SetClipboard(m.last), "Copied the last message, if your terminal allows it."
}

// clean is a message as it may be pasted elsewhere: the tabs are still there, and nothing steers.
func clean(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = screen.Clean(l)
	}
	return strings.Join(lines, "\n")
}
