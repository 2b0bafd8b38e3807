package tui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// keys are what a person presses: words in angle brackets are keys, the rest is typed.
func keys(text string) (all []tea.KeyPressMsg) {
	for text != "" {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(text, "<"), ">"); ok && text[0] == '<' {
			all = append(all, keyOf(name))
			text = rest
			continue
		}
		r := []rune(text)[0]
		all = append(all, tea.KeyPressMsg{Code: r, Text: string(r)})
		text = text[len(string(r)):]
	}
	return all
}

func keyOf(name string) tea.KeyPressMsg {
	var k tea.KeyPressMsg
	parts := strings.Split(name, "+")
	for _, mod := range parts[:len(parts)-1] {
		k.Mod |= map[string]tea.KeyMod{"ctrl": tea.ModCtrl, "alt": tea.ModAlt, "shift": tea.ModShift}[mod]
	}
	last := parts[len(parts)-1]
	code, ok := map[string]rune{
		"enter": tea.KeyEnter, "tab": tea.KeyTab, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace, "delete": tea.KeyDelete,
		"left": tea.KeyLeft, "right": tea.KeyRight, "up": tea.KeyUp, "down": tea.KeyDown, "home": tea.KeyHome, "end": tea.KeyEnd,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
	}[last]
	if !ok {
		code = []rune(last)[0]
	}
	k.Code = code
	return k
}

func TestEditor(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{ // | is the cursor
		"hello":                                 "hello|",
		"hello<left><left>":                     "hel|lo",
		"hello<ctrl+a>X<ctrl+e>Y":               "XhelloY|",
		"hello<ctrl+b><ctrl+b><ctrl+f>":         "hell|o",
		"one two three<ctrl+w>":                 "one two |",
		"one two three<ctrl+w><ctrl+y><ctrl+y>": "one two threethree|",
		"one two<alt+b><alt+b>X":                "X|one two",
		"one two<ctrl+a><alt+f>,":               "one,| two",
		"one two<ctrl+a><alt+d>":                "| two",
		"one two<ctrl+u>":                       "|",
		"one two<alt+b><ctrl+k>":                "one |",
		"one<alt+enter>two<ctrl+a>X":            "one\nX|two",
		"one<alt+enter>two<ctrl+u>":             "one\n|",
		"one<alt+enter><ctrl+u>":                "one|",
		"one<alt+enter>two<alt+enter><ctrl+u><ctrl+u><ctrl+u><ctrl+u>": "|",
		"one<alt+enter>two<ctrl+w><ctrl+w>":                            "|",
		"one two<ctrl+w><ctrl+_>":                                      "one two|",
		"one two<ctrl+_>":                                              "one |",
		"one two<ctrl+_><ctrl+_><ctrl+_><ctrl+_>":                      "|",
		"one<alt+enter>two<ctrl+u><ctrl+u><ctrl+_><ctrl+_>":            "one\ntwo|",
		"one<alt+enter>two<up><ctrl+e><ctrl+k>":                        "one|two",
		"abc<ctrl+t>":                                                  "acb|",
		"abc<left><left><ctrl+t>":                                      "ba|c",
		"a<backspace><backspace>":                                      "|",
		"ab<left><delete>":                                             "a|",
		"日本語<left><backspace>":                                         "日|語",
		"👨‍👩‍👧‍👦x<left><left>":                                         "|👨‍👩‍👧‍👦x",
		"e\u0301<backspace>":                                           "|",
		"<left><right><home><end><up><ctrl+w>":                         "|",
		"one<alt+enter>two<alt+enter>3<up><left>":                      "one\n|two\n3",
	} {
		var e editor
		for _, k := range keys(typed) {
			if k.Code == tea.KeyUp {
				e.move(-1, 40, ansi.GraphemeWidth)
				continue
			}
			e.edit(k)
		}
		if got := e.text[:e.at] + "|" + e.text[e.at:]; got != want {
			t.Errorf("%q makes %q, not %q", typed, got, want)
		}
	}
}

func TestEditorRemembers(t *testing.T) {
	t.Parallel()
	var e editor
	for _, text := range []string{"one", "two", "two"} {
		e.set(text)
		e.commit()
	}
	e.set("draft")
	e.recall(1)
	e.recall(1)
	e.recall(1) // there is none before
	if e.text != "one" {
		t.Errorf("it goes back to %q", e.text)
	}
	e.insert(" more")
	e.recall(-1)
	e.recall(-1)
	if e.text != "one more" {
		t.Errorf("what was changed is lost: %q", e.text)
	}
	for range 2 * mostPast {
		e.set(strings.Repeat("x", len(e.past)+1))
		e.commit()
	}
	if len(e.past) != mostPast {
		t.Errorf("it remembers %d", len(e.past))
	}
}

func TestEditorRows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text  string // | is the cursor
		width int
		want  string // rows, and the cursor in them
		x, y  int
	}{
		{"|", 10, "", 0, 0},
		{"abc|", 10, "abc", 3, 0},
		{"abcde|fgh", 5, "abcde/fgh", 0, 1},
		{"abcde|", 5, "abcde/", 0, 1},
		{"a\n\n|b", 5, "a//b", 0, 2},
		{"ab|\ncd", 5, "ab/cd", 2, 0},
		{"日本|語", 5, "日本/語", 0, 1},
		{"a\t|b", 9, "a   b", 4, 0},
		{"\x1b[2J|", 9, "[2J", 3, 0},
	} {
		var e editor
		before, after, _ := strings.Cut(test.text, "|")
		e.insert(before + after)
		e.at = len(e.text) - len(after)
		rows, x, y := e.rows(test.width, ansi.GraphemeWidth)
		var shown []string
		for _, r := range rows {
			shown = append(shown, r.shown)
		}
		if got := strings.Join(shown, "/"); got != test.want || x != test.x || y != test.y {
			t.Errorf("%q is shown as %q with the cursor at %d, %d", test.text, got, x, y)
		}
	}
}

// Wherever the cursor goes, it stays between two letters.
func FuzzEditor(f *testing.F) {
	f.Add("héllo 日本\n👨‍👩‍👧‍👦", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
	names := []string{"left", "right", "ctrl+a", "ctrl+e", "ctrl+w", "alt+d", "ctrl+k", "ctrl+u", "ctrl+y", "ctrl+t", "backspace", "delete", "alt+b", "alt+f", "alt+enter", "ctrl+_"}
	f.Add("👨‍👩‍👧‍👦‍👧‍👦👩‍👩‍👧‍👦‍👧‍👦", []byte{0, 1, 15, 16, 14, 16, 15})
	f.Fuzz(func(t *testing.T, text string, pressed []byte) {
		var e editor
		e.insert(text)
		for _, p := range pressed[:min(len(pressed), 200)] { // rows are made after each, of a text that may double with each
			switch n := int(p) % (len(names) + 2); n {
			case len(names):
				e.move(-1, 10, ansi.WcWidth)
			case len(names) + 1:
				e.move(1, 10, ansi.WcWidth)
			default:
				e.edit(keyOf(names[n]))
			}
			if e.at < 0 || e.at > len(e.text) || !strings.HasPrefix(e.text, strings.ToValidUTF8(e.text[:e.at], "\ufffd")) {
				t.Fatalf("the cursor is at %d of %q", e.at, e.text)
			}
			rows, x, y := e.rows(10, ansi.WcWidth)
			if y >= len(rows) || x > 10 {
				t.Fatalf("the cursor is at %d, %d of %d rows", x, y, len(rows))
			}
			for _, r := range rows {
				if w := ansi.WcWidth.StringWidth(r.shown); w > 10 {
					t.Fatalf("a row of %d cells in a box of 10: %q", w, r.shown)
				}
			}
		}
	})
}
