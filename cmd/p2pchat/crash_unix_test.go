//go:build unix

package main

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// testPanic makes a program under test panic at SIGUSR1, in a goroutine that no one recovers, as one of pion's would.
const testPanic = "P2PCHATTEST_PANIC"

func init() {
	if os.Getenv(testPanic) == "" {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		<-signals
		panic("a mistake in a goroutine")
	}()
}

// A panic anywhere in the program gives the terminal back, and its text is there to be reported.
func TestAPanicInAnyGoroutine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"call", "417-falcon-zebra", "--server", serving(t)}, {"listen"}} {
		w := openWindow(t, 80, 24, []string{testPanic + "=1", "XDG_STATE_HOME=" + t.TempDir()}, args...)
		w.until("it has the screen", func(written string) bool { return strings.Contains(written, "\x1b[?1049h") })
		w.signals(w.cmd.Process.Pid, syscall.SIGUSR1)
		w.ends(2)
		raw := w.written()
		if after := raw[strings.LastIndex(raw, "\x1b[?1049l"):]; !strings.Contains(after, "panic: a mistake in a goroutine\r\n") || !strings.Contains(after, "goroutine ") {
			t.Errorf("%s: of the panic it shows %q", args[0], after)
		}
	}
}
