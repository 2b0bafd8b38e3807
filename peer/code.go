package peer

import (
	"errors"
	"fmt"
	"strings"

	"p2pchat/signaling"
)

// ErrCode says that a text is not a code.
var ErrCode = errors.New("that is not a code")

// A Code is what two people share to meet: ROOM or ROOM-SECRET. The room goes to the
// server, the secret never does.
type Code struct {
	Room   string
	Secret string // words with dashes between them; empty: anybody who knows the room may come
}

// ParseCode reads a code as people write it: letter case makes no difference, and a
// space is as good as a dash. The error is ErrCode.
func ParseCode(text string) (Code, error) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == '-' || r == ' ' || r == '\t' })
	if len(words) == 0 {
		return Code{}, fmt.Errorf("%w: it is empty", ErrCode)
	}
	if err := signaling.CheckRoom(words[0]); err != nil {
		return Code{}, fmt.Errorf("%w: %w", ErrCode, err)
	}
	return Code{Room: words[0], Secret: strings.Join(words[1:], "-")}, nil
}

// String is the code as it is printed.
func (c Code) String() string {
	if c.Secret == "" {
		return c.Room
	}
	return c.Room + "-" + c.Secret
}
