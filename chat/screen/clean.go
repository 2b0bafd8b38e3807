package screen

import (
	"fmt"
	"strings"
	"unicode"
)

// Clean makes characters visible that could steer a terminal or the order of its letters.
// All text of the other side passes it. A line of text stays one line.
func Clean(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd") // a lone byte may steer, too
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !steers(r):
			b.WriteRune(r)
		case r < 0x20:
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		default:
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

// steers reports whether r is a control character other than the tab, a line separator, or a
// character that embeds, overrides or isolates a direction (UAX #9, section 2).
func steers(r rune) bool {
	switch {
	case r == '\t':
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	}
	return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}
