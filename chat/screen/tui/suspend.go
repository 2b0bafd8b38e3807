package tui

import (
	"io"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

type (
	// A stopMsg says that another program has sent SIGTSTP.
	stopMsg struct{}
	// A wokenMsg says that SIGCONT has come after SIGSTOP, before which the screen could not give the
	// terminal back.
	wokenMsg struct{}
	// A resumedMsg says that the screen has the terminal again, unless err is set.
	resumedMsg struct{ err error }
)

// suspend stops the program: on Ctrl-Z, and on SIGTSTP of another program.
func (t *terminal) suspend() tea.Cmd {
	if t.jobs == nil || !canSuspend() {
		t.hint = "No shell is waiting that could bring this program back with fg."
		return nil
	}
	return t.withoutScreen(t.jobs.stop)
}

// withoutScreen gives the terminal back, runs do, and takes the terminal again: its modes, the
// alternate screen, bracketed paste, the mouse, and the rows. Bubble Tea then measures the terminal in a
// goroutine that races with the next call of withoutScreen: until the size has arrived, do waits.
func (t *terminal) withoutScreen(do func() error) tea.Cmd {
	if t.measuring {
		t.afterMeasuring = do
		return nil
	}
	t.measuring = true
	return tea.Exec(pause(func() error {
		_, _ = io.WriteString(t.streams.Out, restoreTitle) // a terminal that is gone ends the program
		err := do()
		time.Sleep(rendererStops)
		_, _ = io.WriteString(t.streams.Out, saveTitle)
		return err
	}), func(err error) tea.Msg { return resumedMsg{err} })
}

// measured handles the terminal's size: it runs what withoutScreen has put off.
func (t *terminal) measured() tea.Cmd {
	do := t.afterMeasuring
	t.measuring, t.afterMeasuring = false, nil
	if do == nil {
		return nil
	}
	return t.withoutScreen(do)
}

// rendererStops is how long the terminal is left alone at least. Bubble Tea's renderer stops its
// ticker some time after it was told to end, and has no way to wait for that. If the next renderer
// has started the ticker before, nothing is drawn any more.
const rendererStops = 50 * time.Millisecond

// mostResumes bounds how often taking the terminal may fail in a row.
const mostResumes = 10

// resumed sets what Bubble Tea does not set again. If the terminal could not be taken, because a shell
// took it at the same time, resumed tries again.
func (t *terminal) resumed(err error) tea.Cmd {
	switch t.resumeFailures++; {
	case err == nil:
		t.resumeFailures = 0
	case t.resumeFailures == mostResumes:
		return tea.Quit
	default:
		t.measuring = false // Bubble Tea measures only a terminal that it has taken
		return t.withoutScreen(func() error { return nil })
	}
	t.titleShown = ""
	if t.method == ansi.GraphemeWidth {
		return tea.Raw(ansi.SetModeUnicodeCore)
	}
	return nil
}

// A pause is a function that runs while the screen does not have the terminal.
type pause func() error

// Run implements tea.ExecCommand.
func (p pause) Run() error { return p() }

// SetStdin implements tea.ExecCommand.
func (pause) SetStdin(io.Reader) {}

// SetStdout implements tea.ExecCommand.
func (pause) SetStdout(io.Writer) {}

// SetStderr implements tea.ExecCommand.
func (pause) SetStderr(io.Writer) {}
