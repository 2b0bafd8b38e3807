package contacts

import (
	"strings"
	"sync"
	"unicode"
)

// maxName is how many characters a contact's name may have.
const maxName = 32

// CheckName returns ErrName unless a contact can have that name.
func CheckName(name string) error {
	if name == "" || len([]rune(name)) > maxName || strings.HasPrefix(name, "-") || strings.ContainsFunc(name, func(r rune) bool { return !inName(r) }) {
		return ErrName
	}
	return nil
}

// inName reports whether a name may have r: no character that a shell or a terminal treats in its own way. Letters that only
// look like those of ASCII may stand in it, because many languages have no others; Add and Rename compare names as they look.
func inName(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_'
}

// Proper returns the name that a contact gets who calls itself name: what a stranger chose, with all but letters and digits
// replaced.
func Proper(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !inName(r) })
	proper := strings.Trim(strings.Join(words, "-"), "-")
	if runes := []rune(proper); len(runes) > maxName {
		proper = strings.TrimRight(string(runes[:maxName]), "-")
	}
	if proper == "" {
		return "contact"
	}
	return proper
}

// Same reports whether two names are of one contact: as they look, whatever the letter case.
func Same(a, b string) bool { return fold(a) == fold(b) }

// fold returns the form in which names are compared: two names that look alike must not be two contacts.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if like, ok := homoglyphs()[r]; ok {
			return like
		}
		return r
	}, strings.ToLower(name))
}

// homoglyphs are the lower-case letters of Cyrillic and Greek that look like one of ASCII (UTS #39).
var homoglyphs = sync.OnceValue(func() map[rune]rune { // not made at each start
	m := map[rune]rune{}
	const like, all = "aceopxyijshkmtbnvuwdqlg", "асеорхуіјѕһкмтвпνυԝԁԛӏɡ"
	ascii := []rune(like)
	for i, r := range []rune(all) {
		m[r] = ascii[i]
	}
	for r, l := range map[rune]rune{'α': 'a', 'ο': 'o', 'ρ': 'p', 'ι': 'i', 'κ': 'k', 'τ': 't', 'χ': 'x', 'ε': 'e', 'η': 'n', 'ı': 'i', '0': 'o', '1': 'l'} {
		m[r] = l
	}
	return m
})
