//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// programCommand returns a command of the program, in a folder of its own.
func programCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "p2pchat", args...) //nolint:gosec // the program under test
	cmd.Dir = t.TempDir()
	return cmd
}

// quits waits for the end of a program whose terminal has gone.
func (w *window) quits(code int) {
	w.Helper()
	awaitEnd(w.cmd)
	if got := w.cmd.ProcessState.ExitCode(); got != code {
		w.Errorf("it ended with exit code %d, not %d", got, code)
	}
}

// A terminal that goes away, as when a window is closed or a connection of ssh breaks, ends the program.
func TestATerminalGoesAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args  []string
		dumb  bool
		shows string
		code  int
	}{
		"call":                 {[]string{"call", "417-falcon-zebra"}, false, "waiting for the other side", exitInterrupted},
		"call, line by line":   {[]string{"call", "417-falcon-zebra"}, true, "Waiting for the other side", exitInterrupted},
		"answer":               {[]string{"answer", "417-falcon-zebra"}, false, "waiting for the caller", exitInterrupted},
		"answer, line by line": {[]string{"answer", "417-falcon-zebra"}, true, "Answering", exitInterrupted},
		"listen":               {[]string{"listen"}, false, "Enter answers", 0},
		"listen, line by line": {[]string{"listen"}, true, "no contacts", 0},
		"serve":                {[]string{"serve", "--listen", "127.0.0.1:0"}, false, "listening on", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"XDG_STATE_HOME=" + t.TempDir()}
			if c.dumb {
				env = append(env, "TERM=dumb")
			}
			if c.args[0] != "serve" {
				env = append(env, "P2PCHAT_SERVER="+serving(t))
			}
			w := openWindow(t, 80, 24, env, c.args...)
			w.shows(c.shows)
			w.hangsUp()
			w.quits(c.code)
		})
	}

	t.Run("answer, while it asks for the code", func(t *testing.T) {
		t.Parallel()
		for _, term := range []string{"TERM=xterm", "TERM=dumb"} {
			w := openWindow(t, 80, 24, with(servingElsewhere(t), term), "answer")
			w.shows(`code`)
			w.hangsUp()
			w.quits(exitInterrupted)
		}
	})

	t.Run("a conversation ends for both, and what was not delivered waits for the next call", func(t *testing.T) {
		t.Parallel()
		server, state := serving(t), t.TempDir()
		env := []string{"XDG_STATE_HOME=" + state, "P2PCHAT_NO_OUTBOX=false", "P2PCHAT_NAME=Ann", "P2PCHAT_SERVER=" + server}
		ann := openWindow(t, 80, 24, env, "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		ann.types("Are you there?\r")
		ann.shows(`Are you there\? +○`)
		ann.hangsUp()
		ann.quits(exitInterrupted)

		ann = openWindow(t, 80, 24, env, "call", "--resume")
		ann.shows(`1 message from before`)
		ben := launch(t, "answer", "417-falcon-zebra", "--server", server)
		ben.hears(t, "Are you there?")
		ann.hangsUp()
		ann.quits(exitInterrupted)
		ben.notes(t, `The other side has left`)
		ben.kill()
	})
}

// A program that may open few files says so, with what to do, or goes on.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	limited := func(limit int, args ...string) *process {
		sh := []string{"-c", fmt.Sprintf("ulimit -n %d; exec p2pchat \"$@\"", limit), "sh"}
		cmd := exec.CommandContext(t.Context(), "sh", append(sh, args...)...) //nolint:gosec // chosen by the test
		return launchCommand(t, cmd, t.TempDir(), append(programCommand(t).Environ(), "P2PCHAT_NAME=tester"))
	}
	server := serving(t)
	ann := launch(t, "call", "417-falcon-zebra", "--server", server)
	ann.notes(t, `code: 417`)
	for limit := 8; ; limit++ { // with fewer, Go does not begin
		ben := limited(limit, "answer", "417-falcon-zebra", "--server", server, "--leave-on-eof", "--wait", "20s")
		ben.say(t, fmt.Sprint("with ", limit))
		_ = ben.in.Close() // it never fails
		ben.finish(t)
		if code := ben.cmd.ProcessState.ExitCode(); code == 0 {
			t.Logf("it needs %d descriptors", limit)
			if limit > 40 {
				t.Errorf("that is too many")
			}
			ann.hears(t, fmt.Sprint("with ", limit))
			return
		}
		ben.notes(t, `too many open files`)
		ben.notes(t, `hint: raise the number of files that this program may open: ulimit -n, or LimitNOFILE in a systemd unit`)
	}
}

// A program that is stopped for longer than the server keeps a room, as when a lid is closed, is back when it goes on: what the other
// side wrote comes, and what is typed then is sent. Both may have been stopped.
func TestStoppedForLong(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"one": false, "both": true} {
		t.Run(name, func(t *testing.T) {
			if both {
				inFull(t)
			}
			t.Parallel()
			server := serving(t, "--room-ttl", "2s")
			env := []string{testStillLost + "=8s", "P2PCHAT_SERVER=" + server}
			ann := launchWith(t, t.TempDir(), env, "call", "417-falcon-zebra", "--ui", "json")
			ann.prints(t, `"type":"waiting"`)
			ben := launchWith(t, t.TempDir(), env, "answer", "417-falcon-zebra", "--ui", "json")
			ann.prints(t, `"type":"connected"`)
			ben.prints(t, `"type":"connected"`)
			signal := func(p *process, s syscall.Signal) {
				if err := p.cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			signal(ann, syscall.SIGSTOP)
			ben.prints(t, `"type":"disconnected"`)
			ben.say(t, `{"type":"message","text":"are you there?"}`)
			ben.prints(t, `"type":"still-disconnected"`) // 8 s after that, so four times as long as a room lives
			if both {
				signal(ben, syscall.SIGSTOP)
			}
			signal(ann, syscall.SIGCONT)
			ann.say(t, `{"type":"message","text":"now I am"}`)
			if both {
				ann.prints(t, `"type":"still-disconnected"`)
				signal(ben, syscall.SIGCONT)
			}
			ann.prints(t, `"text":"are you there\?"`)
			ben.prints(t, `"text":"now I am"`)
			ben.prints(t, `"id":1,"type":"delivered"`)
			ann.prints(t, `"id":1,"type":"delivered"`)
			for _, p := range []*process{ann, ben} {
				p.say(t, `{"type":"leave"}`)
				p.finishes(t, 0)
			}
		})
	}
}
