package tui

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"harbour plan.txt", "harbour.jpg", "it's.txt", ".hidden", "songs/one.mp3", "ünï.txt", "evil\x1b[2Jname", "broken\nline.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for typed, want := range map[string]struct{ text, hint string }{
		"/":                            {"/", "/help  /send"},
		"/verify n":                    {"/verify no", ""},
		"/s":                           {"/s", "/send  /stats"},
		"/se":                          {"/send ", ""},
		"/x":                           {"/x", "No match."},
		"/verify ":                     {"/verify ", "yes  no"},
		"/quit x":                      {"/quit x", "No match."},
		"no command":                   {"no command", ""},
		"/send DIR/har":                {"/send DIR/harbour", ""},
		"/send DIR/harbour":            {"/send DIR/harbour", `harbour.jpg  harbour\ plan.txt`},
		"/send DIR/harbour.":           {"/send DIR/harbour.jpg ", ""},
		`/send DIR/harbour\ `:          {`/send DIR/harbour\ plan.txt `, ""},
		"/send DIR/harbour.jpg DIR/so": {"/send DIR/harbour.jpg DIR/songs/", ""},
		"/send DIR/songs/":             {"/send DIR/songs/one.mp3 ", ""},
		"/send DIR/it":                 {`/send DIR/it\'s.txt `, ""},
		"/send DIR/.h":                 {"/send DIR/.hidden ", ""},
		"/send DIR/ü":                  {"/send DIR/ünï.txt ", ""},
		"/send 'DIR/harbour.":          {"/send DIR/harbour.jpg ", ""},
		"/send DIR/bro":                {"/send DIR/bro", "No match."},
		"/send DIR/none/":              {"/send DIR/none/", "No match."},
		"/send DIR/":                   {"/send DIR/", `evil␛\[2Jname`},
	} {
		r := newRig(t, 200, 24)
		r.input.set(strings.ReplaceAll(typed, "DIR", dir))
		r.press("<tab>")
		if got := strings.ReplaceAll(r.input.text, dir, "DIR"); got != want.text || !strings.Contains(r.hint, want.hint) || (want.hint == "") != (r.hint == "") {
			t.Errorf("%q becomes %q with the hint %q", typed, got, r.hint)
		}
	}
	r := newRig(t, 80, 24)
	r.input.set("/se")
	r.press("<left><tab>")
	if r.input.text != "/se" {
		t.Errorf("in the middle of a word it becomes %q", r.input.text)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":             nil,
		" a  b ":       {"a", "b"},
		`a\ b c`:       {"a b", "c"},
		`'a b' "c d"e`: {"a b", "c de"},
		`'it'\''s' ""`: {"it's", ""},
		`"a\"b"`:       {`a"b`},
		`not\`:         {`not\`},
		`'left open`:   {"left open"},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("%s is %q", text, got)
		}
	}
	for _, name := range []string{`a b`, `it's`, `"`, `\`, `plain`, `[1]*?`} {
		if got := words(escape(name)); len(got) != 1 || got[0] != name {
			t.Errorf("%q comes back as %q", name, got)
		}
	}
}
