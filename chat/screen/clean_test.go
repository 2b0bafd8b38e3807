package screen

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"plain text, 100 %":        "plain text, 100 %",
		"tab\tstays":               "tab\tstays",
		"two\nlines":               "two␊lines",
		"rewritten\rline":          "rewritten␍line",
		"\x00\x07\x1b[2J\x1f":      "␀␇␛[2J␟",
		"\x1b]0;title\x07":         "␛]0;title␇",
		"\x7f":                     "␡",
		"\u0080\u009b2J\u009f":     "<U+0080><U+009B>2J<U+009F>",
		"\u0085":                   "<U+0085>",
		"\u202atxt\u202e\u202c":    "<U+202A>txt<U+202E><U+202C>",
		"\u202b\u202d":             "<U+202B><U+202D>",
		"\u2066\u2067\u2068\u2069": "<U+2066><U+2067><U+2068><U+2069>",
		"\u2028\u2029":             "<U+2028><U+2029>",
		"\u2027\u202f\u2065\u206a": "\u2027\u202f\u2065\u206a",
		"👩\u200d🚀 🏳️\u200d🌈":       "👩\u200d🚀 🏳️\u200d🌈",
		"שלום, مرحبا":              "שלום, مرحبا",
		"\u200e\u200f\u061c":       "\u200e\u200f\u061c",
		"e\u0301 क्षि":             "e\u0301 क्षि",
		"你好":                       "你好",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%+q is shown as %+q, not %+q", text, got, want)
		}
	}

	t.Run("all of C0, DEL and C1 but the tab become visible", func(t *testing.T) {
		for r := range rune(0xa0) {
			if plain := r == '\t' || r >= 0x20 && r < 0x7f; (Clean(string(r)) == string(r)) != plain {
				t.Errorf("%U is shown as %q", r, Clean(string(r)))
			}
		}
	})

	t.Run("bytes that are no text do not get through", func(t *testing.T) {
		for text, want := range map[string]string{"\x9b2J": "\ufffd2J", "a\xff\x1b": "a\ufffd␛", "\xc2": "\ufffd"} {
			if got := Clean(text); got != want {
				t.Errorf("%q is shown as %q, not %q", text, got, want)
			}
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a", "\x1b[2J", "\u202e", "\xff\x9b", "👩\u200d🚀"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Clean(text)
		if strings.ContainsFunc(got, steers) || !utf8.ValidString(got) {
			t.Fatalf("%q is shown as %q, which steers", text, got)
		}
		if !strings.ContainsFunc(text, steers) && utf8.ValidString(text) && got != text {
			t.Fatalf("%q is shown as %q for no reason", text, got)
		}
		if again := Clean(got); again != got {
			t.Fatalf("%q is cleaned once more to %q", got, again)
		}
	})
}
