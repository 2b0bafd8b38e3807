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
// that it said is delivered; the program's input ends when the call has. Processes that the program has left behind count no
// longer than programGrace. Nothing that the contact chose is on the program's command line or in its environment.
func (s *switchboard) runProgram(ctx context.Context, o talkOptions, id, name string) error {
	cmd := exec.Command(s.o.program) //nolint:gosec,noctx // the program that the person named; it is told to end below
	cmd.Env = append(os.Environ(), programEnv+"="+name)
	out, to := io.Pipe()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = to, s.notes, programGrace
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("--exec: %w", err)
	}
	ended := make(chan struct{})
	s.wg.Go(func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is the program's own affair
		_ = to.Close() // it never fails
	})
	defer func() {
		in.Close()
		s.wg.Go(func() { _, _ = io.Copy(io.Discard, out) }) // what it still says must not keep it from ending
		endProgram(cmd.Process, ended)
	}()
	if err := o.openOutbox(id); err != nil {
		return err
	}
	writeNotices(s.notes, o.notices...)
	o.over = func() { // a program that does not read must not hold the end of the call
		s.wg.Go(func() {
			select {
			case <-ended:
			case <-time.After(programGrace):
			}
			in.Close()
		})
	}
	o.screen, o.full, o.declines, o.unit, o.drain, o.leaveOnEOF, o.leaveAtOnce = screen.JSON, false, "", "", 2*time.Second, true, true
	if err := talk(ctx, o, stdio{in: out, out: in, err: s.notes}); !only(err, screen.ErrOutputClosed) { // a program ends its call like that
		return err
	}
	return nil
}

// endProgram waits for the end of a program whose call is over. A program that goes on is told to stop, then killed.
func endProgram(p *os.Process, ended <-chan struct{}) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Kill} {
		select {
		case <-ended:
			return
		case <-time.After(programGrace):
			if p.Signal(signal) != nil { // Windows knows only the second
				_ = p.Kill() // it may have ended
			}
		}
	}
	<-ended
}
