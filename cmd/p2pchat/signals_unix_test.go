//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var signals = map[string]os.Signal{
	"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
}

func TestSignals(t *testing.T) {
	t.Parallel()
	t.Run("a hang-up that is ignored, as nohup has it, does not end the server", func(t *testing.T) {
		t.Parallel()
		server := launchCommand(t, exec.Command("sh", "-c", "trap '' HUP; exec p2pchat serve --listen 127.0.0.1:0 --log-level debug"), t.TempDir(), os.Environ())
		address := server.notes(t, `listening on (\S+)`)[1]
		if err := server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		launch(t, "call", "--server", address).notes(t, "code: lobby")
		if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		server.finishes(t, 0)
	})

	t.Run("an interrupt ends a program whose output is not read", func(t *testing.T) {
		t.Parallel()
		server := serving(t)
		unread, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unread.Close() }) // nothing was ever read
		said := newTranscript()
		cmd := exec.CommandContext(t.Context(), "p2pchat", "answer", "--server", server) //nolint:gosec // the program under test
		cmd.Stdout, cmd.Stderr = out, said
		if err := errors.Join(cmd.Start(), out.Close()); err != nil {
			t.Fatal(err)
		}
		caller := launch(t, "call", "--server", server)
		if _, err := said.wait(regexp.MustCompile("Connected with")); err != nil {
			t.Fatal(err)
		}
		// More than a pipe holds, and less than both programs keep for a slow reader.
		if _, err := io.WriteString(caller.in, strings.Repeat(strings.Repeat("x", 10_000)+"\n", 50)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		exit := (*exec.ExitError)(nil)
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
			t.Errorf("it ended with %v: %s", err, said)
		}
	})
}
