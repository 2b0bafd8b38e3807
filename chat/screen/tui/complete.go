package tui

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// complete is Tab: it completes what is unambiguous, and lists the choices.
func (m *model) complete() {
	if m.input.at != len(m.input.text) || strings.ContainsRune(m.input.text, '\n') || !strings.HasPrefix(m.input.text, "/") {
		return
	}
	name, argument, more := strings.Cut(m.input.text, " ")
	var choice []string
	head := ""
	if !more {
		for _, c := range commands {
			if strings.HasPrefix(c.name, name) {
				choice = append(choice, c.name+" ")
			}
		}
	} else {
		for _, c := range commands {
			if c.name == name && c.complete != nil {
				choice = c.complete(argument)
				head = name + " "
			}
		}
	}
	if len(choice) == 0 {
		m.hint = "No match."
		return
	}
	text := head + common(choice)
	if text == m.input.text && len(choice) > 1 || len(choice) > 1 && len(text) < len(m.input.text) {
		m.hint = listed(choice)
	}
	if len(text) >= len(m.input.text) {
		m.input.set(text)
	}
}

// common is how far all begin alike.
func common(all []string) string {
	head := all[0]
	for _, s := range all[1:] {
		for !strings.HasPrefix(s, head) {
			head = head[:len(head)-1]
		}
	}
	return strings.ToValidUTF8(head, "")
}

// mostChoices is how many choices Tab lists.
const mostChoices = 24

func listed(choice []string) string {
	var names []string
	for _, c := range choice[:min(len(choice), mostChoices)] {
		c = strings.TrimSuffix(c, " ")
		if i := strings.LastIndexByte(strings.TrimSuffix(c, "/"), '/'); i > 0 {
			c = c[i+1:]
		}
		names = append(names, tidyLine(c))
	}
	if len(choice) > mostChoices {
		names = append(names, "…")
	}
	return strings.Join(names, "  ")
}

// mostNames is how many names of a folder are looked at.
const mostNames = 5000

// completePath is what a path that was begun, the last of several, may become.
func completePath(begun string) []string {
	before, last := lastWord(begun)
	path := home(unescape(last))
	dir, start := filepath.Split(path)
	folder, err := os.Open(cmp.Or(dir, "."))
	if err != nil {
		return nil
	}
	defer folder.Close()
	entries, err := folder.ReadDir(mostNames)
	if err != nil && err != io.EOF { //nolint:errorlint // ReadDir wraps no io.EOF
		return nil
	}
	typed, as := strings.CutSuffix(last, escape(start))
	if !as || strings.ContainsAny(last, `'"`) { // it was quoted, or escaped otherwise
		typed = escape(dir)
	}
	var choice []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, start) || start == "" && strings.HasPrefix(name, ".") {
			continue
		}
		end := " "
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			end = "/"
		}
		choice = append(choice, before+typed+escape(name)+end)
	}
	slices.Sort(choice)
	return choice
}

// lastWord splits off the word that is being typed.
func lastWord(text string) (before, last string) {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == ' ' && (i == 0 || text[i-1] != '\\') {
			return text[:i+1], text[i+1:]
		}
	}
	return "", text
}

// special are the letters of a path that have to be escaped: those that end or quote a word, and
// those of patterns.
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

// A word of an argument; pattern is empty unless the word has *, ? or [ that are neither quoted
// nor escaped, and is for filepath.Glob.
type word struct{ text, pattern string }

func words(text string) (all []string) {
	for _, w := range split(text) {
		all = append(all, w.text)
	}
	return all
}

// split splits as a shell does: at spaces that are neither quoted nor escaped. What a
// terminal pastes when a file is dropped on it comes quoted.
func split(text string) (all []word) {
	var plain, pattern strings.Builder
	var begun, matches bool
	var quote byte
	literal := func(c byte) {
		plain.WriteByte(c)
		if strings.IndexByte(`*?[\`, c) >= 0 && os.PathSeparator != '\\' {
			pattern.WriteByte('\\')
		}
		pattern.WriteByte(c)
		begun = true
	}
	end := func() {
		w := word{text: plain.String()}
		if matches {
			w.pattern = pattern.String()
		}
		if begun {
			all = append(all, w)
		}
		plain.Reset()
		pattern.Reset()
		begun, matches = false, false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			literal(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(text) && os.PathSeparator != '\\':
			i++
			literal(text[i])
		case c == '\'' || c == '"':
			quote, begun = c, true
		case c == ' ':
			end()
		case c == '*' || c == '?' || c == '[':
			plain.WriteByte(c)
			pattern.WriteByte(c)
			begun, matches = true, true
		default:
			literal(c)
		}
	}
	end()
	return all
}

// home writes out ~ as a shell does.
func home(path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		if dir, err := os.UserHomeDir(); err == nil {
			return dir + path[1:]
		}
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(home(path))
	return err == nil
}
