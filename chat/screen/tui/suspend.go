package tui

import (
	"io"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

type (
	// A stopMsg says that SIGTSTP has come from outside.
	stopMsg struct{}
	// A wokenMsg says that SIGCONT has come after a stop that left the terminal as it was.
	wokenMsg struct{}
	// A resumedMsg says that the screen has the terminal again.
	resumedMsg struct{}
)

// suspend is Ctrl-Z, and SIGTSTP from outside.
func (m *model) suspend() tea.Cmd {
	if m.jobs == nil || !canSuspend() {
		m.hint = "No shell is waiting that could bring this program back with fg."
		return nil
	}
	return m.withoutScreen(m.jobs.stop)
}

// withoutScreen gives the terminal back, does something, and takes the terminal again: its modes,
// the alternate screen, bracketed paste, the mouse, and all that is shown.
func (m *model) withoutScreen(do func() error) tea.Cmd {
	return tea.Exec(pause(do), func(error) tea.Msg { return resumedMsg{} })
}

// resumed says again what Bubble Tea does not.
func (m *model) resumed() tea.Cmd {
	if m.method == ansi.GraphemeWidth {
		return tea.Raw(ansi.SetModeUnicodeCore)
	}
	return nil
}

// A pause is what happens while the screen does not have the terminal.
type pause func() error

// Run implements tea.ExecCommand.
func (p pause) Run() error { return p() }

// SetStdin implements tea.ExecCommand.
func (pause) SetStdin(io.Reader) {}

// SetStdout implements tea.ExecCommand.
func (pause) SetStdout(io.Writer) {}

// SetStderr implements tea.ExecCommand.
func (pause) SetStderr(io.Writer) {}
