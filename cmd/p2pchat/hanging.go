package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"p2pchat/chat/screen/tui"
)

// hangingOn returns text with its lines broken for the terminal that out is. For any other output it returns text: a line of a file
// or a pipe is whole.
func hangingOn(out io.Writer, text string) string {
	f, ok := out.(*os.File)
	if !ok {
		return text
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return text
	}
	return tui.Hang(text, width)
}
