//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// A recording is what a window showed, as an asciinema cast (version 2). Its clock is set by the
// script, so that it plays at the pace of a person however fast the test was.
type recording struct {
	*window
	clock time.Duration
	lines []string
	part  []byte // of a letter that is not whole yet
}

// record begins a recording of a window, with what it has shown already.
func record(w *window) *recording {
	r := &recording{window: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	r.write(w.raw.Bytes())
	w.record = r.write
	return r
}

// write notes output. The window's mutex is held.
func (r *recording) write(b []byte) {
	b = append(r.part, b...)
	end := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				end = len(b) - i
			}
			break
		}
	}
	r.part = append([]byte(nil), b[end:]...)
	if end == 0 {
		return
	}
	line, err := json.Marshal([]any{r.clock.Seconds(), "o", string(b[:end])})
	if err != nil {
		r.Error(err)
	}
	r.lines = append(r.lines, string(line))
}

// pause lets time pass for those who watch.
func (r *recording) pause(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock += d
}

// keys types each of the keys, and waits for what the window makes of it.
func (r *recording) keys(keys ...string) {
	r.Helper()
	for _, k := range keys {
		r.pause(90 * time.Millisecond)
		before := len(r.written())
		r.types(k)
		r.until("it shows the key", func(written string) bool { return len(written) > before })
	}
}

// save writes the cast.
func (r *recording) save(path string) {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	columns, rows := r.screen.Size()
	head := fmt.Sprintf(`{"version":2,"width":%d,"height":%d,"env":{"TERM":"xterm-256color"}}`, columns, rows)
	if err := os.WriteFile(path, []byte(head+"\n"+strings.Join(r.lines, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // for everyone to see
		r.Fatal(err)
	}
}

// TestRecording records docs/pictures/draft.cast from a real session: a draft of many lines is
// cleared and brought back, and leaving asks. 'task pictures' runs it.
func TestRecording(t *testing.T) {
	dir := os.Getenv("P2PCHATTEST_PICTURES")
	if dir == "" {
		t.Skip("P2PCHATTEST_PICTURES names no folder to record into")
	}
	env := []string{"P2PCHAT_SERVER=" + elsewhere, "HTTP_PROXY=" + serving(t, "--public-url", elsewhere)}
	ann := openWindow(t, 80, 24, append(env, "P2PCHAT_NAME=ann"), "call", "417-falcon-zebra")
	ann.shows("waiting for the other side")
	ben := openWindow(t, 80, 24, append(env, "P2PCHAT_NAME=ben"), "answer", "417-falcon-zebra")
	ann.shows("● ben")
	ben.shows("● ann")
	ben.types("Which boat do we take?\r")
	ann.shows("Which boat")
	r := record(ann)
	const look = 1500 * time.Millisecond
	r.pause(look)

	draft := func() {
		for i, line := range []string{"The one at six.", "Bring the map,", "and a torch."} {
			if i > 0 {
				r.keys("\x1b\r") // Alt-Enter
			}
			r.keys(strings.Split(line, "")...)
		}
		r.shows("> The one at six.\n  Bring the map,\n  and a torch.$")
		r.pause(look)
	}
	draft()
	r.keys("\x15", "\x15", "\x15", "\x15") // Ctrl-U: each line, and what joins it to the one before
	r.shows("> The one at six.$")
	r.keys("\x15")
	r.shows("> Write a message")
	r.pause(look)
	r.keys("\x1f", "\x1f", "\x1f", "\x1f", "\x1f") // Ctrl-_ undoes all of it
	r.shows("> The one at six.\n  Bring the map,\n  and a torch.$")
	r.pause(look)
	r.keys("\x03")
	r.shows("Draft cleared")
	r.pause(look)
	r.keys("\x1b[A")
	r.shows("> The one at six.\n  Bring the map,\n  and a torch.$")
	r.pause(look)
	r.keys("\r")
	r.shows("torch. +✓✓")
	r.pause(look)

	if err := ben.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // as a lid that is closed
		t.Fatal(err)
	}
	r.pause(look)
	r.shows("disconnected")
	r.pause(look)
	r.keys(strings.Split("Are you there?", "")...)
	r.keys("\r")
	r.shows("there. +○")
	r.pause(look)
	r.keys("\x03")
	r.shows("1 message has not been delivered. Press Ctrl-C again to drop it.")
	r.pause(2 * look)
	r.keys("\x03")
	ann.ends(exitInterrupted)
	r.save(filepath.Join(dir, "draft.cast"))
}
