package main

import (
	"bufio"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Ten thousand messages each way at once, through two processes. Each process prints every message that the other was
// given, once and in order.
func TestFlood(t *testing.T) {
	t.Parallel()
	const messages = 10_000
	server := serving(t)
	caller := launch(t, "call", "--server", server)
	callee := launch(t, "answer", "--server", server)
	var wg sync.WaitGroup
	for name, p := range map[string]*process{"caller": caller, "callee": callee} {
		wg.Go(func() {
			w := bufio.NewWriter(p.in)
			for i := range messages {
				fmt.Fprintf(w, "%s %d %s\n", name, i, strings.Repeat("x", i%200))
			}
			if err := w.Flush(); err != nil {
				t.Errorf("typing into the %s: %v", name, err)
			}
			p.in.Close()
		})
	}
	wg.Wait()
	for name, p := range map[string]*process{"callee": caller, "caller": callee} {
		p.finishes(t, 0)
		lines := strings.Split(strings.TrimSuffix(p.out.String(), "\n"), "\n")
		if len(lines) != messages {
			t.Errorf("%d of the %s's %d messages arrived", len(lines), name, messages)
		}
		for i, line := range lines {
			if want := fmt.Sprintf("%s %d %s", name, i, strings.Repeat("x", i%200)); line != want {
				t.Fatalf("message %d of the %s is %q", i, name, line)
			}
		}
		t.Logf("peak memory of the one that reads the %s: %d MiB", name, peakMemory(p.cmd.ProcessState)>>20)
	}
}
