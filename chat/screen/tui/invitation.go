package tui

import (
	"slices"
	"strings"
	"unicode"

	"p2pchat/chat/screen"
)

// invitation is what the other side needs, large where there is room: the code, the
// command, the link, and its QR code if that was asked for.
func (m *model) invitation(height int) []string {
	width := m.width - 3
	text := func(paint func(...string) string, s string) []string {
		var rows []string
		for _, r := range wrap(s, width, m.method) {
			rows = append(rows, "  "+paint(r))
		}
		return rows
	}
	code := tidyLine(m.code.Code)
	command := append(text(m.style.dim.Render, screen.Types(m.code.Here)+":"), text(m.style.strong.Render, tidyLine(m.code.Command))...)
	link := append(text(m.style.dim.Render, "or opens:"), text(m.style.strong.Render, tidyLine(m.code.Link))...)
	large := large(code)
	if len(large) == 0 || m.method.StringWidth(large[0]) > width {
		large = nil
	}
	for i := range large {
		large[i] = "  " + m.style.code.Render(large[i])
	}
	named := text(m.style.code.Render, "code: "+code)
	title := text(m.style.strong.Render, "Tell the other side this code.")
	var qr []string
	if m.streams.QR {
		for _, r := range screen.QR(m.code.Link) {
			qr = append(qr, m.style.qr.Render(r))
		}
	}
	gap := []string{""}

	// The fullest one that fits.
	join := func(parts ...[]string) (all []string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	full := join(gap, title, gap, large, named, gap, command, gap, link, gap)
	if len(qr) > 0 {
		beside := m.width - m.method.StringWidth(qr[0]) - 1
		narrower := (&model{width: beside, method: m.method, style: m.style, code: m.code}).invitation(height)
		stacked := join(full, indent(qr, 2), gap)
		switch {
		case len(qr) <= height && len(narrower) == len(full): // nothing is lost
			return besides(narrower, qr, beside, m)
		case len(stacked) <= height:
			return stacked
		case len(qr) <= height && beside >= 40:
			return besides(narrower, qr, beside, m)
		}
		if flat := join(named, indent(qr, 2)); len(flat) <= height && len(qr[0]) > 0 && m.method.StringWidth(qr[0])+2 <= m.width {
			return flat
		}
	}
	for _, choice := range [][]string{full, join(gap, large, named, gap, command, link), join(named, command, link), join(named, text(m.style.strong.Render, tidyLine(m.code.Command)))} {
		if len(choice) <= height {
			return choice
		}
	}
	return named[:max(0, min(len(named), height))]
}

func indent(rows []string, by int) []string {
	var all []string
	for _, r := range rows {
		all = append(all, strings.Repeat(" ", by)+r)
	}
	return all
}

// besides puts right beside left, which is so many cells wide.
func besides(left, right []string, width int, m *model) []string {
	var all []string
	for i := range max(len(left), len(right)) {
		row := ""
		if i < len(left) {
			row = left[i]
		}
		if i < len(right) {
			row += strings.Repeat(" ", max(0, width-m.method.StringWidth(row))) + right[i]
		}
		all = append(all, row)
	}
	return all
}

// large is text in letters three rows high, or nothing if it has letters without a form.
func large(text string) []string {
	pixels := make([]strings.Builder, 6) // the last row stays empty
	for _, r := range text {
		glyph, ok := glyphs[unicode.ToLower(r)]
		if !ok {
			return nil
		}
		for y, line := range strings.Split(glyph, "/") {
			pixels[y].WriteString(line + " ")
		}
		pixels[5].WriteString(strings.Repeat(" ", strings.IndexByte(glyph, '/')+1))
	}
	var rows []string
	for pair := range slices.Chunk(pixels, 2) {
		upper, lower := pair[0].String(), pair[1].String()
		var row strings.Builder
		for x := range upper {
			row.WriteString(map[string]string{"  ": " ", "# ": "▀", " #": "▄", "##": "█"}[upper[x:x+1]+lower[x:x+1]])
		}
		rows = append(rows, strings.TrimRight(row.String(), " "))
	}
	widest := 0
	for _, r := range rows {
		widest = max(widest, len([]rune(r)))
	}
	rows[0] += strings.Repeat(" ", widest-len([]rune(rows[0])))
	return rows
}

// glyphs are five rows of pixels each.
var glyphs = map[rune]string{
	'0': "###/# #/# #/# #/###", '1': " # /## / # / # /###", '2': "###/  #/###/#  /###", '3': "###/  #/ ##/  #/###",
	'4': "# #/# #/###/  #/  #", '5': "###/#  /###/  #/###", '6': "###/#  /###/# #/###", '7': "###/  #/ # / # / # ",
	'8': "###/# #/###/# #/###", '9': "###/# #/###/  #/###",
	'a': " # /# #/###/# #/# #", 'b': "## /# #/## /# #/## ", 'c': " ##/#  /#  /#  / ##", 'd': "## /# #/# #/# #/## ",
	'e': "###/#  /## /#  /###", 'f': "###/#  /## /#  /#  ", 'g': " ###/#   /# ##/#  #/ ###", 'h': "# #/# #/###/# #/# #",
	'i': "###/ # / # / # /###", 'j': "  #/  #/  #/# #/ # ", 'k': "#  #/# # /##  /# # /#  #", 'l': "#  /#  /#  /#  /###",
	'm': "#   #/## ##/# # #/#   #/#   #", 'n': "#  #/## #/# ##/#  #/#  #", 'o': " ## /#  #/#  #/#  #/ ## ", 'p': "## /# #/## /#  /#  ",
	'q': " ## /#  #/#  #/# ##/ ###", 'r': "## /# #/## /# #/# #", 's': " ##/#  / # /  #/## ", 't': "###/ # / # / # / # ",
	'u': "# #/# #/# #/# #/###", 'v': "# #/# #/# #/# #/ # ", 'w': "#   #/#   #/# # #/## ##/#   #", 'x': "# #/# #/ # /# #/# #",
	'y': "# #/# #/ # / # / # ", 'z': "###/  #/ # /#  /###",
	'-': "  /  /##/  /  ", '.': " / / / /#", '_': "   /   /   /   /###", '~': "    / # #/# # /    /    ",
}
