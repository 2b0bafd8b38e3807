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
	begun := m.input.text
	if m.input.at != len(begun) || strings.ContainsRune(begun, '\n') || !strings.HasPrefix(begun, "/") {
		return
	}
	head, choice := completions(begun)
	if len(choice) == 0 {
		m.hint = "No match."
		return
	}
	text := head + common(choice)
	if len(choice) > 1 && (text == begun || len(text) < len(begun)) {
		m.hint = listed(choice)
	}
	if len(text) >= len(begun) {
		m.input.set(text)
	}
}

// completions returns the choices for the end of a command, and the text before that end.
func completions(begun string) (head string, choice []string) {
	name, argument, more := strings.Cut(begun, " ")
	for _, c := range commands {
		switch {
		case !more && strings.HasPrefix(c.name, name):
			choice = append(choice, c.name+" ")
		case more && c.name == name && c.complete != nil:
			return name + " ", c.complete(argument)
		}
	}
	return "", choice
}

// common returns the longest beginning that all have.
func common(all []string) string {
	head := all[0]
	for _, s := range all[1:] {
		for !strings.HasPrefix(s, head) {
			head = head[:len(head)-1]
		}
	}
	return strings.ToValidUTF8(head, "")
}

// mostChoices bounds the choices that Tab lists.
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

// mostNames bounds the names of a folder that are read.
const mostNames = 5000

// completePath returns the choices for the last of several paths.
func completePath(begun string) []string {
	before, last := lastWord(begun)
	path := expandHome(unescape(last))
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
	if !as || strings.ContainsAny(last, `'"`) { // the person quoted the word, or escaped it in another way
		typed = escape(dir)
	}
	var choice []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, start) || start == "" && strings.HasPrefix(name, ".") || strings.ContainsAny(name, "\r\n") { // a command is one line
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

// lastWord splits off the word before the cursor.
func lastWord(text string) (before, last string) {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == ' ' && (i == 0 || text[i-1] != '\\') {
			return text[:i+1], text[i+1:]
		}
	}
	return "", text
}
