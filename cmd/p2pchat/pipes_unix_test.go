//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"p2pchat/chat"
)

// piped is p2pchat in a shell's pipeline.
func piped(t *testing.T, server, pipeline string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", pipeline) //nolint:gosec // the test's own
	c.Dir, c.Env = t.TempDir(), append(os.Environ(), "P2PCHAT_SERVER="+server)
	return c
}

func TestPipes(t *testing.T) {
	t.Parallel()
	t.Run("a log with long lines arrives as it was", func(t *testing.T) {
		t.Parallel()
		server := serving(t)
		var log bytes.Buffer
		for i, size := range []int{1, chat.MaxMessage, chat.MaxMessage + 1, 200_000, 3_000_000, 10} {
			log.WriteString(strconv.Itoa(i) + strings.Repeat("ö", size/2) + "\n")
		}
		call := piped(t, server, "p2pchat call --leave-on-eof")
		call.Stdin = bytes.NewReader(log.Bytes())
		answer := piped(t, server, "p2pchat answer </dev/null")
		var got, said bytes.Buffer
		answer.Stdout, call.Stderr = &got, &said
		if err := errors.Join(answer.Start(), call.Run(), answer.Wait()); err != nil {
			t.Errorf("%v: %s", err, said.String())
		}
		if !bytes.Equal(got.Bytes(), log.Bytes()) {
			t.Errorf("%d bytes arrive of %d, in %d lines", got.Len(), log.Len(), strings.Count(got.String(), "\n"))
		}
	})

	t.Run("head ends the program without a word, as it does cat", func(t *testing.T) {
		t.Parallel()
		server := serving(t)
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		answer := piped(t, server, "exec p2pchat answer </dev/null")
		var said bytes.Buffer
		answer.Stdout, answer.Stderr = write, &said
		call := piped(t, server, "yes one | head -c 4000000 | p2pchat call") // more than all buffers hold
		if err := errors.Join(answer.Start(), call.Start(), write.Close()); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("one\n"))
		if _, err := io.ReadFull(read, line); err != nil || string(line) != "one\n" {
			t.Errorf("it reads %q, %v", line, err)
		}
		if err := read.Close(); err != nil {
			t.Error(err)
		}
		exit := (*exec.ExitError)(nil)
		if err := answer.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE {
			t.Errorf("it ends with %v", err)
		}
		if strings.Contains(said.String(), "error") || strings.Contains(said.String(), "warning") {
			t.Errorf("it says %s", said.String())
		}
		_ = call.Wait() // it has not delivered all
	})

	t.Run("binary that was all there is to send ends the program at once", func(t *testing.T) {
		t.Parallel()
		call := piped(t, serving(t), "printf 'a\\000b' | p2pchat call --leave-on-eof") // and no one answers
		var said bytes.Buffer
		call.Stderr = &said
		exit := (*exec.ExitError)(nil)
		if err := call.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(said.String(), "error: the input is not text, so nothing of it was sent\n") {
			t.Errorf("it ends with %v: %s", err, said.String())
		}
	})

	t.Run("binary is refused once", func(t *testing.T) {
		t.Parallel()
		server := serving(t)
		path := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(path, bytes.Repeat([]byte("\x7fELF\x00\xff\n"), 10_000), 0o600); err != nil {
			t.Fatal(err)
		}
		answer := piped(t, server, "p2pchat answer </dev/null")
		call := piped(t, server, "p2pchat call < "+path)
		var got, said bytes.Buffer
		answer.Stdout, call.Stderr = &got, &said
		if err := answer.Start(); err != nil {
			t.Fatal(err)
		}
		exit := (*exec.ExitError)(nil)
		if err := call.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
			t.Errorf("it ends with %v", err)
		}
		if err := answer.Wait(); err != nil || got.Len() > 0 {
			t.Errorf("the other side ends with %v, and reads %q", err, got.String())
		}
		want := regexp.MustCompile(`(?s)p2pchat: The input is not text, so nothing of it is sent\. .*p2pchat: error: the input is not text, so nothing of it was sent\np2pchat: hint: send it as a file: --send FILE\n$`)
		if refusals := strings.Count(said.String(), "nput is not text"); !want.MatchString(said.String()) || refusals != 2 { // a note, and the error at the end
			t.Errorf("it refuses the input %d times: %.2000s", refusals, said.String())
		}
	})
}
