package settings

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// fileWith returns a file of settings with the text.
func fileWith(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	f, err := Open(fileWith(t, "# mine\nserver = \"https://chat.example.org\"\n\nrelay-only = true # always\nmax-rooms = 1_000\nice-server = [\n  \"stun:a\", # near\n  'stun:b',\n]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Setting{
		{Name: "server", Values: []string{"https://chat.example.org"}, Line: 2}, {Name: "relay-only", Values: []string{"true"}, Line: 4},
		{Name: "max-rooms", Values: []string{"1_000"}, Line: 5}, {Name: "ice-server", Values: []string{"stun:a", "stun:b"}, Line: 6},
	}
	if !slices.EqualFunc(f.Settings(), want, func(a, b Setting) bool {
		return a.Name == b.Name && slices.Equal(a.Values, b.Values) && a.Line == b.Line
	}) {
		t.Errorf("the file has %+v", f.Settings())
	}
}

func TestOpenIgnoresAByteOrderMark(t *testing.T) {
	f, err := Open(fileWith(t, "\ufeffserver = 'https://chat.example.org'\r\n"))
	if err != nil || len(f.Settings()) != 1 || f.Settings()[0].Name != "server" {
		t.Fatal(f, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"no quotes":       {"server = chat.example.org", 1, "not TOML"},
		"a table":         {"name = 'ann'\n\n[serve]\nlisten = ':1'", 3, "no tables"},
		"a list of those": {"[[serve]]", 1, "no tables"},
		"a dotted name":   {"serve.listen = ':1'", 1, "no dots"},
		"an inline table": {"\nserver = { host = 'a' }", 2, "must be a text"},
		"a date":          {"wait = 2026-11-28", 1, "must be a text"},
		"nested lists":    {"send = [['a']]", 1, "must be a text"},
		"a name twice":    {"name = 'ann'\nname = 'ben'", 2, "set twice"},
		"not UTF-8":       {"name = '\xff'", 1, "not TOML"},
		"an open quote":   {"\n\nname = 'ann", 3, "not TOML"},
		"too much":        {"# " + strings.Repeat("x", maxSize), 0, "more than 64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(fileWith(t, c.text))
			var e *Error
			if !errors.As(err, &e) || e.Line != c.line || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder is a settings file")
	}
}

// Nothing but the line of a setting changes, whatever surrounds it.
func TestSetAndUnset(t *testing.T) {
	const before = "# a\r\nserver = \"x\" # b\r\n\n  send=[ # c\n'1' ,\n]# d\nlast = 1"
	for name, c := range map[string]struct {
		change func(*File) error
		after  string
	}{
		"a text":          {func(f *File) error { return f.Set("server", "y\n\"'") }, strings.Replace(before, `server = "x"`, `server = "y\n\"'"`, 1)},
		"a list":          {func(f *File) error { return f.Set("send", []string{"2", "3"}) }, strings.Replace(before, "send=[ # c\n'1' ,\n]", "send = ['2', '3']", 1)},
		"the last line":   {func(f *File) error { return f.Set("last", true) }, strings.Replace(before, "last = 1", "last = true", 1)},
		"a new line":      {func(f *File) error { return f.Set("new", int64(7)) }, before + "\nnew = 7\n"},
		"none of server":  {func(f *File) error { _, err := f.Unset("server"); return err }, strings.Replace(before, "server = \"x\" # b\r\n", "", 1)},
		"none of send":    {func(f *File) error { _, err := f.Unset("send"); return err }, strings.Replace(before, "  send=[ # c\n'1' ,\n]# d\n", "", 1)},
		"none of last":    {func(f *File) error { _, err := f.Unset("last"); return err }, strings.TrimSuffix(before, "last = 1")},
		"none of nothing": {func(f *File) error { _, err := f.Unset("other"); return err }, before},
	} {
		t.Run(name, func(t *testing.T) {
			path := fileWith(t, before)
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.change(f), f.Save()); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != c.after { //nolint:gosec // the test's own
				t.Errorf("the file is\n%s\nand should be\n%s", got, c.after)
			}
		})
	}
}

// A setting can be removed, also if its line is why the file cannot be read.
func TestOpenWithout(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		was           bool
		says          string // of what is left
	}{
		"a good line":           {"a = 1\nname = 'ann'\nb = 2\n", "a = 1\nb = 2\n", true, ""},
		"no such line":          {"a = 1\n", "a = 1\n", false, ""},
		"no quotes":             {"a = 1\nname = ann\nb = 2\n", "a = 1\nb = 2\n", true, ""},
		"no sign of equality":   {"name 'ann'\nb = 2", "b = 2", true, ""},
		"an open quote":         {"a = 1\n  \"name\" = 'ann", "a = 1\n", true, ""},
		"a table as its value":  {"name = { first = 'ann' }\n", "", true, ""},
		"two lines":             {"name = 'ann'\n# more\nname = 'ben'\n", "# more\n", true, ""},
		"another broken line":   {"name = ann\nb = c\n", "b = c\n", true, "line 1: that is not TOML"},
		"only another one":      {"b = c\nname = ann\n", "b = c\nname = ann\n", false, "line 1: that is not TOML"},
		"one that begins so":    {"names = ann\n", "names = ann\n", false, "line 1: that is not TOML"},
		"a good one before bad": {"name = 'ann'\nb = c\n", "b = c\n", true, "line 1: that is not TOML"},
	} {
		t.Run(name, func(t *testing.T) {
			f, was, err := OpenWithout(fileWith(t, c.before), "name")
			if string(f.text) != c.after || was != c.was {
				t.Errorf("%v, and left is %q", was, f.text)
			}
			if err != nil != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	for _, of := range []string{"name", ""} {
		if _, was, err := OpenWithout(fileWith(t, "[serve]\n"), of); was || err == nil {
			t.Errorf("%q: %v, %v", of, was, err)
		}
	}
	if _, was, err := OpenWithout(t.TempDir(), "name"); was || err == nil {
		t.Error("a folder is a settings file")
	}
}

func TestSave(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such permissions, and links only for some people")
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "missing", "p2pchat", "config.toml")
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Set("name", "ann"), f.Save()); err != nil {
		t.Fatal(err)
	}
	for of, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(of); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", of, info.Mode(), err)
		}
	}
	kept := filepath.Join(folder, "dotfile")                                                                  // some keep their settings elsewhere, for others to read
	if err := errors.Join(os.Rename(path, kept), os.Chmod(kept, 0o644), os.Symlink(kept, path)); err != nil { //nolint:gosec // that others can read it is the case in question
		t.Fatal(err)
	}
	if f, err = Open(path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Set("name", "ben"), f.Save()); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(kept) //nolint:gosec // the test's own
	info, err := os.Lstat(kept)
	if string(got) != "name = 'ben'\n" || err != nil || info.Mode() != 0o644 {
		t.Errorf("behind the link is %q, %v, %v", got, info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}

// A file that is full, or whose folder cannot be written to, stays as it is.
func TestSaveFails(t *testing.T) {
	full := "# " + strings.Repeat("x", maxSize-3)
	f, err := Open(fileWith(t, full))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Set("name", "ann"); err == nil {
		t.Error("it may grow over its bound")
	}
	in := fileWith(t, "")
	if f, err = Open(filepath.Join(in, "config.toml")); err == nil {
		err = errors.Join(f.Set("name", "ann"), f.Save())
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("below a file, the error is %v", err)
	}
}

// A link to a file that is not there is left alone: a file in its place would be another one than the owner means.
func TestSaveThroughALink(t *testing.T) {
	target := fileWith(t, "name = 'ann'\n")
	link := filepath.Join(t.TempDir(), "config.toml")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err) // Windows asks for a privilege
	}
	save := func() error {
		f, err := Open(link)
		if err != nil {
			t.Fatal(err)
		}
		return errors.Join(f.Set("name", "ben"), f.Save())
	}
	if err := save(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(target); string(text) != "name = 'ben'\n" { //nolint:gosec // a file of the test
		t.Errorf("the file has %q, %v", text, err)
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if err := save(); err == nil {
		t.Error("a link that leads nowhere was replaced")
	}
	if _, err := os.Readlink(link); err != nil {
		t.Error(err)
	}
}

func TestSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are others there")
	}
	path := fileWith(t, "name = 'ann'\n")
	if err := os.Chmod(path, 0o644); err != nil { //nolint:gosec // so are files of settings
		t.Fatal(err)
	}
	for _, secret := range []bool{false, true} {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if secret {
			f.Secret()
		}
		if err := f.Save(); err != nil {
			t.Fatal(err)
		}
		want := map[bool]os.FileMode{false: 0o644, true: 0o600}[secret]
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("with a secret, %v: %v, %v", secret, info.Mode(), err)
		}
	}
}

// others returns the settings of f but name.
func others(f *File) []Setting {
	return slices.DeleteFunc(slices.Clone(f.settings), func(s Setting) bool { return s.Name == "name" })
}

// Whatever a file contains, reading it does not panic, and a change keeps all other lines.
func FuzzFile(f *testing.F) {
	for _, text := range []string{"", "a = 1\nb = 'x' # y\n", "a=[1,\n2]\nname = \"\"\"\nx\"\"\"", "[t]", "a.b = 1", "name = 1\r\n", "# \xff", "\ufeffname = 1"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, before := &File{text: text}, &File{text: text}
		if file.parse() != nil || before.parse() != nil {
			return
		}
		if err := file.Set("name", "a 'b' \"c\"\n\u202e"); err != nil {
			t.Fatal(err)
		}
		if s := file.find("name"); s == nil || s.Values[0] != "a 'b' \"c\"\n\u202e" {
			t.Fatalf("after Set it is %q", file.text)
		}
		if was, err := file.Unset("name"); !was || err != nil {
			t.Fatalf("Unset: %v, %v", was, err)
		}
		want := others(before)
		if got := others(file); !slices.EqualFunc(got, want, func(a, b Setting) bool { return a.Name == b.Name && slices.Equal(a.Values, b.Values) }) {
			t.Fatalf("%q has become %q", text, file.text)
		}
		for line := range bytes.Lines(file.text) {
			if !bytes.Contains(text, bytes.TrimSuffix(line, []byte{'\n'})) {
				t.Fatalf("%q has become %q", text, file.text)
			}
		}
		gone := 0
		if s := before.find("name"); s != nil { // its lines, with the rest of the last one
			gone = 1 + bytes.Count(text[s.start:s.end], []byte{'\n'})
		}
		lines := func(b []byte) int { return bytes.Count(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'}) + 1 }
		if len(bytes.TrimSpace(file.text)) > 0 && lines(file.text) != lines(text)-gone {
			t.Fatalf("%q has become %q, without %d lines", text, file.text, gone)
		}
	})
}
