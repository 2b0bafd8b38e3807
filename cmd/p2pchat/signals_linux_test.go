package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A command that only prints ends at the first signal, though its output is not read: it handles none. Handlers would be threads at each start, and
// the command would go on to write.
func TestAPrintingCommandHandlesNoSignal(t *testing.T) {
	t.Parallel()
	unread, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(unread.Close(), full.Close()) }()
	if _, err := unix.FcntlInt(full.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil { // the script is larger
		t.Fatal(err)
	}
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "completion", "bash") //nolint:gosec // the program under test
	cmd.Stdout = full
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	if _, err := unread.Read(make([]byte, 1)); err != nil { // the command writes, and waits for more room
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(ended) > 0 }, func() string { return "the command goes on after a signal" })
	if err := <-ended; err == nil {
		t.Error("it ended as if there had been no signal")
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != os.Interrupt {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
}

func TestCommandsThatEndAtOnce(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]bool{"": true, "version": true, "--version": true, "help": true, "__complete": true, "call": false, "serve": false, "contacts": false, "417-amber-falcon": false} {
		list := []string{args, "answer"}
		if args == "" {
			list = nil
		}
		if got := endsAtOnce(list); got != want {
			t.Errorf("%q ends at once: %v", args, got)
		}
	}
}
