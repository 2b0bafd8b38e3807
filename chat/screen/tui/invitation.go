package tui

import (
	"slices"
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"

	"p2pchat/chat/screen"
)

// An invitation is what the other side needs, in parts, each of some rows.
type invitation struct{ title, large, code, label, command, link []string }

// invitationParts makes the parts of an invitation, at a width in cells.
func (m *model) invitationParts(width int) invitation {
	width -= 3
	text := func(paint lipgloss.Style, s string) (rows []string) {
		for _, r := range wrap(s, width, m.method) {
			rows = append(rows, "  "+paint.Render(r))
		}
		return rows
	}
	code := tidyLine(m.code.Code)
	i := invitation{
		title:   text(m.style.strong, "Tell the other side this code."),
		code:    text(m.style.code, "code: "+code),
		label:   text(m.style.dim, screen.CommandLabel(m.code.Here)+":"),
		command: text(m.style.strong, tidyLine(m.code.Command)),
		link:    append(text(m.style.dim, "or opens:"), text(m.style.strong, tidyLine(m.code.Link))...),
	}
	if large := largeText(code); len(large) > 0 && m.method.StringWidth(large[0]) <= width {
		for _, r := range large {
			i.large = append(i.large, "  "+m.style.code.Render(r))
		}
	}
	return i
}

// layouts are the ways to show an invitation, the fullest first.
func (i invitation) layouts() [][]string {
	gap := []string{""}
	command := slices.Concat(i.label, i.command)
	return [][]string{
		slices.Concat(gap, i.title, gap, i.large, i.code, gap, command, gap, i.link, gap),
		slices.Concat(gap, i.large, i.code, gap, command, i.link),
		slices.Concat(i.code, command, i.link),
		slices.Concat(i.code, i.command),
	}
}

// fitting returns the fullest layout that has at most height rows, or the beginning of the code.
func (i invitation) fitting(height int) []string {
	for _, rows := range i.layouts() {
		if len(rows) <= height {
			return rows
		}
	}
	return i.code[:max(0, min(len(i.code), height))]
}

// invitation shows what the other side needs, large where there is room: the code, the command, the link, and
// its QR code if the person asked for that.
func (m *model) invitation(height int) []string {
	i := m.invitationParts(m.width)
	if m.streams.QR {
		if rows := m.withQR(i, height); rows != nil {
			return rows
		}
	}
	return i.fitting(height)
}

// withQR shows an invitation with the QR code of the link: beside the text, or below it. It returns nil if
// there is no room even for both codes alone.
func (m *model) withQR(i invitation, height int) []string {
	var qr []string
	for _, r := range m.qrRows() {
		qr = append(qr, m.style.qr.Render(r))
	}
	if len(qr) == 0 {
		return nil
	}
	full := i.layouts()[0]
	width := m.method.StringWidth(qr[0])
	rest := m.width - width - 1
	beside := m.invitationParts(rest).fitting(height)
	below := slices.Concat(full, indent(qr, 2), []string{""})
	codes := slices.Concat(i.code, indent(qr, 2))
	const least = 40 // cells of a text that is not the fullest, beside the QR code
	switch {
	case len(qr) <= height && len(beside) == len(full): // nothing is lost
		return m.sideBySide(beside, qr, rest)
	case len(below) <= height:
		return below
	case len(qr) <= height && rest >= least:
		return m.sideBySide(beside, qr, rest)
	case len(codes) <= height && width+2 <= m.width:
		return codes
	}
	return nil
}

// qrRows returns the rows of the link's QR code. It makes them once, because View asks for them after each key.
func (m *model) qrRows() []string {
	if m.qrLink != m.code.Link {
		m.qrLink, m.qr = m.code.Link, screen.QR(m.code.Link)
	}
	return m.qr
}

func indent(rows []string, by int) []string {
	var all []string
	for _, r := range rows {
		all = append(all, strings.Repeat(" ", by)+r)
	}
	return all
}

// sideBySide puts right beside left, which gets width cells.
func (m *model) sideBySide(left, right []string, width int) []string {
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

// largeText is text in letters three rows high, or nothing if it has letters without a form.
func largeText(text string) []string {
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

// glyphs are letters of five rows of pixels.
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
