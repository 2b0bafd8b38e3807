package screen

import (
	"bufio"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"p2pchat/chat"
)

func TestReadLine(t *testing.T) {
	type got struct {
		text   string
		length int
	}
	read := func(in io.Reader) (all []got, err error) {
		r := bufio.NewReaderSize(in, 16)
		for {
			text, length, err := readLine(r)
			if length > 0 || err == nil {
				all = append(all, got{text, length})
			}
			if err != nil {
				return all, err
			}
		}
	}
	long := strings.Repeat("0123456789", 10)
	for name, test := range map[string]struct {
		in   string
		want []got
	}{
		"no input":                   {"", nil},
		"a line":                     {"a\n", []got{{"a", 1}}},
		"a last line without an end": {"a\nb", []got{{"a", 1}, {"b", 1}}},
		"empty lines":                {"\n\na\n\n", []got{{"", 0}, {"", 0}, {"a", 1}, {"", 0}}},
		"lines of another system":    {"a\r\n\r\nb\r\n", []got{{"a", 2}, {"", 1}, {"b", 2}}},
		"a return in the middle":     {"a\rb\n", []got{{"a\rb", 3}}},
		"two returns":                {"a\r\r\n", []got{{"a\r", 3}}},
		"a return at the very end":   {"a\r", []got{{"a\r", 2}}},
		"lines beyond the buffer":    {long + "\r\n" + long, []got{{long, 101}, {long, 100}}},
		"lines that fill the buffer": {"0123456789abcde\n0123456789abcdef\n", []got{{"0123456789abcde", 15}, {"0123456789abcdef", 16}}},
	} {
		t.Run(name, func(t *testing.T) {
			for how, in := range map[string]io.Reader{"at once": strings.NewReader(test.in), "byte by byte": iotest.OneByteReader(strings.NewReader(test.in))} {
				all, err := read(in)
				if err != io.EOF || len(all) != len(test.want) { //nolint:errorlint // readLine wraps nothing
					t.Fatalf("%s: %v (%v)", how, all, err)
				}
				for i := range all {
					if all[i] != test.want[i] {
						t.Errorf("%s: line %d is %+v, not %+v", how, i+1, all[i], test.want[i])
					}
				}
			}
		})
	}

	t.Run("a line is cut at maxLine, exactly", func(t *testing.T) {
		for n, kept := range map[int]int{maxLine - 1: maxLine - 1, maxLine: maxLine, maxLine + 1: maxLine} {
			all, _ := read(strings.NewReader(strings.Repeat("x", n) + "\nnext\n"))
			if len(all) != 2 || len(all[0].text) != kept || all[0].length != n || all[1].text != "next" {
				t.Errorf("%d bytes: %d lines, the first has %d bytes of %d", n, len(all), len(all[0].text), all[0].length)
			}
		}
	})

	t.Run("a line of 10 MB does not take 10 MB", func(t *testing.T) {
		const size = 10 << 20
		in := io.MultiReader(io.LimitReader(zeros{}, size), strings.NewReader("\nnext\n"))
		r := bufio.NewReader(in)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		text, length, err := readLine(r)
		runtime.ReadMemStats(&after)
		if err != nil || length != size || len(text) != maxLine {
			t.Errorf("%d bytes of %d: %v", len(text), length, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
			t.Errorf("it took %d bytes", took)
		}
		if text, _, _ := readLine(r); text != "next" {
			t.Errorf("the next line is %q", text)
		}
	})

	t.Run("an error of the input comes with what was read before", func(t *testing.T) {
		broken := errors.New("the disk is gone")
		all, err := read(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
		if err != broken || len(all) != 2 || all[1].text != "b" { //nolint:errorlint // readLine wraps nothing
			t.Errorf("%v (%v)", all, err)
		}
	})
}

// zeros is without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
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
