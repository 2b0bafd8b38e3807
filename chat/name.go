package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Stranger is the name of a side that does not give a proper one.
const Stranger = "stranger"

// properName makes what a side calls itself fit for a line. It must not pass for the
// program, whose own lines begin with its name.
func properName(name string) string {
	const most, program = 64, "p2pchat"
	if !utf8.ValidString(name) {
		return Stranger
	}
	shown := []rune(keep(visible, name))
	name = strings.TrimSpace(string(shown[:min(len(shown), most)]))
	bare := keep(alphanumeric, name) // marks and signs around them make no other name
	if name == "" || len(bare) >= len(program) && strings.EqualFold(bare[:len(program)], program) {
		return Stranger
	}
	return name
}

func keep(these func(rune) bool, text string) string {
	return strings.Map(func(r rune) rune {
		if these(r) {
			return r
		}
		return -1
	}, text)
}

// visible tells what can be seen: some of what counts as printable leaves no trace.
func visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }
