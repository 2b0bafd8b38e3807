package tui

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// complete is Tab: it goes as far as there is one way, and lists the ways there are.
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
		m.hint = "nothing fits"
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

// mostChoices is how many ways Tab lists.
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

// special are the letters of a path that have to be escaped.
const special = ` \'"`

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

// words splits as a shell does: at spaces that are neither quoted nor escaped. What a
// terminal pastes when a file is dropped on it comes quoted.
func words(text string) (all []string) {
	var word strings.Builder
	begun := false
	var quote byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(text) && os.PathSeparator != '\\':
			i++
			word.WriteByte(text[i])
			begun = true
		case c == '\'' || c == '"':
			quote, begun = c, true
		case c == ' ':
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		all = append(all, word.String())
	}
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
