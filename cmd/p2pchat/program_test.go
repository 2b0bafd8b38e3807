package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// patience bounds each wait of a test for a program, on the slowest machine.
const patience = 60 * time.Second

// eventually polls until a condition holds for which there is no event. It tells why it does not if patience ends.
func eventually(t *testing.T, holds func() bool, why func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("waited in vain: ", why())
		}
	}
}

// A process is a running program whose input a test writes and whose output it reads.
type process struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out, err *transcript
	ended    chan struct{}
}

// launch starts the program in a folder of its own, and kills it when the test ends.
func launch(t testing.TB, args ...string) *process {
	t.Helper()
	return launchWith(t, t.TempDir(), nil, args...)
}

// launchWith is launch in a given folder, with more variables in the environment.
func launchWith(t testing.TB, dir string, env []string, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	return launchCommand(t, exec.Command(path, args...), dir, append(append(os.Environ(), "P2PCHAT_NAME=tester"), env...)) //nolint:gosec // the program under test
}

// launchCommand starts any program, and kills it when the test ends.
func launchCommand(t testing.TB, cmd *exec.Cmd, dir string, env []string) *process {
	t.Helper()
	p, err := begin(cmd, dir, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// serving starts a server, and returns its address.
func serving(t testing.TB, args ...string) (address string) {
	t.Helper()
	return launch(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...).notes(t, `listening on (\S+)`)[1]
}

// start runs the program as a process.
func start(dir string, env []string, args ...string) (*process, error) {
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		return nil, err
	}
	return begin(exec.Command(path, args...), dir, env) //nolint:gosec // the program under test
}

// begin starts a command whose input and output are the test's.
func begin(cmd *exec.Cmd, dir string, env []string) (p *process, err error) {
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, patience/10 // a program that it has started may hold its output
	p = &process{cmd: cmd, out: newTranscript(), err: newTranscript(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.err
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // the exit code is asked for later
		p.out.end()
		p.err.end()
	}()
	return p, nil
}

// kill ends the process if it is still running.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// end waits for the end of the process. One that does not end is made to say what its goroutines do.
func (p *process) end() error {
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // Windows has none
	select {
	case <-p.ended:
	case <-time.After(patience / 10):
	}
	return fmt.Errorf("it did not end; its stderr:\n%s", p.err)
}

// finish waits for the end of the process.
func (p *process) finish(t testing.TB) {
	t.Helper()
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
}

// finishes waits for the end of the process, and checks its exit code.
func (p *process) finishes(t testing.TB, code int) {
	t.Helper()
	p.finish(t)
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, not %d; its stderr:\n%s\nits stdout:\n%s", got, code, p.err, p.out)
	}
}

// prints waits until stdout has a match, and returns its groups.
func (p *process) prints(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := p.out.wait(regexp.MustCompile(`(?m)` + pattern))
	if err != nil {
		t.Fatalf("%v\nits stderr:\n%s", err, p.err)
	}
	return found
}

// hears waits for a line that the program prints for a message.
func (p *process) hears(t testing.TB, line string) {
	t.Helper()
	p.prints(t, `^`+regexp.QuoteMeta(line)+`$`)
}

// notes waits until stderr has a match, and returns its groups.
func (p *process) notes(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := p.err.wait(regexp.MustCompile(`(?m)` + pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// say types a line.
func (p *process) say(t testing.TB, line string) {
	t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// freeAddress returns an address on loopback where no program listens. The kernel gives out others for a while
// before it gives out this one again.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// skipWithout skips a test that needs a program which is not installed. Where CI=true, the test fails instead.
func skipWithout(t *testing.T, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs " + program)
	}
	t.Skip("NOT RUN: this test needs " + program)
}

// inFull leaves a test, or one of its cases, to the long form of the tests ('task test:long', and CI): it shows for another side,
// moment, lie or browser what a shorter one shows for the first.
func inFull(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left to the long form of the tests")
	}
}
