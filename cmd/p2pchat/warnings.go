package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"p2pchat/chat/screen"
)

// warnings are what a person should know before a command begins. A screen would cover what is written above it, so a command
// with a screen shows them there. The zero warnings are empty.
type warnings struct{ texts []string }

// take returns the warnings that no screen has yet.
func (w *warnings) take() (texts []string) {
	if w == nil {
		return nil
	}
	texts, w.texts = w.texts, nil
	return texts
}

// warn keeps a warning about c for its screen, or writes it at once if c has none.
func (std stdio) warn(c *cobra.Command, text string) {
	if std.warnings == nil || c.Flags().Lookup("ui") == nil {
		writeNotices(std.err, text)
		return
	}
	std.warnings.texts = append(std.warnings.texts, text)
}

// writeNotices writes lines for people where there is no screen.
func writeNotices(to io.Writer, texts ...string) {
	for _, text := range texts {
		fmt.Fprintf(to, "p2pchat: %s\n", screen.Capital(screen.Clean(text)))
	}
}

// warn adds a notice that the screen of the conversation will show.
func (o *talkOptions) warn(format string, args ...any) {
	o.notices = append(o.notices, fmt.Sprintf(format, args...))
}

// note adds a notice, unless it is empty, that the screen of the conversation will show.
func (o *talkOptions) note(notice string) {
	if notice != "" {
		o.notices = append(o.notices, notice)
	}
}
