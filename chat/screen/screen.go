// Package screen shows a conversation: Line for pipes and plain terminals, JSON for
// programs. Package tui below it shows one on a whole terminal.
//
//	in  ─▶ Say, Finish, Leave ─▶ ┌──────────────┐
//	                             │ Conversation │
//	out ◀─ Clean ◀──── Events ◀─ └──────────────┘
//
// All text of the other side passes Clean, or JSON's escapes, before it can reach a
// terminal. The program adds its own events, of the union Event, with
// chat.Conversation.Tell.
package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"p2pchat/chat"
)

// Streams are what a screen reads and writes.
type Streams struct {
	In       io.ReadCloser // closed by the screen, to end a read that waits
	Out      io.Writer
	Notes    io.Writer // what is not conversation: stderr
	Typed    bool      // In is a terminal
	Terminal bool      // Out is one: messages begin with the name of the other side
	Watched  bool      // Notes is one: a line of it may be replaced
	QR       bool      // the link is drawn, too
	Quiet    bool      // no bell and no notification call a person who looks elsewhere
	Accepts  bool      // offered files are taken without asking
	Keeps    bool      // undelivered messages are kept for the next run
	Contact  string    // the name of the contact whom the call is with; empty in a call with a code

	// Code takes another code from the person: after CodeWanted, and as long as the two have not
	// met. The error says why it was not taken. Code is nil if only the first code counts.
	Code func(text string) error
	// IsCode reports whether a line is the code of another call, as Code takes it, rather than a message:
	// a generated code, alone or in what the caller's program shows, and the two have not met. IsCode is
	// nil if no line can be a code.
	IsCode func(text string) bool
	// MayBeCode reports whether a line that IsCode does not take may be one nevertheless, such as one that the
	// caller chose: the person decides. It is nil if no line can be a code.
	MayBeCode func(text string) bool
	// AnotherCall returns what a caller is told of a line that is the code of another call: it must not reach the wrong
	// person, unless this one enters it again. It is empty for a message. AnotherCall may be nil.
	AnotherCall func(text string) string
	// Complete continues the beginning of a code as far as that is unambiguous, and returns the choices
	// for its last word. It may be nil.
	Complete func(begun string) (text string, choice []string)
	// Again makes the program wait for a lost side with the first code, too; see StillLost. It is
	// nil if the person cannot ask for that.
	Again func() error

	// Ended is called when all events were shown and all that was typed is kept, and the screen may stay until the person closes it: see Rest. Ended may be nil; only a
	// whole terminal calls it.
	Ended func(Rest)

	// Interrupt does what SIGINT does, for a terminal that makes no signal of Ctrl-C. It may be nil.
	Interrupt func()
}

// A Rest is a screen that stays after the last event. Its methods do nothing once the screen has ended.
type Rest struct {
	// Tell adds a sentence, and calls a person who may look elsewhere if rings says why.
	Tell func(text, rings string)
	// Close adds a sentence, and ends the screen. Before it does, it calls unsent with what the person has typed and not sent.
	Close func(text string, unsent func(draft string))
}

// A Screen shows c until its events end. It returns when its goroutines have ended. The
// error is that of a stream, or is or wraps Refused. ctx ends when the program is
// interrupted: the screen still shows the goodbye.
type Screen func(ctx context.Context, c *chat.Conversation, s Streams) error

// Refused is the error of a screen if some of the input was not sent.
type Refused struct { //nolint:errname // screen.Refused says it
	Messages int
	Objects  bool // they are lines of JSON's input, and an object on the output says why
}

func (r *Refused) Error() string {
	switch one := r.Messages == 1; {
	case r.Objects && one:
		return "1 line of the input was refused"
	case r.Objects:
		return fmt.Sprintf("%d lines of the input were refused", r.Messages)
	case one:
		return "1 message was not sent"
	}
	return fmt.Sprintf("%d messages were not sent", r.Messages)
}

// errReported marks a refused line of the input: an object on the output has told the program why.
var errReported = errors.New("the line was refused")

// ErrOutputClosed says that the program which read the output has closed it, as head does.
var ErrOutputClosed = errors.New("the output was closed")

// ErrOverheard says that the person compared the safety words, and that they differ.
var ErrOverheard = errors.New("the safety words differ, so someone may be listening")

// ErrBinary says that none of the input was sent.
var ErrBinary = errors.New("the input is not text, so nothing of it was sent")

// ErrDoubtful is what an error of Streams.Code is if the same text is taken when the person enters it again.
var ErrDoubtful = errors.New("the code is doubtful")

// outputError returns the error for a failed write to the output: ErrOutputClosed if its reader has closed it, or this program has
// since the reader ended.
func outputError(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return ErrOutputClosed
	}
	return fmt.Errorf("writing the output: %w", err)
}

// run runs the two halves of a screen: handle is given each line that split finds in the input, show each
// event.
func run(ctx context.Context, c *chat.Conversation, s Streams, split splitter, handle func(context.Context, line) error, show func(chat.Event) error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // its end is that of the conversation
	var wg sync.WaitGroup
	var handled error
	wg.Go(func() { handled = readInput(ctx, c, split(s.In), handle) })
	shown := showAll(c, show)
	cancel()
	s.In.Close()
	wg.Wait()
	if shown == nil { // of the lines that were read before, some may have been refused since
		shown = showAll(c, show)
	}
	return errors.Join(shown, handled)
}

// showAll shows events until they end.
func showAll(c *chat.Conversation, show func(chat.Event) error) error {
	for e := range c.Events() {
		if err := show(e); err != nil {
			return err
		}
	}
	return nil
}

// readInput handles lines until the input ends, and tells the conversation of the end.
func readInput(ctx context.Context, c *chat.Conversation, next func() (line, error), handle func(context.Context, line) error) error {
	refused, last, objects := 0, 0, false
	refusal := func() error {
		if refused == 0 {
			return nil
		}
		return &Refused{refused, objects}
	}
	for {
		in, err := next()
		if in.number == 0 {
			return endInput(ctx, c, err, refusal)
		}
		switch err := handle(ctx, in); {
		case err == nil:
		case errors.Is(err, errReported): // also one that comes after leave
			refused++
			objects = true
		case ctx.Err() != nil:
			return refusal()
		case errors.Is(err, chat.ErrLate): // the conversation counts the rest of the input
		case errors.Is(err, chat.ErrOver):
			return refusal()
		case errors.Is(err, chat.ErrTooLong), errors.Is(err, chat.ErrNotText), errors.Is(err, chat.ErrUnkept):
			if in.number != last { // each line once, however many parts it has
				refused++
			}
			last = in.number
		default:
			return err
		}
	}
}

// endInput tells the conversation that the input has ended; err is that of the last read.
func endInput(ctx context.Context, c *chat.Conversation, err error, refusal func() error) error {
	if err = inputError(ctx, err); errors.Is(err, ErrBinary) {
		c.Tell(chat.Notice{Text: "The input is not text, so nothing of it is sent. Send it as a file: --send FILE."})
		if c.LeaveEmpty() {
			return err
		}
	}
	if end := c.Finish(ctx); end != nil && !errors.Is(end, chat.ErrOver) && ctx.Err() == nil {
		c.Leave() // the other side cannot be told that this was all
		return end
	}
	return errors.Join(refusal(), err)
}

// inputError returns why the input has ended, if that is an error.
func inputError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, io.EOF), ctx.Err() != nil: // run has closed it
		return nil //nolint:nilerr // the end is no error
	case errors.Is(err, ErrBinary):
		return err
	}
	return fmt.Errorf("reading the input: %w", err)
}
