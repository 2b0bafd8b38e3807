package tui

import (
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"p2pchat/chat/screen"
)

// A terminal is what a screen knows of the terminal that it has, and of the person in front of it.
type terminal struct {
	streams screen.Streams
	now     func() time.Time
	notify  notifier
	jobs    *jobs // nil where no shell could continue the program

	width, height  int
	method         ansi.Method // by which it measures text
	style          style
	reportsFocus   bool         // it reports which window has the focus
	blurred        bool         // another window has it
	lastKey        time.Time    // when the person last pressed one
	hint           string       // why the last key did not do what it could, or what it could mean
	titleShown     string       // the window's title
	measuring      bool         // since withoutScreen, until the terminal's size has arrived
	afterMeasuring func() error // for withoutScreen
	resumeFailures int          // attempts to take the terminal again that failed in a row
}

func newTerminal(s screen.Streams) terminal {
	return terminal{streams: s, now: time.Now, lastKey: time.Now(), notify: newNotifier(os.Getenv), style: newStyle(true, false)}
}

// run shows top on the terminal until it quits, and gives the terminal back.
func (t *terminal) run(program *tea.Program) error {
	defer guardTerminal(t.streams.In)()
	t.jobs = watchJobs(program.Send)
	defer t.jobs.end()
	_, _ = io.WriteString(t.streams.Out, saveTitle) // a terminal that is gone ends the program
	_, err := program.Run()
	return err
}

// newProgram returns what shows top on the terminal.
func newProgram(top tea.Model, s screen.Streams) *tea.Program {
	return newProgramWithClock(top, tea.WithInput(inputOf(s)), tea.WithOutput(s.Out), tea.WithoutSignalHandler())
}

// report handles what the terminal reports of itself, and what the shell does with it.
func (t *terminal) report(message tea.Msg) tea.Cmd {
	switch r := message.(type) {
	case stopMsg:
		return t.suspend()
	case wokenMsg:
		return t.withoutScreen(func() error { return nil })
	case resumedMsg:
		return t.resumed(r.err)
	case tea.WindowSizeMsg:
		t.width, t.height = r.Width, r.Height
		return t.measured()
	case tea.FocusMsg:
		t.reportsFocus, t.blurred = true, false
	case tea.BlurMsg:
		t.reportsFocus, t.blurred = true, true
	case tea.BackgroundColorMsg:
		t.style = newStyle(r.IsDark(), t.style.plain)
	case tea.ColorProfileMsg:
		t.style = newStyle(t.style.dark, r.Profile <= colorprofile.ASCII)
	case tea.ModeReportMsg:
		if r.Mode == ansi.ModeUnicodeCore && (r.Value == ansi.ModeReset || r.Value == ansi.ModeSet || r.Value == ansi.ModePermanentlySet) {
			t.method = ansi.GraphemeWidth // as Bubble Tea measures from now on
		}
	}
	return nil
}

// isAway reports whether the person looks elsewhere, as far as the terminal and the keyboard show.
func (t *terminal) isAway() bool {
	return t.blurred || !t.reportsFocus && t.now().Sub(t.lastKey) > time.Minute
}

// The window's title is pushed on the terminal's stack before the screen sets its own, and popped when it
// ends. A terminal without such a stack is left with an empty title.
const (
	saveTitle    = "\x1b[22;0t"
	restoreTitle = "\x1b]0;\a\x1b[23;0t"
)

// retitle sets the window's title if it has changed.
func (t *terminal) retitle(text title, next tea.Cmd) tea.Cmd {
	if now := text(); now != t.titleShown {
		t.titleShown = now
		return tea.Batch(next, tea.Raw(text))
	}
	return next
}

// A title is made when Bubble Tea writes it, because Bubble Tea may write two commands in any order.
type title func() string

func (t title) String() string { return ansi.SetIconNameWindowTitle(t()) }
