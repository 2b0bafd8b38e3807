package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat"
)

// A machineLoad is what a processors sees of a machine.
type machineLoad struct {
	using int           // processors
	spent time.Duration // of processor time
	err   error
}

func (l *machineLoad) processors() *processors {
	return &processors{
		count: func(n int) int {
			before := l.using
			l.using = n
			return before
		},
		reset: func(n int) { l.using = n },
		spent: func() (time.Duration, error) { return l.spent, l.err },
	}
}

// works lets some time pass of which the process uses a share of one processor.
func (l *machineLoad) works(share float64) {
	time.Sleep(5 * time.Second)
	l.spent += time.Duration(share * float64(5*time.Second))
}

func TestIdleCallsUseOneProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := &machineLoad{using: 8, spent: time.Hour}
		p := load.processors()
		uses := func(n int, when string) {
			t.Helper()
			if load.using != n {
				t.Errorf("%d processors in use %s, not %d", load.using, when, n)
			}
		}
		p.look()
		uses(8, "before anything is known")
		p.useAll() // connected
		load.works(0.001)
		p.look()
		uses(1, "by an idle call")
		p.look()
		uses(1, "by a call that stays idle")
		load.works(0.5)
		p.look()
		uses(8, "by a busy call")
		load.works(0.001)
		p.look()
		uses(1, "once it is idle again")
		pipe := busyPipe{noFiles{}, p}
		_, _ = pipe.Open(t.Context())
		uses(8, "when a file begins")
		load.works(0.001)
		p.look()
		uses(1, "after the file")
		_, _ = pipe.Accept(t.Context())
		uses(8, "when the other side begins a file")
		time.Sleep(time.Millisecond)
		p.look()
		uses(8, "by a file of which nothing has come yet")
		load.works(0.001)
		load.err = errors.ErrUnsupported
		p.look()
		uses(8, "where processor time is not known")

		load = &machineLoad{using: 1}
		p = load.processors()
		p.useAll()
		load.works(0)
		p.look()
		p.useAll()
		uses(1, "on a machine that has one")
	})
}

// noFiles is a Pipe that opens no channels.
type noFiles struct{ chat.Pipe }

func (noFiles) Open(context.Context) (io.ReadWriteCloser, error)   { return nil, io.EOF }
func (noFiles) Accept(context.Context) (io.ReadWriteCloser, error) { return nil, io.EOF }

// TestIdleProgramsUseOneProcessor has Go's scheduler tell how many processors each side uses.
func TestIdleProgramsUseOneProcessor(t *testing.T) {
	if testing.Short() {
		t.Skip("a call is idle after 5 s")
	}
	if _, err := processorTime(); err != nil {
		t.Skip(err)
	}
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("this machine has one processor")
	}
	server, traced := serving(t), []string{"GODEBUG=schedtrace=100"}
	ann := launchWith(t, t.TempDir(), traced, "call", "417-falcon-zebra", "--server", server, "--ui", "json")
	ann.prints(t, `"type":"waiting"`)
	ben := launchWith(t, t.TempDir(), traced, "answer", "417-falcon-zebra", "--server", server, "--ui", "json", "--accept-files")
	for _, p := range []*process{ann, ben} {
		p.notes(t, `gomaxprocs=1 `)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	ann.say(t, fmt.Sprintf(`{"type":"send-file","path":%q}`, file))
	for _, p := range []*process{ann, ben} {
		eventually(t, func() bool {
			text := p.err.String()
			all := strings.LastIndex(text, fmt.Sprintf("gomaxprocs=%d ", runtime.GOMAXPROCS(0)))
			return all > strings.Index(text, "gomaxprocs=1 ")
		}, func() string { return "not all processors came back for a file:\n" + p.err.String() })
	}
}
