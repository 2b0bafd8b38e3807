package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"p2pchat/chat/transfer"
)

// Stranger is the name of a side that gives no proper one.
const Stranger = "stranger"

// properName returns the name that a side gives itself, fit for a line. It returns Stranger for a name that could pass
// for the program's, with which the program's own lines begin.
func properName(name string) string {
	const most, program = 64, "p2pchat"
	if !utf8.ValidString(name) {
		return Stranger
	}
	shown := []rune(transfer.Visible(name))
	name = strings.TrimSpace(string(shown[:min(len(shown), most)]))
	bare := skeleton(name)
	if name == "" || len(bare) >= len(program) && strings.EqualFold(bare[:len(program)], program) {
		return Stranger
	}
	return name
}

// peerName returns what the other side is called, which gives itself that name: a contact has the name that the person gave it.
func (c *Conversation) peerName(name string) string {
	if c.config.Contact != "" {
		return c.config.Contact
	}
	return properName(name)
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }
