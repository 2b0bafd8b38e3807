package tui

import (
	"os"
	"strings"
)

// special are the characters of a path that have to be escaped: those that end or quote a word, and
// wildcards.
const special = ` \'"*?[`

func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if strings.IndexByte(special, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

func unescape(word string) string {
	if w := words(word); len(w) == 1 {
		return w[0]
	}
	return word
}

// A word of an argument. If it has *, ? or [ that are neither quoted nor escaped, pattern is for
// filepath.Glob; else it is empty.
type word struct{ text, pattern string }

func words(text string) (all []string) {
	for _, w := range split(text) {
		all = append(all, w.text)
	}
	return all
}

// split splits as a shell does: at spaces that are neither quoted nor escaped. What a
// terminal pastes when a file is dropped on it comes quoted.
func split(text string) []word {
	var s wordSplitter
	var quote byte // 0 outside quotes
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == '\'':
			s.literal(c)
		case c == '\\' && i+1 < len(text) && escapes:
			i++
			s.literal(text[i])
		case quote == '"':
			s.literal(c)
		case c == '\'', c == '"':
			quote, s.begun = c, true
		case c == ' ':
			s.end()
		case strings.IndexByte(`*?[`, c) >= 0:
			s.wildcard(c)
		default:
			s.literal(c)
		}
	}
	s.end()
	return s.all
}

// escapes says that a backslash escapes: on Windows it separates the elements of a path.
const escapes = os.PathSeparator != '\\'

// A wordSplitter collects the characters of a word, and then the word.
type wordSplitter struct {
	plain, pattern strings.Builder
	begun          bool // even an empty word is one if it is quoted
	matches        bool // the word has a wildcard
	all            []word
}

func (s *wordSplitter) literal(c byte) {
	s.plain.WriteByte(c)
	if strings.IndexByte(`*?[\`, c) >= 0 && escapes {
		s.pattern.WriteByte('\\')
	}
	s.pattern.WriteByte(c)
	s.begun = true
}

func (s *wordSplitter) wildcard(c byte) {
	s.plain.WriteByte(c)
	s.pattern.WriteByte(c)
	s.begun, s.matches = true, true
}

func (s *wordSplitter) end() {
	w := word{text: s.plain.String()}
	if s.matches {
		w.pattern = s.pattern.String()
	}
	if s.begun {
		s.all = append(s.all, w)
	}
	s.plain.Reset()
	s.pattern.Reset()
	s.begun, s.matches = false, false
}

// expandHome expands ~ at the beginning of a path, as a shell does.
func expandHome(path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		if dir, err := os.UserHomeDir(); err == nil {
			return dir + path[1:]
		}
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(expandHome(path))
	return err == nil
}
