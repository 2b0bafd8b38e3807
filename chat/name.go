package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"p2pchat/chat/transfer"
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
	shown := []rune(transfer.Visible(name))
	name = strings.TrimSpace(string(shown[:min(len(shown), most)]))
	bare := looksLike(name)
	if name == "" || len(bare) >= len(program) && strings.EqualFold(bare[:len(program)], program) {
		return Stranger
	}
	return name
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }
