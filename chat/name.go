package chat

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"p2pchat/chat/transfer"
)

// Stranger is the name of a side that gives no proper one.
const Stranger = "stranger"

// Why a side has no proper name.
var (
	errNameBytes   = errors.New("it is not UTF-8")
	errNameHidden  = errors.New("no character of it can be shown")
	errNameProgram = errors.New("it could pass for the name of this program, with which the program's own lines begin")
)

// CheckName returns why a side that gives itself that name is called Stranger. It returns nil if
// the side is called by that name, or by what can be shown of it.
func CheckName(name string) error {
	_, err := fitName(name)
	return err
}

// properName returns the name that a side gives itself, fit for a line, or Stranger.
func properName(name string) string {
	fit, err := fitName(name)
	if err != nil {
		return Stranger
	}
	return fit
}

func fitName(name string) (string, error) {
	const most, program = 64, "p2pchat"
	if !utf8.ValidString(name) {
		return "", errNameBytes
	}
	shown := []rune(transfer.Visible(name))
	name = strings.TrimSpace(string(shown[:min(len(shown), most)]))
	switch bare := skeleton(name); {
	case name == "":
		return "", errNameHidden
	case len(bare) >= len(program) && strings.EqualFold(bare[:len(program)], program):
		return "", errNameProgram
	}
	return name, nil
}

// peerName returns what the other side is called, which gives itself that name: a contact has the name that the person gave it.
func (c *Conversation) peerName(name string) string {
	if c.config.Contact != "" {
		return c.config.Contact
	}
	return properName(name)
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }
