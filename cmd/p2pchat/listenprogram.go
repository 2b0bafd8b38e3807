package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"p2pchat/chat/screen"
)

// programGrace is how long a program may run on after its call, and then after it was told to stop.
const programGrace = 5 * time.Second

// programEnv names the variable that has the name of the contact.
const programEnv = variablePrefix + "CONTACT"

// runProgram holds a call in which the program of --exec speaks for this side. The call ends when the program has ended, and all
// that it said is delivered; the program's input ends when the call has. Nothing that the contact chose is on the program's
// command line or in its environment.
func (s *switchboard) runProgram(ctx context.Context, o talkOptions, id, name string) error {
	cmd := exec.Command(s.o.program) //nolint:gosec,noctx // the program that the person named; it is told to end below
	cmd.Env = append(os.Environ(), programEnv+"="+name)
	cmd.Stderr = s.notes
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("--exec: %w", err)
	}
	defer waitProgram(cmd, in)
	if err := o.openOutbox(id, s.notes); err != nil {
		return err
	}
	o.screen, o.full, o.declines, o.unit, o.drain, o.leaveOnEOF = screen.JSON, false, "", "", 2*time.Second, true
	return talk(ctx, o, stdio{in: out, out: in, err: s.notes})
}

// waitProgram ends the program's input and waits for its end. A program that goes on is told to stop, then killed.
func waitProgram(cmd *exec.Cmd, in io.Closer) {
	in.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is the program's own affair
	}()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Kill} {
		select {
		case <-ended:
			return
		case <-time.After(programGrace):
			if cmd.Process.Signal(signal) != nil { // Windows knows only the second
				_ = cmd.Process.Kill() // it may have ended
			}
		}
	}
	<-ended
}
