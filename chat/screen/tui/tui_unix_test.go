//go:build unix

package tui

import (
	"context"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

// A desk is a terminal with a screen on it.
type desk struct {
	t        *testing.T
	keyboard *os.File
	terminal *os.File
	talk     *chat.Conversation
	streams  screen.Streams
	before   *term.State
	notes    strings.Builder
	shown    chan struct{} // closed when nothing more is written

	mu  sync.Mutex // guards what follows
	out strings.Builder
	new chan struct{} // closed by the next change
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	keyboard, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(keyboard, &pty.Winsize{Cols: 80, Rows: 24}); err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, keyboard: keyboard, terminal: terminal, talk: chat.New(chat.Config{Name: "Ann"}), shown: make(chan struct{}), new: make(chan struct{})}
	d.before = d.modes()
	d.streams = screen.Streams{In: terminal, Out: terminal, Notes: &d.notes, Terminal: true}
	go func() {
		defer close(d.shown)
		_, _ = io.Copy(d, keyboard) // ends with the terminal
	}()
	t.Cleanup(func() {
		terminal.Close()
		keyboard.Close()
		<-d.shown
	})
	return d
}

func (d *desk) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out.Write(b)
	close(d.new)
	d.new = make(chan struct{})
	return len(b), nil
}

func (d *desk) sees(text string) {
	d.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		d.mu.Lock()
		seen, more := d.out.String(), d.new
		d.mu.Unlock()
		if strings.Contains(seen, text) {
			return
		}
		select {
		case <-more:
		case <-limit:
			d.t.Fatalf("%q is not written: %q", text, seen)
		}
	}
}

func (d *desk) modes() *term.State {
	d.t.Helper()
	modes, err := term.GetState(int(d.terminal.Fd()))
	if err != nil {
		d.t.Fatal(err)
	}
	return modes
}

// restored checks that the terminal is as it was.
func (d *desk) restored() {
	d.t.Helper()
	if !reflect.DeepEqual(d.modes(), d.before) {
		d.t.Error("the terminal's modes are not as they were")
	}
	d.sees("\x1b[?1049l")
}

func (d *desk) types(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.keyboard, text); err != nil {
		d.t.Fatal(err)
	}
}

// begin shows the conversation, whose other end never answers.
func (d *desk) begin(ctx context.Context, m *model) <-chan error {
	ended := make(chan error, 1)
	go func() {
		err := show(ctx, d.talk, m)
		ended <- err
	}()
	d.talk.Tell(screen.Waiting{Code: "417-falcon-zebra"})
	return ended
}

func TestShow(t *testing.T) {
	t.Parallel()

	t.Run("the terminal comes back after a panic", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		m := newModel(d.talk, d.streams)
		m.history.render = func(*entry) []string { panic("a mistake") }
		ended := d.begin(t.Context(), m)
		d.sees("417-falcon-zebra")
		d.talk.Tell(chat.Notice{Text: "this one"})
		d.talk.Close()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "please report it: a mistake") {
			t.Errorf("it ends with %v", err)
		}
		d.restored()
	})

	t.Run("and after a panic in another goroutine", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.streams.Again = func() error { panic("a mistake") }
		ended := d.begin(t.Context(), newModel(d.talk, d.streams))
		d.sees("417-falcon-zebra")
		d.types("/again\r")
		d.sees("\x1b[?1049l")
		d.talk.Close()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "please report it: a mistake") {
			t.Errorf("it ends with %v", err)
		}
		d.restored()
	})

	t.Run("what comes when the screen is gone becomes lines, and what was written is printed", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		ended := d.begin(t.Context(), newModel(d.talk, d.streams))
		d.sees("417-falcon-zebra")
		d.types("to nobody\r")
		d.sees("to nobody")
		d.types("a draft\x04\x15/quit\r/quit\r")
		d.sees("you: to nobody")
		d.talk.Tell(chat.Message{From: "Ben", Text: "too\x1b late"})
		d.talk.Close()
		if err := <-ended; err != nil {
			t.Errorf("it ends with %v", err)
		}
		d.sees("Ben: too␛ late")
		d.restored()
	})

	t.Run("an interrupt gives the terminal back before the conversation has ended", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := d.begin(ctx, newModel(d.talk, d.streams))
		d.sees("417-falcon-zebra")
		d.types("Ω")
		d.sees("Ω")
		cancel()
		d.sees("\x1b[?1049l")
		d.talk.Close()
		if err := <-ended; err != nil {
			t.Errorf("it ends with %v", err)
		}
		d.restored()
		if !strings.Contains(d.notes.String(), "p2pchat: This was not sent: Ω") {
			t.Errorf("a draft is lost: %q", d.notes.String())
		}
	})

	t.Run("a terminal that is gone interrupts", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		interrupted := make(chan struct{})
		d.streams.Interrupt = func() { close(interrupted) }
		read, write, err := os.Pipe() // which ends as a terminal does whose window was closed
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		d.streams.In = read
		ended := d.begin(t.Context(), newModel(d.talk, d.streams))
		d.sees("417-falcon-zebra")
		write.Close()
		<-interrupted
		d.talk.Close()
		if err := <-ended; err != nil {
			t.Errorf("it ends with %v", err)
		}
	})
}

func TestWhatIsRefusedAfterTheScreenIsTold(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ended := d.begin(t.Context(), newModel(d.talk, d.streams))
	d.sees("417-falcon-zebra")
	for range 5000 { // more than a conversation keeps: Say waits
		if _, err := d.talk.Say(canceled(t), "x"); err != nil {
			break
		}
	}
	d.types("the last straw\r/quit\r/quit\r")
	d.sees("you: the last straw")
	d.talk.Close()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	if !strings.Contains(d.notes.String(), "p2pchat: This was not sent: the last straw") {
		t.Errorf("a message is lost without a word: %q", d.notes.String())
	}
	d.restored()
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
