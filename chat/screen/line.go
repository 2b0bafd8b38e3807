package screen

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"p2pchat/chat"
)

// Line is the screen for pipes, scripts and plain terminals: each line of the input
// is a message, each message of the other side a line of the output, and everything
// else a line of Notes that begins "p2pchat: ".
func Line(ctx context.Context, c *chat.Conversation, s Streams) error {
	l := &lines{Streams: s, bar: bar{to: s.Notes, watched: s.Watched}}
	err := show(ctx, c, s, textLines, func(ctx context.Context, in line) error { return l.take(ctx, c, in) }, l.put)
	if l.partial {
		return errors.Join(err, l.write("\n"))
	}
	return err
}

// Lines shows an event as Line does.
func Lines(s Streams) func(chat.Event) error {
	return (&lines{Streams: s, bar: bar{to: s.Notes, watched: s.Watched}}).put
}

type lines struct {
	Streams
	bar     bar
	partial bool   // the last message goes on with the next one
	refused string // why the last line was that was not sent; a note has said so
}

func (l *lines) take(ctx context.Context, c *chat.Conversation, in line) error {
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
	case chat.Waiting:
		l.note("code: %s", e.Code)
		l.note("waiting for the other side: %s", e.Command)
		if l.QR {
			l.qr(e.Link)
		}
	case chat.WrongCode:
		if text := WrongCode(e); text != "" {
			l.note("%s", text)
		}
	case chat.Connecting:
		l.note("connecting")
	case chat.Connected:
		l.connected(e)
	case chat.Message:
		return l.message(e)
	case chat.Renamed:
		l.note("%s is called %s now", Clean(e.From), Clean(e.To))
	case chat.InputEnded:
		l.note("the other side's input has ended")
	case chat.Disconnected:
		l.note("disconnected: %s", Clean(e.Reason))
		l.note("waiting for the other side to come back; what you say is kept until then")
	case chat.Reconnected:
		l.note("connected again")
	case chat.Left:
		if !e.Reply {
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
	switch e := e.(type) {
	case chat.FileOffered:
		l.note("%s offers %s", Clean(e.From), thing(e.Name, e.Size, e.Folder, e.Files))
	case chat.FileOffering:
		l.note("offering %s", thing(e.Name, e.Size, e.Folder, e.Files))
	case chat.FileProgress:
		l.bar.move(e)
	case chat.FileReceived:
		l.bar.end(e.ID, false)
		l.note("received %s (%s), SHA-256 %x", Clean(e.Path), Bytes(e.Size), e.SHA256)
	case chat.FileSent:
		l.bar.end(e.ID, true)
		l.note("sent %s (%s): the other side has it, SHA-256 %x", Clean(e.Name), Bytes(e.Size), e.SHA256)
	case chat.FileFailed:
		l.bar.end(e.ID, e.Outgoing)
		l.note("%s was not %s: %s", Clean(e.Name), map[bool]string{true: "sent", false: "received"}[e.Outgoing], Clean(e.Reason))
	}
}

func (l *lines) connected(e chat.Connected) {
	l.note("connected with %s %s in %d ms", Clean(e.Peer), Way(e.Path), e.Took.Milliseconds())
	if l.Terminal {
		l.note("each line that you type is a message; Ctrl-C leaves")
	}
	switch {
	case e.Verified:
		l.note("verified: both sides know the code, so nobody is in the middle")
	case e.Foreign:
		l.note("unverified: the other side is another WebRTC program, so nothing shows that nobody is in the middle")
	default:
		l.note("unverified: this call has no secret, so whoever runs the server could be in the middle")
		l.note("nobody is if both of you see the same safety words: %s", strings.Join(e.SafetyWords, " "))
	}
}

// Way says in words by which kind of candidate (RFC 8445) the other side was reached.
func Way(path string) string {
	return map[string]string{"host": "directly", "srflx": "directly, through NAT", "prflx": "directly, through NAT", "relay": "through a relay"}[path]
}

// WrongCode tells how many wrong answers are left. After the last one, and to the one who
// gave it, the error says it all: then it is empty.
func WrongCode(e chat.WrongCode) string {
	switch {
	case e.Left <= 0:
		return ""
	case e.Left == 1:
		return "somebody answered with a wrong code; waiting for the right one (one more wrong one, and this code no longer works)"
	}
	return fmt.Sprintf("somebody answered with a wrong code; waiting for the right one (%d more wrong ones, and this code no longer works)", e.Left)
}

// qr draws a link in black on white, whatever the terminal's colours are.
func (l *lines) qr(link string) {
	l.note("%s", link)
	for _, row := range QR(link) {
		fmt.Fprintf(l.Notes, "\x1b[38;5;16;48;5;231m%s\x1b[0m\n", row)
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
