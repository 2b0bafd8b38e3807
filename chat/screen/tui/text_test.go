package tui

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

func TestTidy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                 {""},
		"a\r\nb\nc":                        {"a", "b", "c"},
		"\x1b[2Ja\rb\x07":                  {"␛[2Ja␍b␇"},
		"a\tb\n\tc":                        {"a   b", "    c"},
		"\u202egnp.exe":                    {"<U+202E>gnp.exe"},
		"soft\u00adhyphen\u200bzero\ufeff": {"softhyphenzero"},
		"שלום עולם":                        {"שלום עולם"},
		"👨‍👩‍👧‍👦 🏳️‍🌈 é e\u0301":             {"👨‍👩‍👧‍👦 🏳️‍🌈 é e\u0301"},
		"z" + strings.Repeat("\u0301", 1000): {"z" + strings.Repeat("\u0301", mostMarks-1)},
		"\xff\xfe":                           {"\ufffd"},
	} {
		if got := tidy(text); !slices.Equal(got, want) {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line  string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two three", 20, []string{"one two three"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 8, []string{"one two", "three"}},
		{"abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"to abcdefghij", 4, []string{"to", "abcd", "efgh", "ij"}},
		{"    code is indented", 10, []string{"    code", "is", "indented"}},
		{"日本語日本語", 5, []string{"日本", "語日", "本語"}},
		{"a👋b👋", 3, []string{"a👋", "b👋"}},
		{"ééééé", 2, []string{"éé", "éé", "é"}},
	} {
		if got := wrap(test.line, test.width, ansi.GraphemeWidth); !slices.Equal(got, test.want) {
			t.Errorf("%q at %d becomes %q, not %q", test.line, test.width, got, test.want)
		}
	}
}

// Whatever a stranger says, it steers nothing, fits, and is all there.
func FuzzTidyAndWrap(f *testing.F) {
	f.Add("hello, world\n\x1b[31m日本語\t👨‍👩‍👧‍👦", 7)
	f.Add("\u202eabc\u0301\u0301 \r\n", 2)
	f.Add("ก็็็็็็็็็ क्ष \U000e0041", 3)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = 2 + (width&0x7fffffff)%200
		for _, line := range tidy(text) {
			for _, r := range line {
				if unicode.IsControl(r) || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' {
					t.Fatalf("%q is left in %q", r, line)
				}
			}
			for _, m := range []ansi.Method{ansi.WcWidth, ansi.GraphemeWidth} {
				rows := wrap(line, width, m)
				for _, r := range rows {
					if w := m.StringWidth(r); w > width && len(rows) > 1 {
						if g, _ := cluster(r, m); g != r { // one that is wider than a row stands alone
							t.Fatalf("%q takes %d cells of %d", r, w, width)
						}
					}
				}
				if strings.ReplaceAll(strings.Join(rows, ""), " ", "") != strings.ReplaceAll(line, " ", "") {
					t.Fatalf("%q becomes %q", line, rows)
				}
			}
		}
	})
}
