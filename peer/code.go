package peer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"p2pchat/signaling"
)

// ErrCode says that a text is not a code.
var ErrCode = errors.New("that is not a code")

// maxSecret is how many bytes a secret may have.
const maxSecret = 256

// Marks that a sentence puts around a code or a link. A room's name may end with ~ or _, which
// are not among them.
const (
	quotes  = "\"'`“”„‟‘’‚‛«»‹›"
	opening = " \t([{<「『¿¡" + quotes
	closing = " \t)]}>」』.,;:!?…。、،؛؟" + quotes
)

// A Code is what two people share to meet: ROOM or ROOM-SECRET. The room goes to the
// server, the secret never does.
type Code struct {
	Room   string
	Secret string // words with dashes between them; empty: anyone who knows the room may come
}

// ParseCode reads a code as people write it: letter case makes no difference, a space
// is as good as a dash, and so is the longer dash that a phone makes of it. Letters
// that look the same are the same (Unicode's form NFKC). Punctuation around the code is
// dropped, see TrimMarks, and so is the "code:" that call prints before it. It returns ErrCode if
// text is not a code.
func ParseCode(text string) (Code, error) {
	if !utf8.ValidString(text) {
		return Code{}, fmt.Errorf("%w: it is not UTF-8", ErrCode)
	}
	text = TrimMarks(normal(text))
	if printed, found := strings.CutPrefix(strings.TrimPrefix(text, "p2pchat: "), "code:"); found {
		text = TrimMarks(printed)
	}
	dash := func(r rune) bool { return unicode.Is(unicode.Pd, r) }
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || dash(r) })
	switch { // without its room, the secret must not become a room's name
	case len(words) == 0:
		return Code{}, fmt.Errorf("%w: it has no letters and no digits", ErrCode)
	case strings.IndexFunc(text, dash) == 0:
		return Code{}, fmt.Errorf("%w: the room before the dash is missing", ErrCode)
	case strings.TrimRightFunc(text, dash) != text:
		return Code{}, fmt.Errorf("%w: the word after the last dash is missing", ErrCode)
	}
	if err := signaling.CheckRoom(words[0]); err != nil {
		return Code{}, fmt.Errorf("%w: %s", ErrCode, strings.TrimPrefix(err.Error(), signaling.ErrInvalid.Error()+": "))
	}
	c := Code{Room: words[0], Secret: strings.Join(words[1:], "-")}
	if c.Secret == "" && misspelt(c.Room) {
		return Code{}, fmt.Errorf("%w: put dashes between its words, or the server would see all of it", ErrCode)
	}
	if len(c.Secret) > maxSecret {
		return Code{}, fmt.Errorf("%w: its secret is longer than %d bytes", ErrCode, maxSecret)
	}
	if i := strings.IndexFunc(c.Secret, func(r rune) bool { return !unicode.IsGraphic(r) }); i >= 0 {
		return Code{}, fmt.Errorf("%w: its secret has a character that cannot be seen", ErrCode)
	}
	return c, nil
}

// TrimMarks returns text without the spaces, quotes, brackets and sentence punctuation around it: a
// code or a link is often copied with them.
func TrimMarks(text string) string {
	return strings.TrimRight(strings.TrimLeft(text, opening), closing)
}

// misspelt reports whether a room's name looks like a code that call makes, with other signs
// for its dashes.
func misspelt(room string) bool {
	parts := strings.FieldsFunc(room, func(r rune) bool { return strings.ContainsRune("._~", r) })
	if len(parts) != 3 || strings.Trim(parts[0], "0123456789") != "" {
		return false
	}
	return Code{Room: parts[0], Secret: parts[1] + "-" + parts[2]}.Unlisted() == ""
}

// normal returns the form of a text that does not depend on how it was typed.
func normal(text string) string {
	return norm.NFKC.String(strings.ToLower(norm.NFKC.String(text)))
}

// String returns the code as it is printed.
func (c Code) String() string {
	if c.Secret == "" {
		return c.Room
	}
	return c.Room + "-" + c.Secret
}

// newCode makes a code to read out: a room's number with that many digits, and a secret of
// two words.
func newCode(digits int) Code {
	least := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits-1)), nil)
	number := below(new(big.Int).Mul(least, big.NewInt(9)))
	list := words()
	word := func() string { return list[below(big.NewInt(int64(len(list)))).Int64()] }
	return Code{Room: number.Add(number, least).String(), Secret: word() + "-" + word()}
}

// IsGenerated reports whether c has the form of the codes that call makes: a number, and two words of
// the list.
func (c Code) IsGenerated() bool {
	return strings.Trim(c.Room, "0123456789") == "" && strings.Count(c.Secret, "-") == 1 && c.Unlisted() == ""
}

// Unlisted returns the word of c that cannot be right if a caller's program made c: a code with a number
// and two words has words of the list. It returns "" if there is no such word, or if c has
// another form, which a person chose.
func (c Code) Unlisted() string {
	secret := strings.Split(c.Secret, "-")
	if len(secret) != 2 || strings.Trim(c.Room, "0123456789") != "" {
		return ""
	}
	for _, w := range secret {
		if _, listed := slices.BinarySearch(words(), w); !listed {
			return w
		}
	}
	return ""
}

func below(n *big.Int) *big.Int {
	i, err := rand.Int(rand.Reader, n)
	if err != nil {
		panic(err) // rand.Reader never fails
	}
	return i
}

// Complete returns the codes that begin with text. It completes the last word, if that is one of a secret, to
// each word of the list that begins with it. A dash follows the first word of a secret, because generated
// secrets have two words.
func Complete(text string) []string {
	dash := strings.LastIndexFunc(text, func(r rune) bool { return r == '-' || r == ' ' })
	if dash < 0 || dash == len(text)-1 {
		return nil
	}
	before, begun := text[:dash+1], strings.ToLower(text[dash+1:])
	c, err := ParseCode(strings.TrimRight(before, "- "))
	if err != nil {
		return nil
	}
	var whole []string
	for _, w := range words() {
		switch {
		case !strings.HasPrefix(w, begun):
		case c.Secret == "":
			whole = append(whole, before+w+"-")
		default:
			whole = append(whole, before+w)
		}
	}
	return whole
}
