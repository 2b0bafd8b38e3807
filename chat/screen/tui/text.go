package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"p2pchat/chat/screen"
)

// tabStop is the distance of tab stops in messages.
const tabStop = 4

// mostMarks bounds the code points of one cluster: enough for a family of emoji, too few to draw
// over other lines.
const mostMarks = 12

// tidy makes lines of a stranger's text: none can steer the terminal, and each is as wide as it is
// measured.
func tidy(text string) []string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = tidyLine(l)
	}
	return lines
}

func tidyLine(line string) string {
	line = screen.Clean(line)
	if !strings.ContainsFunc(line, func(r rune) bool { return r == '\t' || r >= utf8.RuneSelf }) {
		return line
	}
	var b strings.Builder
	column := 0
	for line != "" {
		g, width := cluster(line, ansi.WcWidth)
		line = line[len(g):]
		if g == "\t" {
			width = tabStop - column%tabStop
			g = strings.Repeat(" ", width)
		}
		b.WriteString(tidyCluster(g))
		column += width
	}
	return b.String()
}

// tidyCluster drops invisible characters, which terminals measure differently, except the joiners that
// scripts and emoji need.
func tidyCluster(g string) string {
	if len(g) == 1 {
		return g
	}
	n := 0
	return strings.Map(func(r rune) rune {
		n++
		joins := r == '\u200c' || r == '\u200d' || 0xe0020 <= r && r <= 0xe007f
		if n > mostMarks || unicode.Is(unicode.Cf, r) && !joins {
			return -1
		}
		return r
	}, g)
}

// cluster returns the first grapheme cluster of s (UAX #29), and how many cells it takes.
func cluster(s string, m ansi.Method) (string, int) {
	if c := s[0]; c < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		if c < 0x20 || c == 0x7f {
			return s[:1], 0
		}
		return s[:1], 1
	}
	return ansi.FirstGraphemeCluster(s, m)
}

// A segment is a part of a line: the bytes in [from, to).
type segment struct{ from, to int }

// wrap breaks a tidy line into rows of at most width cells, between words where it can.
// The rows together are the line, but for the spaces at which it broke.
func wrap(line string, width int, m ansi.Method) []string {
	var rows []string
	for _, r := range breakLine(line, width, m) {
		rows = append(rows, line[r.from:r.to])
	}
	return rows
}

// breakLine returns the rows of wrap as parts of the line.
func breakLine(line string, width int, m ansi.Method) (rows []segment) {
	width = max(width, 2) // the widest cluster
	if len(line) <= width {
		return []segment{{0, len(line)}}
	}
	for at := 0; ; {
		end, next := firstRow(line[at:], width, m)
		rows = append(rows, segment{at, at + end})
		if at += next; at == len(line) {
			return rows
		}
	}
}

// firstRow returns where the first row of line ends, and where the next one begins.
func firstRow(line string, width int, m ansi.Method) (end, next int) {
	used, at := 0, 0
	lastSpace := -1
	for at < len(line) {
		g, w := cluster(line[at:], m)
		if g == " " {
			if used > 0 {
				lastSpace = at
			}
			if used == width { // the space falls at the edge, and is dropped
				return at, at + 1
			}
		}
		if used+w > width {
			switch {
			case lastSpace > 0:
				return lastSpace, lastSpace + 1
			case at == 0: // a cluster that is wider than a row
				return len(g), len(g)
			}
			return at, at
		}
		used += w
		at += len(g)
	}
	return len(line), len(line)
}

// fit cuts s to width cells.
func fit(s string, width int, m ansi.Method) string {
	if width <= 0 {
		return ""
	}
	return m.Truncate(s, width, "…")
}

// fill returns s, cut or filled with spaces to exactly width cells.
func fill(s string, width int, m ansi.Method) string {
	s = fit(s, width, m)
	return s + strings.Repeat(" ", max(0, width-m.StringWidth(s)))
}
