package transfer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for given, want := range map[string]string{
		"report.pdf":           "report.pdf",
		"Grüße, 你好 👋.txt":      "Grüße, 你好 👋.txt",
		"../x":                 "x",
		"../../etc/passwd":     "passwd",
		`..\..\x`:              "x",
		`C:\Users\x`:           "x",
		"C:x":                  "C:x",
		"/":                    "_",
		"..":                   "_",
		".":                    "_",
		"":                     "_",
		" ":                    "_",
		"a/..":                 "_",
		".bashrc":              "_bashrc",
		"..bashrc":             "_.bashrc",
		"a\x00b\n\x1b[31m\x7f": "a_b__[31m_",
		"a\u202eb\u2066\u2028": "a_b__",
		"می\u200cخواهم.txt":    "می\u200cخواهم.txt", // a letter of Persian needs it
		"a\u00a0b":             "a\u00a0b",
		"10:30.log":            "10:30.log",
		"1700000000.M1.h:2,S":  "1700000000.M1.h:2,S",
		"-rf":                  "-rf",
		"\u200b":               "_",
		"a\xffb\xc3":           "a_b_",
		"con.txt":              "con.txt",
		"a?*|<>:\"b":           "a?*|<>:\"b",
		"x. . ":                "x. . ",
		long + ".txt":          strings.Repeat("ä", 125) + ".txt",
		"." + long:             "_" + strings.Repeat("ä", 127),
		"x." + long:            "x." + strings.Repeat("ä", 126),
	} {
		got := properFile(given)
		if got != want {
			t.Errorf("%q becomes %q, not %q", given, got, want)
		}
		if again := properFile(got); again != got {
			t.Errorf("%q becomes %q and then %q", given, got, again)
		}
	}
}

func TestNamesOnWindows(t *testing.T) {
	for given, want := range map[string]string{
		"10:30.log":     "10_30.log",
		"می\u200cخواهم": "می\u200cخواهم",
		"a\u00a0b":      "a\u00a0b",
		"a\u202eb\x1b":  "a_b_",
		"CON":           "_CON",
		"con.txt":       "_con.txt",
		"Nul .tar.gz":   "_Nul .tar.gz",
		"com1":          "_com1",
		"LPT¹.x":        "_LPT¹.x",
		"COM":           "COM",
		"com10":         "com10",
		"CONSOLE":       "CONSOLE",
		"a?*|<>:\"b":    "a_______b",
		`a\b`:           "a_b",
		" x. . ":        "x",
		"..":            "_",
		". .":           "_",
	} {
		got := elementOn(given, true)
		if got != want {
			t.Errorf("%q becomes %q, not %q", given, got, want)
		}
		if again := elementOn(got, true); again != got {
			t.Errorf("%q becomes %q and then %q", given, got, again)
		}
	}
}

func TestNumberedNames(t *testing.T) {
	for want, got := range map[string]string{
		"a.txt":                           numbered("a.txt", 0),
		"a (2).txt":                       numbered("a.txt", 2),
		"a (1)":                           numbered("a", 1),
		"a.tar (1).gz":                    numbered("a.tar.gz", 1),
		strings.Repeat("x", 251) + " (7)": numbered(strings.Repeat("x", 255), 7),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"../x", "CON", "\x00", strings.Repeat("ä.", 200), ". .", "a\\b", "nul. x"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, given string) {
		name := properFile(given)
		if name == "" || name == "." || name == ".." || len(name) > maxName || !utf8.ValidString(name) || !filepath.IsLocal(name) || name != filepath.Base(name) || name[0] == '.' {
			t.Fatalf("%q becomes %q", given, name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatalf("%q becomes %q: %v", given, name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	})
}
