//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRecordingMeetings records, from real sessions, what people see when a code does not lead to the
// other side: docs/pictures/no-call.cast, wrong-code.cast, new-code.cast and started-again.cast.
// 'task pictures' runs it.
func TestRecordingMeetings(t *testing.T) {
	dir := os.Getenv("P2PCHATTEST_PICTURES")
	if dir == "" {
		t.Skip("P2PCHATTEST_PICTURES names no folder to record into")
	}
	const look = 2 * time.Second
	call := func(t *testing.T) (ann *window, env []string) {
		t.Helper()
		env = servingElsewhere(t)
		ann = openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		return ann, env
	}
	answer := func(t *testing.T, env []string) *recording {
		t.Helper()
		ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=ben"), "answer")
		ben.shows(`code \(Tab completes its words\):$`)
		r := record(ben)
		r.pause(look)
		return r
	}
	typed := func(r *recording, text string) {
		r.keys(strings.Split(text, "")...)
		r.pause(look / 4)
		r.types("\r")
	}

	t.Run("a code that no one calls with", func(t *testing.T) {
		_, env := call(t)
		r := answer(t, env)
		typed(r, "471-falcon-zebra")
		r.shows(`Nobody is calling in room 471 yet`)
		r.pause(2 * look)
		r.types("\r")
		r.shows(`^code: `)
		r.pause(look)
		typed(r, "417-falcon-zebra")
		r.shows("● ann · verified")
		r.pause(look)
		r.save(filepath.Join(dir, "no-call.cast"))
	})

	t.Run("a code with a wrong word", func(t *testing.T) {
		_, env := call(t)
		r := answer(t, env)
		typed(r, "417-falcon-zebar")
		r.shows(`"zebar" is not a code word`)
		r.pause(look)
		r.keys("\x7f", "\x7f")
		typed(r, "ar")
		r.shows(`Type the caller's code\.`)
		r.pause(look)
		r.keys(strings.Split("417-falcon-zeb", "")...)
		typed(r, "\t")
		r.shows("● ann · verified")
		r.pause(look)
		r.save(filepath.Join(dir, "wrong-code.cast"))
	})

	t.Run("a code that three wrong ones have used up", func(t *testing.T) {
		ann, env := call(t)
		r := record(ann)
		for i, code := range []string{"417-falcon-almanac", "417-falcon-moisture", "417-falcon-kabob"} {
			r.pause(look)
			guesses(t, env, code)
			r.shows([]string{`2 attempts left`, `1 attempt left`, `Press Enter for a new code`}[i])
		}
		r.pause(2 * look)
		r.types("\r")
		r.shows(`^  code: \d{3}-\w+-\w+$`)
		r.pause(look)
		r.save(filepath.Join(dir, "new-code.cast"))
	})

	t.Run("a program that was started again", func(t *testing.T) {
		ann, env := call(t)
		ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=ben"), "answer", "417-falcon-zebra")
		ann.shows("● ben · verified")
		ben.types("See you at six.\r")
		ann.shows(`See you at six\.`)
		r := record(ann)
		r.pause(look)
		r.signals(ben.cmd.Process.Pid, syscall.SIGKILL)
		r.shows("disconnected")
		r.pause(look)
		typed(r, "Which harbour?")
		r.shows(`Which harbour\? +○`)
		ben = openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=ben"), "answer", "417-falcon-zebra")
		ben.shows(`Nobody is calling in room 417 yet`)
		r.shows(`has not come back for 30 s`)
		r.pause(2 * look)
		typed(r, "/again")
		r.shows(`Which harbour\? +✓✓`)
		ben.types("The old one.\r")
		r.shows(`The old one\.`)
		r.pause(look)
		r.save(filepath.Join(dir, "started-again.cast"))
	})
}
