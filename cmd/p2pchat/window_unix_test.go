//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// A window is an emulated terminal with the program in it: what a person would see.
type window struct {
	*testing.T
	cmd      *exec.Cmd
	keyboard *os.File
	before   string // how the terminal was set when the program started
	shown    chan struct{}

	mu     sync.Mutex // guards what follows
	screen vt10x.Terminal
	raw    bytes.Buffer // all that was written
	rest   []byte       // of a sequence that is not whole yet
	record func([]byte) // hears what is written; may be nil
	ended  bool
	more   chan struct{} // closed by the next change
}

// The emulator takes these for something else; a terminal of today understands them or
// drops them.
var unknownToEmulator = regexp.MustCompile(`\x1b\[[<=>][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p`)

// What asks for the background's colour, and the answer of a light terminal.
const (
	askBackground   = "\x1b]11;?\a"
	lightBackground = "\x1b]11;rgb:ffff/ffff/ffff\a"
	darkBackground  = "\x1b]11;rgb:1010/1212/1616\a"
)

// openWindow runs the program in a window of that size. An environment
// variable LIGHT=1 makes its background light.
func openWindow(t *testing.T, columns, rows uint16, env []string, args ...string) *window {
	t.Helper()
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	return openWindowWith(t, columns, rows, env, path, args...)
}

// openWindowWith is openWindow with another program in it.
func openWindowWith(t *testing.T, columns, rows uint16, env []string, path string, args ...string) *window {
	t.Helper()
	keyboard, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(keyboard, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	w := &window{
		T: t, cmd: exec.Command(path, args...), keyboard: keyboard, before: modes(t, keyboard), //nolint:gosec // chosen by the test
		shown: make(chan struct{}), more: make(chan struct{}),
		screen: vt10x.New(vt10x.WithSize(int(columns), int(rows))),
	}
	w.cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor", "TERM_PROGRAM=", "TMUX=", "NO_COLOR=", "SSH_TTY=", "P2PCHAT_CODE="), env...)
	w.cmd.Dir = t.TempDir()
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = terminal, terminal, terminal
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = w.cmd.Start()
	_ = terminal.Close() // the program has it
	if err != nil {
		t.Fatal(err)
	}
	w.keyboard = pollable(t, keyboard)
	background := darkBackground
	for _, e := range env {
		if e == "LIGHT=1" {
			background = lightBackground
		}
	}
	go w.emulate(background)
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill() // it may have ended
		_ = w.cmd.Wait()         // it may have been waited for
		_ = w.keyboard.Close()   // whatever was still to be typed
		<-w.shown
	})
	return w
}

// pollable returns the file in a form whose Close ends a Read. It closes the given one, which asking for its descriptor has made blocking.
func pollable(t *testing.T, file *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), file.Name())
}

// hangsUp closes the terminal, as a person does who closes a window, or a connection of ssh that breaks.
func (w *window) hangsUp() {
	w.Helper()
	if err := w.keyboard.Close(); err != nil {
		w.Fatal(err)
	}
	<-w.shown
}

// emulate shows what the program writes, and answers as a terminal does.
func (w *window) emulate(background string) {
	defer close(w.shown)
	buffer := make([]byte, 32<<10)
	for {
		n, err := w.keyboard.Read(buffer)
		w.mu.Lock()
		w.raw.Write(buffer[:n])
		if w.record != nil {
			w.record(buffer[:n])
		}
		w.rest = append(w.rest, buffer[:n]...)
		whole := len(w.rest)
		if i := bytes.LastIndexByte(w.rest, 0x1b); i >= 0 && len(w.rest)-i < 24 && err == nil {
			if tail := w.rest[i:]; !regexp.MustCompile(`^\x1b(\[[^a-zA-Z]*[a-zA-Z]|\].*\a|[^\[\]])`).Match(tail) {
				whole = i
			}
		}
		now := w.rest[:whole]
		asked := bytes.Contains(now, []byte(askBackground))
		_, _ = w.screen.Write(unknownToEmulator.ReplaceAll(bytes.ReplaceAll(now, []byte(askBackground), nil), nil)) // it never fails
		w.rest = append([]byte(nil), w.rest[whole:]...)
		w.ended = err != nil
		if asked { // before a test can see what was written, and stop the program
			_, _ = io.WriteString(w.keyboard, background) // the program may have ended
		}
		close(w.more)
		w.more = make(chan struct{})
		w.mu.Unlock()
		if err != nil { // EIO: the program has ended
			return
		}
	}
}

// titled waits until the window has that title.
func (w *window) titled(want string) {
	w.Helper()
	w.until("its title is "+want, func(string) bool { return w.screen.Title() == want })
}

// until waits until something is true of the window, and of all that was written.
func (w *window) until(what string, is func(written string) bool) {
	w.Helper()
	limit := time.After(patience)
	for {
		w.mu.Lock()
		so, more := is(w.raw.String()), w.more
		w.mu.Unlock()
		if so {
			return
		}
		select {
		case <-more:
		case <-limit:
			w.Fatalf("it is not so that %s; its window:\n%s", what, w.text())
		}
	}
}

// text is what the window shows, without the spaces at the end of each row.
func (w *window) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.look()
}

func (w *window) look() string {
	rows := strings.Split(w.screen.String(), "\n")
	for i, r := range rows {
		rows[i] = strings.TrimRight(r, " ")
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

// shows waits until the window's text matches.
func (w *window) shows(pattern string) {
	w.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	limit := time.After(patience)
	for {
		w.mu.Lock()
		text, ended, more := w.look(), w.ended, w.more
		w.mu.Unlock()
		if re.MatchString(text) {
			return
		}
		if ended {
			w.Fatalf("it ended without showing %q; its window:\n%s", pattern, text)
		}
		select {
		case <-more:
		case <-limit:
			w.Fatalf("it does not show %q; its window:\n%s", pattern, text)
		}
	}
}

func (w *window) types(text string) {
	w.Helper()
	if _, err := io.WriteString(w.keyboard, text); err != nil {
		w.Fatal(err)
	}
}

// signals sends a signal to a process of the test's own.
func (w *window) signals(pid int, signal syscall.Signal) {
	w.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		w.Fatal(err)
	}
}

// resize makes the window another size, and tells the program.
func (w *window) resize(columns, rows uint16) {
	w.Helper()
	w.mu.Lock()
	w.screen.Resize(int(columns), int(rows))
	w.mu.Unlock()
	if err := pty.Setsize(w.keyboard, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		w.Fatal(err)
	}
}

// ends waits for the program, and checks its exit code and that the terminal is as it was.
func (w *window) ends(code int) {
	w.Helper()
	if !awaitEnd(w.cmd) {
		w.Errorf("it did not end; what it wrote:\n%q", w.written())
	}
	if got := w.cmd.ProcessState.ExitCode(); got != code {
		w.Errorf("it ended with exit code %d, not %d; its window:\n%s", got, code, w.text())
	}
	if after := modes(w.T, w.keyboard); after != w.before {
		w.Errorf("the terminal's modes are %s, and were %s", after, w.before)
	}
	select {
	case <-w.shown:
	case <-time.After(patience):
		w.Fatal("another program still has its terminal")
	}
	if raw := w.written(); strings.Count(raw, "\x1b[?1049h") != strings.Count(raw, "\x1b[?1049l") {
		w.Errorf("the other screen is still on")
	}
	for _, mode := range []string{"2004", "1004", "1002", "1006"} { // paste, focus, mouse
		if raw := w.written(); strings.LastIndex(raw, "\x1b[?"+mode+"h") > strings.LastIndex(raw, "\x1b[?"+mode+"l") {
			w.Errorf("mode %s is still on", mode)
		}
	}
	if !w.screen.CursorVisible() {
		w.Errorf("the cursor is hidden")
	}
}

// written is all that the program has written.
func (w *window) written() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.raw.String()
}
