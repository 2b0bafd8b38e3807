package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"p2pchat/chat"
)

// Line is the screen for pipes, scripts and plain terminals: each line of the input
// is a message, each message of the other side a line of the output, and everything
// else a line of Notes that begins "p2pchat: ".
func Line(ctx context.Context, c *chat.Conversation, s Streams) error {
	l := newLines(s)
	split := func(in io.Reader) func() (line, error) {
		next := textLines(in)
		return func() (line, error) {
			got, err := next()
			if got.number == 0 && l.question.inputEnded() {
				c.Leave() // no code can come any more
			}
			return got, err
		}
	}
	l.leave = c.Leave
	err := show(ctx, c, s, split, func(ctx context.Context, in line) error { return l.take(ctx, c, in) }, l.put)
	if l.partial {
		return errors.Join(err, l.write("\n"))
	}
	return err
}

// Lines shows an event as Line does.
func Lines(s Streams) func(chat.Event) error {
	return newLines(s).put
}

func newLines(s Streams) *lines {
	return &lines{Streams: s, bar: bar{to: s.Notes, watched: s.Watched}}
}

type lines struct {
	Streams
	bar     bar
	files   roll
	partial bool   // the last message goes on with the next one
	refused string // why the last line was that was not sent; a note has said so

	question question
	leave    func() // nil where there is no input
}

func (l *lines) take(ctx context.Context, c *chat.Conversation, in line) error {
	if l.answer(in) {
		return nil
	}
	say := c.Say
	if in.goesOn {
		say = c.SayPart
	}
	_, err := say(ctx, in.text)
	switch {
	case err == nil:
		return nil
	case in.continues && !errors.Is(err, chat.ErrOver): // what went before is not to run into the next line
		_, _ = c.Say(ctx, "")
	}
	if why := err.Error(); why != l.refused { // once for many lines: the end has their number
		l.refused = why
		if errors.Is(err, chat.ErrNotText) {
			why = "it is not UTF-8 text. To send other data, use --send FILE"
		}
		l.note("Line %d was not sent: %s.", in.number, why)
	}
	return err
}

func (l *lines) put(e chat.Event) error {
	switch e := e.(type) {
	case Waiting:
		l.waiting(e)
	case NoCall:
		l.note("%s", e.Text(l.IsCode != nil))
	case CodeWanted:
		l.wanted(e)
	case StillLost:
		l.note("%s", e.Text("The other side", map[bool]string{true: "/again"}[l.Again != nil]))
	case WrongCode:
		if text := e.Text(); text != "" {
			l.note("%s", text)
		}
	case Connecting:
		l.note("connecting")
	case chat.Connected:
		l.connected(e)
	case chat.Message:
		return l.message(e)
	case chat.Renamed:
		l.note("%s is now %s", Clean(e.From), Clean(e.To))
	case chat.InputEnded:
		l.note("the other side's input has ended")
	case chat.Disconnected:
		l.question.setLost(true)
		l.note("disconnected: %s", Clean(e.Reason))
		l.note("Waiting for the other side to come back. What you type is kept until then.")
	case chat.Reconnected:
		l.note("connected again")
	case chat.Left:
		switch {
		case e.Overheard && !e.Reply:
			l.note("%s", Overheard("The other side"))
		case e.Closed:
			l.note("the other side closed the page")
		case !e.Reply:
			l.note("the other side has left")
		}
	case chat.Notice:
		l.note("%s", Clean(e.Text))
	default:
		l.file(e)
	}
	return nil
}

// file tells what happens to files.
func (l *lines) file(e chat.Event) {
	if l.files == nil {
		l.files = roll{}
	}
	number := l.files.number(e)
	switch e := e.(type) {
	case chat.FileProgress:
		l.bar.move(e, number)
		return
	case chat.FileReceived:
		l.bar.end(e.ID, false)
	case chat.FileSent:
		l.bar.end(e.ID, true)
	case chat.FileFailed:
		l.bar.end(e.ID, e.Outgoing)
	}
	if text := Told(e, number); text != "" {
		l.note("%s", text)
	}
}

func (l *lines) waiting(e Waiting) {
	if e.Answering {
		l.note("%s", Answering(e))
		return
	}
	l.note("code: %s", e.Code)
	l.note("waiting for the other side%s: %s", map[bool]string{true: ", on this machine"}[e.Here], e.Command)
	if l.QR {
		l.qr(e.Link)
	}
}

func (l *lines) connected(e chat.Connected) {
	l.question.setLost(false)
	l.note("connected with %s %s in %d ms", Clean(e.Peer), Way(e.Path), e.Took.Milliseconds())
	if l.Terminal {
		l.note("each line that you type is a message; Ctrl-C leaves")
	}
	switch {
	case e.Verified:
		l.note("verified: both sides know the code, so nobody is listening in")
	case e.Foreign:
		l.note("unverified: the other side is another WebRTC program, so someone could be listening in")
	default:
		l.note("unverified: this call has no secret, so the server could be listening in")
		l.note("if you both see these words, nobody is listening in: %s", strings.Join(e.SafetyWords, " "))
	}
}

// Way says in words by which kind of candidate (RFC 8445) the other side was reached.
func Way(path string) string {
	return map[string]string{"host": "directly", "srflx": "directly, through NAT", "prflx": "directly, through NAT", "relay": "through a relay"}[path]
}

// qr draws a link: on a terminal in black on white, whatever its colours are, and elsewhere without
// colours.
func (l *lines) qr(link string) {
	l.note("%s", link)
	begin, end := "", ""
	if l.Watched {
		begin, end = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
	}
	for _, row := range QR(link) {
		fmt.Fprintf(l.Notes, "%s%s%s\n", begin, row, end)
	}
}

func (l *lines) message(m chat.Message) error {
	text := Clean(m.Text)
	if l.Terminal && !m.Continues {
		text = Clean(m.From) + ": " + text
	}
	if !m.GoesOn {
		text += "\n"
	}
	if l.partial && !m.Continues { // the rest of that line never came
		text = "\n" + text
	}
	l.partial = m.GoesOn
	return l.write(text)
}

func (l *lines) write(text string) error {
	l.bar.hide()
	if _, err := l.Out.Write([]byte(text)); err != nil {
		return unwritten(err)
	}
	return nil
}

func (l *lines) note(format string, args ...any) {
	l.bar.hide()
	fmt.Fprintf(l.Notes, "p2pchat: "+format+"\n", args...)
}
