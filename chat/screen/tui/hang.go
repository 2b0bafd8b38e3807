package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// leastHanging is the narrowest terminal for which Hang breaks lines.
const leastHanging = 40

// Hang breaks the lines of a table between words, so that they fit into width cells, and indents what follows to the last column of
// the row. A word that is longer has a row to itself, which the terminal breaks.
func Hang(text string, width int) string {
	if width < leastHanging {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		hangLine(&b, tidyLine(line), width)
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// hangLine writes a tidy line as rows of width cells.
func hangLine(b *strings.Builder, line string, width int) {
	head := line[:lastColumn(line, width/2)]
	indent := ansi.StringWidthWc(head)
	b.WriteString(head)
	used, spaces := indent, -1 // the spaces before the next word
	for word := range strings.SplitSeq(line[len(head):], " ") {
		spaces++
		if word == "" {
			continue
		}
		cells := ansi.StringWidthWc(word)
		if used+spaces+cells > width {
			if spaces = 0; used > indent {
				b.WriteString("\n" + strings.Repeat(" ", indent))
				used = indent
			}
		}
		b.WriteString(strings.Repeat(" ", spaces) + word)
		used, spaces = used+spaces+cells, 0
	}
}

// lastColumn returns the byte at which the last column of a row begins: after two spaces, and before most cells.
func lastColumn(row string, most int) int {
	column, used := 0, 0
	for at := 0; at < len(row); {
		g, cells := cluster(row[at:], ansi.WcWidth)
		if used += cells; used > most {
			break
		}
		if at += len(g); strings.HasSuffix(row[:at], "  ") {
			column = at
		}
	}
	return column
}
