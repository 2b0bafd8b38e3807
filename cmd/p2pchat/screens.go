package main

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"p2pchat/chat/screen"
	"p2pchat/chat/screen/tui"
	"p2pchat/signaling"
)

// chooseScreen sets the screen that --ui names.
func (o *talkOptions) chooseScreen(std stdio) error {
	if err := checkChoice("ui", o.ui); err != nil {
		return err
	}
	inTerminal := std.inTerminal && std.outTerminal
	capable := inTerminal && os.Getenv("TERM") != "dumb"
	switch {
	case o.ui == "tui" && !capable:
		return noFullScreen(inTerminal)
	case o.ui == "json":
		o.screen = screen.JSON
	case o.ui == "line", !capable:
		o.screen = screen.Line
		o.declines = "the receiving side was started without --accept-files"
		o.unit = "line"
	default:
		o.screen, o.full = tui.Show, true
	}
	o.prompts = o.full || o.ui != "json" && std.raw != nil
	switch {
	case std.inTerminal:
	case o.ui == "json" && !o.leaveOnEOF: // the program gets an object for each message that comes too late
		o.drain = 200 * time.Millisecond
	default:
		o.drain = 2 * time.Second
	}
	return nil
}

// noFullScreen returns the usageError of a full screen that this terminal, or what is none, cannot show.
func noFullScreen(inTerminal bool) error {
	if inTerminal {
		return &usageError{err: errors.New("--ui tui needs a terminal that can move its cursor, and TERM=dumb says that this one cannot"), hint: "--ui line works everywhere; if the terminal can do more, set TERM to its kind, such as xterm"}
	}
	return &usageError{err: errors.New("--ui tui needs a terminal for input and output"), hint: "--ui line works everywhere"}
}

// show runs the screen, and sends its error when it ends. The screen gets the input once feed is called, and a
// full terminal at once.
func (o *talkOptions) show(ctx context.Context, c *connector, std stdio, interrupt func()) (_ <-chan error, feed func()) {
	in, whole := std.in.(io.ReadCloser)
	feed = func() {}
	if !o.full || !whole {
		in, feed = o.piped(std.in)
	}
	streams := screen.Streams{
		In: in, Out: std.out, Notes: std.err, Typed: std.inTerminal, Terminal: std.outTerminal, Watched: std.errTerminal,
		QR: o.qr, Quiet: o.noNotify, Accepts: o.accept, Keeps: o.outbox.journal != nil, Contact: o.keeper.contact(), Interrupt: interrupt,
		Ended: o.giveBack(),
	}
	isContact := o.keeper.contact() != ""
	if o.prompts && !o.outbox.met() && !isContact {
		streams.Code, streams.Complete = c.enter, completed
		if o.side == signaling.Callee {
			streams.IsCode, streams.MayBeCode = c.isCode, c.mayBeCode
		} else {
			streams.AnotherCall = c.anotherCall
		}
	}
	if (o.prompts || o.ui == "json") && !isContact { // contacts meet again without it
		streams.Again = c.reopen
	}
	if notes, ok := std.err.(*notesWriter); ok && o.full {
		notes.Hold() // before the goroutine begins: the log must not come above the screen
	}
	shown := make(chan error, 1)
	go func() { shown <- o.screen(ctx, c.conversation, streams) }()
	return shown, feed
}

// giveBack lets the contact call again while the screen still shows how the conversation ended.
func (o *talkOptions) giveBack() func(screen.Rest) {
	if o.ended == nil {
		return nil
	}
	return func(rest screen.Rest) {
		_ = o.closeOutbox() // end returns the error
		o.keeper.release()
		o.ended(rest)
	}
}

// waitForScreen waits until the screen has ended, and after an interrupt for 1 s at most: the program that
// reads the output may be stuck.
func waitForScreen(ctx context.Context, shown <-chan error) error {
	select {
	case err := <-shown:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-shown:
		return err
	case <-time.After(time.Second):
		return errStuck
	}
}

// piped returns a copy of in that begins when feed is called, and whose reads end when it is closed.
func (o *talkOptions) piped(in io.Reader) (_ io.ReadCloser, feed func()) {
	if o.asked {
		in = newlineReader{in}
	}
	out, to := io.Pipe()
	return out, func() {
		// No one waits for this goroutine: a read of stdin cannot be interrupted.
		go func() {
			_, err := io.Copy(to, in)
			to.CloseWithError(err)
		}()
	}
}

// maxHeld bounds the bytes that a notesWriter holds back.
const maxHeld = 64 << 10

// A notesWriter lets several goroutines write lines. While a screen has the terminal, it holds the
// lines back.
type notesWriter struct {
	to io.Writer

	mu   sync.Mutex // guards what follows
	held []byte
	hold bool
}

func (w *notesWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hold {
		w.held = append(w.held, b[:min(len(b), maxHeld-len(w.held))]...)
		return len(b), nil
	}
	return w.to.Write(b)
}

// Hold keeps lines back until Release.
func (w *notesWriter) Hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold = true
}

// Release writes the lines that Hold kept back.
func (w *notesWriter) Release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.to.Write(w.held) // stderr is the only place to report to
	w.held, w.hold = nil, false
}
