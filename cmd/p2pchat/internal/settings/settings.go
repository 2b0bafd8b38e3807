// Package settings reads and changes the file of a person's settings: TOML with a line for each flag, and no
// tables. A change keeps comments, order and all other lines.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxSize bounds the bytes of the file.
const maxSize = 64 << 10

// A Setting is a line of the file.
type Setting struct {
	Name   string
	Values []string // as a flag takes them; an array has any number, everything else one
	Line   int      // from 1

	start, end int // where the line, without its end, is in the text
}

// A File holds the settings of one person. The zero File is not valid; see Open.
type File struct {
	path     string
	text     []byte
	settings []Setting
	secret   bool
}

// An Error says where the file cannot be read.
type Error struct {
	Path string
	Line int    // from 1; 0 if it concerns the whole file
	Name string // with which that line begins; may be empty
	Err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s, line %d: %v", e.Path, e.Line, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Open reads the file. A missing file has no settings. It returns an *Error if the file cannot be read, is
// larger than 64 KiB, or is not TOML of simple values without tables.
func Open(path string) (*File, error) {
	f := &File{path: path}
	file, err := os.Open(path)                                             //nolint:gosec // the user's own
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // HOME may be /dev/null
		return f, nil
	}
	if err != nil {
		return nil, &Error{Path: path, Err: cause(err)}
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	switch {
	case err != nil:
		return nil, &Error{Path: path, Err: cause(err)}
	case len(text) > maxSize:
		return nil, &Error{Path: path, Err: fmt.Errorf("it has more than %d KiB", maxSize>>10)}
	}
	f.text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors on Windows begin a file with a byte order mark
	return f, f.parse()
}

// cause returns err without the path, which an Error has.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Path returns the path that Open was given.
func (f *File) Path() string { return f.path }

// Settings returns the settings in the order of the file.
func (f *File) Settings() []Setting { return f.settings }

// parse sets f.settings from f.text.
func (f *File) parse() error {
	f.settings = nil
	var p unstable.Parser
	p.Reset(f.text)
	for p.NextExpression() {
		e := p.Expression()
		at := e.Raw
		if e.Kind != unstable.KeyValue { // the parser does not say where a table begins
			at = e.Child().Raw
		}
		s := Setting{start: int(at.Offset), end: int(at.Offset + at.Length)}
		s.Line = 1 + bytes.Count(f.text[:s.start], []byte{'\n'})
		if err := s.read(e); err != nil {
			return f.errorAt(s.Line, err)
		}
		if f.find(s.Name) != nil {
			return f.errorAt(s.Line, fmt.Errorf("%s is set twice", s.Name))
		}
		f.settings = append(f.settings, s)
	}
	if bad := (*unstable.ParserError)(nil); errors.As(p.Error(), &bad) {
		line := p.Shape(p.Range(bad.Highlight)).Start.Line
		return f.errorAt(line, fmt.Errorf("that is not TOML: %s", bad.Message))
	}
	if p.Error() != nil {
		return &Error{Path: f.path, Err: fmt.Errorf("that is not TOML: %w", p.Error())}
	}
	return nil
}

// errorAt returns the Error of a line, with the name with which the line begins, if that is one.
func (f *File) errorAt(line int, err error) *Error {
	start, end := f.line(line)
	name := ""
	if words := strings.FieldsFunc(string(f.text[start:end]), func(r rune) bool { return r == '=' || unicode.IsSpace(r) }); len(words) > 0 {
		name = strings.Trim(words[0], `"'`)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		name = "" // such as a table or a comment
	}
	return &Error{Path: f.path, Line: line, Name: name, Err: err}
}

// line returns where a line, counted from 1, begins in the text, and where the next one does.
func (f *File) line(n int) (start, end int) {
	for range n {
		start = end
		if i := bytes.IndexByte(f.text[start:], '\n'); i >= 0 {
			end = start + i + 1
		} else {
			end = len(f.text)
		}
	}
	return start, end
}

// OpenWithout opens the file as if name were not set, and reports whether it is. That works, too, if its line is why Open cannot read
// the file. The error says what else is wrong with the file; Save writes it even so.
func OpenWithout(path, name string) (f *File, was bool, err error) {
	f, err = Open(path)
	for e := (*Error)(nil); f != nil && errors.As(err, &e) && name != "" && e.Name == name; {
		start, end := f.line(e.Line)
		f.text, was = slices.Concat(f.text[:start], f.text[end:]), true
		err = f.parse()
	}
	if f != nil && f.find(name) != nil {
		was, err = f.Unset(name)
	}
	return f, was, err
}

// read sets the name and the values of s from its expression.
func (s *Setting) read(e *unstable.Node) error {
	if e.Kind != unstable.KeyValue {
		return errors.New("a settings file has no tables: write NAME = VALUE")
	}
	var name []string
	for key := e.Key(); key.Next(); {
		name = append(name, string(key.Node().Data))
	}
	if s.Name = strings.Join(name, "."); len(name) > 1 {
		return errors.New("a name has no dots: " + s.Name)
	}
	value := e.Value()
	if value.Kind != unstable.Array {
		return s.add(value)
	}
	s.Values = []string{}
	for elements := value.Children(); elements.Next(); {
		if err := s.add(elements.Node()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Setting) add(value *unstable.Node) error {
	switch value.Kind {
	case unstable.String, unstable.Bool, unstable.Integer, unstable.Float:
		s.Values = append(s.Values, string(value.Data))
		return nil
	}
	return fmt.Errorf("the value of %s must be a text, a number, true, false, or a list of these", s.Name)
}

func (f *File) find(name string) *Setting {
	if i := slices.IndexFunc(f.settings, func(s Setting) bool { return s.Name == name }); i >= 0 {
		return &f.settings[i]
	}
	return nil
}

// Set gives the setting a value: a string, bool or int64, or a slice of strings. It replaces the line of the
// setting, but for a comment at its end, or adds one. It returns an *Error if the file would become too large.
func (f *File) Set(name string, value any) error {
	line, err := toml.Marshal(map[string]any{name: value})
	if err != nil {
		return &Error{Path: f.path, Err: err}
	}
	line = bytes.TrimRight(line, "\n")
	text := f.text
	if s := f.find(name); s != nil {
		text = slices.Concat(text[:s.start], line, text[s.end:])
	} else {
		if len(text) > 0 && text[len(text)-1] != '\n' {
			text = slices.Concat(text, []byte{'\n'})
		}
		text = slices.Concat(text, line, []byte{'\n'})
	}
	if len(text) > maxSize {
		return &Error{Path: f.path, Err: fmt.Errorf("it would have more than %d KiB", maxSize>>10)}
	}
	f.text = text
	return f.parse()
}

// Unset removes the line of the setting, with a comment at its end, and reports whether there was one.
func (f *File) Unset(name string) (bool, error) {
	s := f.find(name)
	if s == nil {
		return false, nil
	}
	end := len(f.text)
	if n := bytes.IndexByte(f.text[s.end:], '\n'); n >= 0 {
		end = s.end + n + 1
	}
	start := 1 + bytes.LastIndexByte(f.text[:s.start], '\n')
	f.text = slices.Concat(f.text[:start], f.text[end:])
	return true, f.parse()
}

// Save writes the file to a temporary name, syncs it, and renames it, so that a crash leaves the old file or the
// new one. It makes missing folders, and follows a symbolic link, if it leads to a file. Only the owner can read a
// new file, and one with a secret.
func (f *File) Save() error {
	path := f.path
	if _, err := os.Lstat(path); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return &Error{Path: f.path, Err: fmt.Errorf("it is a link: %w", cause(err))}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &Error{Path: f.path, Err: cause(err)}
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return &Error{Path: f.path, Err: cause(err)}
	}
	err = write(temporary, f.text)
	if info, missing := os.Stat(path); err == nil && missing == nil {
		err = os.Chmod(temporary.Name(), f.mode(info))
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name()) // the error says more
		return &Error{Path: f.path, Err: cause(err)}
	}
	return nil
}

// Secret says that the file has a value which only the owner may read.
func (f *File) Secret() { f.secret = true }

// mode returns the permissions of the file that takes the place of another one.
func (f *File) mode(before fs.FileInfo) fs.FileMode {
	if f.secret {
		return before.Mode().Perm() & 0o700
	}
	return before.Mode().Perm()
}

// write writes text to the file, syncs and closes it.
func write(file *os.File, text []byte) error {
	_, err := file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
