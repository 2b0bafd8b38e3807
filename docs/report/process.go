package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// output runs a program to its end, and returns what it printed. The error has the end of what it printed on stderr.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	c := command(ctx, dir, env, name, args...)
	var out, notes bytes.Buffer
	c.Stdout, c.Stderr = &out, &notes
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", filepath.Base(name), err, oneLine(notes.String()+" "+out.String()))
	}
	return out.String(), nil
}

// command returns a command whose whole process group is killed when ctx ends.
func command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // the table of rows has them
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	return c
}

// A process runs beside the measurement.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // of stdout and stderr
	began time.Time
	seen  []string
}

// start starts a program in a new folder below the lab's, which is its home as well.
func (l *lab) start(ctx context.Context, env []string, name string, args ...string) (*process, error) {
	return l.startWith(ctx, env, name, args, func(c *exec.Cmd) (io.WriteCloser, io.Reader, error) {
		in, err := c.StdinPipe()
		if err != nil {
			return nil, nil, err
		}
		out, err := c.StdoutPipe()
		c.Stderr = c.Stdout
		if err == nil {
			err = c.Start()
		}
		return in, out, err
	})
}

// startInTerminal is start in a terminal of its own.
func (l *lab) startInTerminal(ctx context.Context, env []string, name string, args ...string) (*process, error) {
	return l.startWith(ctx, append(env, "TERM=xterm-256color"), name, args, func(c *exec.Cmd) (io.WriteCloser, io.Reader, error) {
		c.SysProcAttr = nil // it gets a session of its own, which is a process group, too
		terminal, err := pty.StartWithSize(c, &pty.Winsize{Rows: 40, Cols: 120})
		return terminal, terminal, err
	})
}

func (l *lab) startWith(ctx context.Context, env []string, name string, args []string, begin func(*exec.Cmd) (io.WriteCloser, io.Reader, error)) (*process, error) {
	home, err := os.MkdirTemp(l.dir, "home")
	if err != nil {
		return nil, err
	}
	c := command(ctx, home, append([]string{"HOME=" + home}, env...), name, args...)
	p := &process{cmd: c, lines: make(chan string, 1<<16), began: time.Now()}
	in, out, err := begin(c)
	if err != nil {
		return nil, err
	}
	p.in = in
	go func() {
		defer close(p.lines)
		s := bufio.NewScanner(out)
		s.Split(splitLines)
		for s.Scan() {
			select {
			case p.lines <- s.Text():
			default: // nothing waits for that many
			}
		}
	}()
	return p, nil
}

// splitLines splits at carriage returns, too: progress bars end with them.
func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// waitFor waits for a line that matches, and returns its groups.
func (p *process) waitFor(ctx context.Context, pattern string) ([]string, error) {
	re := regexp.MustCompile(pattern)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return nil, fmt.Errorf("%s ended before it printed %q: %s", filepath.Base(p.cmd.Path), pattern, oneLine(strings.Join(p.seen, " ")))
			}
			p.seen = append(p.seen, line)
			if found := re.FindStringSubmatch(line); found != nil {
				return found, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("%s did not print %q in time: %s", filepath.Base(p.cmd.Path), pattern, oneLine(strings.Join(p.seen, " ")))
		}
	}
}

// wait waits until the program has ended, which it should with exit code 0.
func (p *process) wait() error {
	for line := range p.lines {
		p.seen = append(p.seen, line)
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(p.cmd.Path), err, oneLine(strings.Join(p.seen, " ")))
	}
	return nil
}

// stop ends the program, if it still runs.
func (p *process) stop() {
	if p.cmd.ProcessState == nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		_ = p.wait()
	}
	_ = p.in.Close() // a terminal's, which has no other end
}

// freePort returns the first of n ports of loopback that are free.
func freePort(n int) (int, error) {
	for port := 20000 + os.Getpid()%10000; port < 60000; port += n {
		free := true
		for p := port; free && p < port+n; p++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
			if free = err == nil; free {
				_ = l.Close()
			}
		}
		if free {
			return port, nil
		}
	}
	return 0, errors.New("no port is free")
}

// listens waits until a program accepts connections at address.
func listens(ctx context.Context, address string) error {
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at %s: %w", address, err)
		}
	}
}
