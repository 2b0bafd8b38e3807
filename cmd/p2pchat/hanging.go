package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"p2pchat/chat/screen/tui"
)

// hangingOn returns text with its lines broken for the terminal that out is. For any other output it returns text: a line of a file
// or a pipe is whole.
func hangingOn(out io.Writer, text string) string {
	if width := widthOf(out); width > 0 {
		return tui.Hang(text, width)
	}
	return text
}

// widthOf returns how many cells a row of the terminal has that out is, or 0 if it is none.
func widthOf(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// A plainBool is the value of a flag that is on or off. It hides that it is one from pflag, whose help would say --qr[=true|false].
type plainBool struct{ pflag.Value }

// hangHelp lets the help of all commands fit into the terminal that out is. Otherwise the help stays as it is.
func hangHelp(root *cobra.Command, out io.Writer) {
	whole := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "bool" {
				f.Value = plainBool{f.Value}
			}
		})
		width := widthOf(out)
		if width == 0 {
			whole(c, args)
			return
		}
		fmt.Fprint(c.OutOrStdout(), tui.Hang(joinLines(cmp.Or(c.Long, c.Short))+"\n\n"+c.UsageString(), width))
	})
}

// A checkedWriter keeps the first error of a writer to which code writes that ignores errors.
type checkedWriter struct {
	to  io.Writer
	err error
}

// Write implements io.Writer.
func (w *checkedWriter) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	w.err = cmp.Or(w.err, err)
	return n, err
}

// joinLines makes one line of each paragraph. Rows that begin with a space are no paragraph.
func joinLines(text string) string {
	lines := strings.Split(text, "\n")
	var b strings.Builder
	for i, line := range lines {
		switch {
		case i == 0:
		case line == "" || lines[i-1] == "" || line[0] == ' ' || lines[i-1][0] == ' ':
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}
