package screen

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"p2pchat/chat"
)

// lines are what split finds in the input, and the error at its end.
func linesOf(split splitter, in io.Reader) (all []line, err error) {
	next := split(in)
	for {
		l, err := next()
		if l.number == 0 {
			return all, err
		}
		all = append(all, l)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("0123456789", 9000)
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"no input":                   {"", nil},
		"a line":                     {"a\n", []string{"a"}},
		"a last line without an end": {"a\nb", []string{"a", "b"}},
		"empty lines":                {"\n\na\n\n", []string{"", "", "a", ""}},
		"lines of another system":    {"a\r\n\r\nb\r\n", []string{"a", "", "b"}},
		"a return in the middle":     {"a\rb\n", []string{"a\rb"}},
		"two returns":                {"a\r\r\n", []string{"a\r"}},
		"a return at the very end":   {"a\r", []string{"a\r"}},
		"lines beyond the buffer":    {long + "\r\n" + long, []string{long, long}},
		"one that fills a message":   {long[:chat.MaxMessage] + "\r\n" + "b\n", []string{long[:chat.MaxMessage], "b"}},
	} {
		for splits, split := range map[string]splitter{"whole": wholeLines, "parts": textLines} {
			t.Run(name+", "+splits, func(t *testing.T) {
				for how, in := range map[string]io.Reader{"at once": strings.NewReader(test.in), "byte by byte": iotest.OneByteReader(strings.NewReader(test.in))} {
					all, err := linesOf(split, in)
					if err != io.EOF { //nolint:errorlint // nothing is wrapped
						t.Errorf("%s: %v", how, err)
					}
					equal(t, how, joined(t, all), test.want)
				}
			})
		}
	}

	t.Run("a whole line is cut at maxObject, exactly", func(t *testing.T) {
		for n, cut := range map[int]bool{maxObject - 2: false, maxObject - 1: false, maxObject: true, maxObject + 1: true} {
			all, _ := linesOf(wholeLines, strings.NewReader(strings.Repeat("x", n)+"\nnext\n"))
			if len(all) != 2 || all[0].cut != cut || all[1].text != "next" {
				t.Errorf("%d bytes: %d lines, the first is cut: %v", n, len(all), all[0].cut)
			}
		}
	})

	t.Run("a line of 10 MB does not take 10 MB", func(t *testing.T) {
		for _, split := range []splitter{wholeLines, textLines} {
			next := split(io.MultiReader(io.LimitReader(letters{}, 10<<20), strings.NewReader("\nnext\n")))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			in, _ := next()
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
				t.Errorf("it took %d bytes", took)
			}
			for in.goesOn {
				in, _ = next()
			}
			if in, _ = next(); in.text != "next" || in.number != 2 {
				t.Errorf("the next line is %.20q, number %d", in.text, in.number)
			}
		}
	})

	t.Run("parts end between characters, and are as long as a message may be", func(t *testing.T) {
		for _, before := range []string{"", "x", "xx", "xxx"} {
			text := before + strings.Repeat("👋", chat.MaxMessage/4+1)
			all, _ := linesOf(textLines, strings.NewReader(text))
			equal(t, "together", joined(t, all), []string{text})
			for _, l := range all {
				if !utf8.ValidString(l.text) || len(l.text) > chat.MaxMessage || l.goesOn && len(l.text) < chat.MaxMessage-3 {
					t.Errorf("a part has %d bytes", len(l.text))
				}
			}
		}
	})

	t.Run("what is binary is no text", func(t *testing.T) {
		for in, want := range map[string]error{"PK\x03\x04\x00\n": ErrBinary, "a\n" + strings.Repeat("b\n", 1<<13) + "\x00\n": io.EOF, "\xff\n": io.EOF} {
			if _, err := linesOf(textLines, strings.NewReader(in)); err != want { //nolint:errorlint // nothing is wrapped
				t.Errorf("%.8q ends with %v", in, err)
			}
		}
	})

	t.Run("an error of the input comes after what was read before", func(t *testing.T) {
		broken := errors.New("the disk is gone")
		for _, split := range []splitter{wholeLines, textLines} {
			all, err := linesOf(split, io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
			if err != broken || len(all) != 2 || all[1].text != "b" { //nolint:errorlint // nothing is wrapped
				t.Errorf("%v (%v)", all, err)
			}
		}
	})
}

// joined are whole lines.
func joined(t *testing.T, parts []line) (all []string) {
	goesOn := false
	for _, l := range parts {
		if l.continues != goesOn {
			t.Errorf("a part continues: %v, but the one before goes on: %v", l.continues, goesOn)
		}
		if l.continues {
			all[len(all)-1] += l.text
		} else {
			all = append(all, l.text)
		}
		if goesOn = l.goesOn; l.number != len(all) {
			t.Errorf("line %d has the number %d", len(all), l.number)
		}
	}
	return all
}

// letters are without end.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestInput(t *testing.T) {
	for name, test := range map[string]struct {
		screen Screen
		in     string // the message "one"
	}{
		"Line": {Line, "one\n"},
		"JSON": {JSON, `{"type":"message","text":"one"}` + "\n"},
	} {
		t.Run(name+" says that the input could not be read, and sends what could", func(t *testing.T) {
			broken := errors.New("the disk is gone")
			d := begin(t, test.screen, io.MultiReader(strings.NewReader(test.in), iotest.ErrReader(broken)), nil)
			d.other.finish(t)
			if err := d.end(); !errors.Is(err, broken) || err.Error() != "reading the input: the disk is gone" {
				t.Errorf("it ends with %v", err)
			}
			equal(t, "the other side reads", d.other.texts(), []string{"one"})
		})

		t.Run(name+" returns though its input never ends", func(t *testing.T) {
			in, feed := io.Pipe()
			defer func() { _ = feed.Close() }()
			d := begin(t, test.screen, in, nil)
			d.other.Leave()
			if err := d.end(); err != nil {
				t.Errorf("it ends with %v", err)
			}
		})

		t.Run(name+" ends with the conversation when its output fails, and that is the error", func(t *testing.T) {
			in, feed := io.Pipe()
			defer func() { _ = feed.Close() }()
			d := begin(t, test.screen, in, func(s *Streams) { s.Out = fullDisk{} })
			// JSON fails with its first object, and may have left before this is said.
			if _, err := d.other.Say(t.Context(), "hello"); err != nil && !errors.Is(err, chat.ErrOver) {
				t.Fatal(err)
			}
			if err := d.end(); !errors.Is(err, errFull) {
				t.Errorf("it ends with %v", err)
			}
			if d.other.left() != 1 {
				t.Error("the other side was not told")
			}
		})
	}
}

var errFull = errors.New("the disk is full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
