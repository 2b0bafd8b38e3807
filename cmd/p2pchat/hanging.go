package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// leastHanging is the narrowest terminal for which hanging breaks lines.
const leastHanging = 40

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
	return hanging(text, width)
}

// hanging breaks lines between words, so that they fit into width, and indents what follows to the last column of a table's row.
func hanging(text string, width int) string {
	if width < leastHanging {
		return text
	}
	var b strings.Builder
	for whole := range strings.Lines(text) {
		rest, indent := whole, lastColumn(whole, width/2)
		for utf8.RuneCountInString(strings.TrimSuffix(rest, "\n")) > width {
			cut := indent + strings.LastIndexByte(rest[indent:byteAt(rest, width+1)], ' ')
			if cut <= indent { // a long word
				break
			}
			b.WriteString(rest[:cut] + "\n")
			rest = strings.Repeat(" ", indent) + rest[cut+1:]
		}
		b.WriteString(rest)
	}
	return b.String()
}

// lastColumn returns where the last column of a row begins: after two spaces, and before most.
func lastColumn(row string, most int) int {
	head := row[:byteAt(row, most)]
	if at := strings.LastIndex(head, "  "); at >= 0 {
		return at + 2
	}
	return 0
}

// byteAt returns the byte at which character n of text begins, or the length of a text that is shorter.
func byteAt(text string, n int) int {
	for at := range text {
		if n == 0 {
			return at
		}
		n--
	}
	return len(text)
}
