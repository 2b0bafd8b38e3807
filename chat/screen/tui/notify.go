package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// A notifier calls a person who looks elsewhere: with the bell, and on terminals that
// show notifications, with one.
type notifier struct {
	form string // osc9, osc777 or none
	last time.Time
}

const (
	osc9   = "9"
	osc777 = "777"
)

// newNotifier finds out which form the terminal understands; getenv is os.Getenv.
func newNotifier(getenv func(string) string) notifier {
	term, program := getenv("TERM"), getenv("TERM_PROGRAM")
	switch {
	case getenv("TMUX") != "", strings.HasPrefix(term, "screen"): // they pass on the bell, and drop the rest
		return notifier{}
	case program == "iTerm.app", program == "WezTerm", program == "ghostty", strings.Contains(term, "kitty"), strings.Contains(term, "ghostty"):
		return notifier{form: osc9}
	case getenv("VTE_VERSION") != "", strings.HasPrefix(term, "foot"), strings.HasPrefix(term, "rxvt"):
		return notifier{form: osc777}
	}
	return notifier{}
}

// sequence returns what to write to the terminal. Its callers name a person, and never quote a message.
func (n notifier) sequence(why string) string {
	why = strings.ReplaceAll(tidyLine(why), ";", ",")
	switch n.form {
	case osc9:
		return "\a" + ansi.Notify("p2pchat: "+why)
	case osc777:
		return "\a" + ansi.URxvtExt("notify", "p2pchat", why)
	}
	return "\a"
}

// alert calls the person, wherever they look; why may be empty.
func (t *terminal) alert(why string) tea.Cmd {
	if t.streams.Quiet || why == "" {
		return nil
	}
	return tea.Raw(t.notify.sequence(why))
}

// ring calls the person if they look elsewhere, every 2 s at most.
func (t *terminal) ring(why string) tea.Cmd {
	now := t.now()
	if t.streams.Quiet || !t.isAway() || now.Sub(t.notify.last) < 2*time.Second {
		return nil
	}
	t.notify.last = now
	return tea.Raw(t.notify.sequence(why))
}
