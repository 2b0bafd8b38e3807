// Package screen shows a conversation: Line for pipes and plain terminals, JSON for
// programs. Its folder tui has the one for a whole terminal.
//
//	in  ─▶ Say, Finish, Leave ─▶ ┌──────────────┐
//	                             │ Conversation │
//	out ◀─ Clean ◀──── Events ◀─ └──────────────┘
//
// Whatever the other side sent passes Clean, or JSON's escapes, before it can reach
// a terminal.
package screen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"p2pchat/chat"
)

// Streams are what a screen reads and writes.
type Streams struct {
	In       io.ReadCloser // closed by the screen, to end a read that waits
	Out      io.Writer
	Notes    io.Writer // what is not conversation: stderr
	Terminal bool      // Out is one: whoever speaks is named
	Watched  bool      // Notes is one: a line of it may be replaced
	QR       bool      // the link is drawn, too
	Quiet    bool      // a person who looks elsewhere is not called
	Accepts  bool      // offered files are taken without asking
	Keeps    bool      // undelivered messages are kept for the next run

	// Interrupt is what Ctrl-C does where the terminal makes no signal of it; may be nil.
	Interrupt func()
}

// A Screen shows c until its events end. It returns when all that it started has
// ended; the error is that of a stream, or Refused. ctx ends when the program is
// interrupted: the goodbye is still to be shown.
type Screen func(ctx context.Context, c *chat.Conversation, s Streams) error

// Refused is how a screen ends when some of the input was not sent.
type Refused struct{ Messages int } //nolint:errname // screen.Refused says it

func (r *Refused) Error() string {
	if r.Messages == 1 {
		return "1 message was refused"
	}
	return fmt.Sprintf("%d messages were refused", r.Messages)
}

// show runs the two halves of a screen: take is given each line of the input, put
// each event.
func show(ctx context.Context, c *chat.Conversation, s Streams, take func(context.Context, line) error, put func(chat.Event) error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // its end is that of the conversation
	var wg sync.WaitGroup
	var taken, shown error
	wg.Go(func() { taken = takeLines(ctx, c, s.In, take) })
	for e := range c.Events() {
		if shown = put(e); shown != nil {
			break
		}
	}
	cancel()
	s.In.Close()
	wg.Wait()
	return errors.Join(shown, taken)
}

// A line of the input, without its end.
type line struct {
	number int
	text   string
	length int // of the whole line; text is cut at maxLine
}

// takeLines reads to the end of the input, and tells the conversation of it.
func takeLines(ctx context.Context, c *chat.Conversation, in io.Reader, take func(context.Context, line) error) error {
	refused := 0
	r := bufio.NewReaderSize(in, 64<<10)
	for number := 1; ; number++ {
		text, length, err := readLine(r)
		if length > 0 || err == nil {
			switch err := take(ctx, line{number, text, length}); {
			case err == nil:
			case errors.Is(err, chat.ErrTooLong), errors.Is(err, chat.ErrNotText), errors.Is(err, chat.ErrUnkept):
				refused++
			case errors.Is(err, chat.ErrOver), ctx.Err() != nil:
				return refusal(refused)
			default:
				return err
			}
		}
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) || ctx.Err() != nil { // show has closed it
			err = nil
		} else {
			err = fmt.Errorf("reading the input: %w", err)
		}
		if err := c.Finish(ctx); err != nil && !errors.Is(err, chat.ErrOver) && ctx.Err() == nil {
			c.Leave() // nobody could be told that this was all
			return err
		}
		return errors.Join(refusal(refused), err)
	}
}

func refusal(n int) error {
	if n == 0 {
		return nil
	}
	return &Refused{n}
}

// maxLine is how much of a line is kept: enough to see that it is too long, as JSON
// with every byte escaped too.
const maxLine = 6*chat.MaxMessage + 4<<10

// readLine reads up to a newline. A last line without one comes with io.EOF.
func readLine(r *bufio.Reader) (text string, length int, err error) {
	var kept []byte
	for {
		part, err := r.ReadSlice('\n')
		if err == nil {
			part = part[:len(part)-1]
		}
		length += len(part)
		kept = append(kept, part[:min(len(part), maxLine-len(kept))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if n := len(kept); err == nil && n > 0 && n == length && kept[n-1] == '\r' {
			kept = kept[:n-1]
		}
		return string(kept), length, err
	}
}
