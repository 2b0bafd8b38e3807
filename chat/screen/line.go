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
	return show(ctx, c, s, func(ctx context.Context, in line) error { return l.take(ctx, c, in) }, l.put)
}

type lines struct {
	Streams
	bar bar
}

func (l *lines) take(ctx context.Context, c *chat.Conversation, in line) error {
	_, err := c.Say(ctx, in.text) // refused, too, if the text was cut: it is longer still
	switch {
	case errors.Is(err, chat.ErrTooLong):
		l.note("line %d is %d bytes long and was not sent: a message holds at most %d", in.number, in.length, chat.MaxMessage)
	case errors.Is(err, chat.ErrNotText):
		l.note("line %d was not sent: it is not UTF-8", in.number)
	case err != nil:
		l.note("line %d was not sent: %v", in.number, err)
	}
	return err
}

func (l *lines) put(e chat.Event) error {
	switch e := e.(type) {
	case chat.Waiting:
		l.note("code: %s", e.Code)
		l.note("waiting for the other side: %s", e.Command)
	case chat.WrongCode:
		l.wrongCode(e)
	case chat.Connecting:
		l.note("connecting")
	case chat.Connected:
		l.connected(e)
	case chat.Message:
		return l.message(e)
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
	way := map[string]string{"host": "directly", "srflx": "directly, through NAT", "prflx": "directly, through NAT", "relay": "through a relay"}[e.Path]
	l.note("connected with %s %s in %d ms", Clean(e.Peer), way, e.Took.Milliseconds())
	if l.Terminal {
		l.note("type a line and press Enter; Ctrl-C leaves")
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

// wrongCode tells how many wrong answers are left. After the last one, and to the one who
// gave it, the error says it all.
func (l *lines) wrongCode(e chat.WrongCode) {
	switch {
	case e.Left <= 0:
	case e.Left == 1:
		l.note("somebody answered with a wrong code; waiting for the right one (one more wrong one, and this code no longer works)")
	default:
		l.note("somebody answered with a wrong code; waiting for the right one (%d more wrong ones, and this code no longer works)", e.Left)
	}
}

func (l *lines) message(m chat.Message) error {
	text := Clean(m.Text) + "\n"
	if l.Terminal {
		text = Clean(m.From) + ": " + text
	}
	l.bar.hide()
	if _, err := l.Out.Write([]byte(text)); err != nil {
		return fmt.Errorf("showing a message: %w", err)
	}
	return nil
}

func (l *lines) note(format string, args ...any) {
	l.bar.hide()
	fmt.Fprintf(l.Notes, "p2pchat: "+format+"\n", args...)
}
