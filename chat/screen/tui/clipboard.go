package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat/screen"
)

// canCopyLink reports whether the other side is awaited, and there is a link for it.
func (m *model) canCopyLink() bool { return m.phase < up && m.code.Link != "" }

// copyLink copies the link for the other side.
func (m *model) copyLink() tea.Cmd {
	m.hint = "Copied the link, if your terminal allows it."
	return tea.SetClipboard(tidyLine(m.code.Link))
}

// copyMessage is /copy.
func (m *model) copyMessage(string) (tea.Cmd, string) {
	if m.copyText == "" {
		return nil, "There is no message to copy yet."
	}
	return tea.SetClipboard(m.copyText), "Copied the last message, if your terminal allows it."
}

// clean returns a message as it may be pasted elsewhere: with its tabs, and with nothing that could steer a
// terminal.
func clean(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = screen.Clean(l)
	}
	return strings.Join(lines, "\n")
}
