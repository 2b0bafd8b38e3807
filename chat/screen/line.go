package screen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"p2pchat/chat"
)

// Line is the screen for pipes, scripts and plain terminals: each line of the input
// is a message, each message of the other side a line of the output, and everything
// else a line of Notes that begins "p2pchat: ".
func Line(ctx context.Context, c *chat.Conversation, s Streams) error {
	l := newLineScreen(s)
	l.talk = c
	split := func(in io.Reader) func() (line, error) {
		next := textLines(in)
		return func() (line, error) {
			got, err := next()
			if got.number == 0 && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrClosed) { // as run closes it when the conversation is over
				l.inputEnded()
			}
			l.bare = got.bare
			return got, err
		}
	}
	err := run(ctx, c, s, split, l.handle, l.show)
	if l.partial {
		return errors.Join(err, l.write("\n"))
	}
	return err
}

// Lines returns a function that shows an event as Line does.
func Lines(s Streams) func(chat.Event) error {
	return newLineScreen(s).show
}

func newLineScreen(s Streams) *lineScreen {
	return &lineScreen{Streams: s, progress: progressLine{to: s.Notes, watched: s.Watched}}
}

type lineScreen struct {
	Streams
	talk     *chat.Conversation // nil where there is no input
	question question

	// owned by show:
	progress progressLine
	files    openFiles
	partial  bool        // the last message goes on with the next one
	written  time.Time   // when the last message was written, if it had to wait
	queued   chat.Queued // the last message of an earlier run
	earlier  int         // how many of them are not delivered
	finished bool        // the other side's input has ended

	// owned by handle:
	refused string // why the last line was that was not sent; a note has said so
	held    string // the last line, if it was kept back because it looks like a command
	unsent  string // the last line, if it was kept back because it may be a code
	bare    bool   // the last line ended with Ctrl-D, and the cursor is still behind it
}

// inputEnded handles the end of the input.
func (l *lineScreen) inputEnded() {
	if l.bare && l.Typed && l.Watched {
		fmt.Fprintln(l.Notes)
	}
	switch {
	case l.question.inputEnded():
		l.talk.Leave() // no code can come any more
	case l.Typed:
		l.note("Your input has ended. What the other side writes is still shown; Ctrl-C leaves.")
	}
}

// handle sends a line of the input, unless it answers a question.
func (l *lineScreen) handle(ctx context.Context, in line) error {
	if l.answer(in) || l.holdCode(in) || l.holdCommand(in) {
		return nil
	}
	say := l.talk.Say
	if in.goesOn {
		say = l.talk.SayPart
	}
	_, err := say(ctx, in.text)
	switch {
	case err == nil:
		return nil
	case in.continues && !errors.Is(err, chat.ErrOver): // the beginning of the line must not run into the next line
		_, _ = l.talk.Say(ctx, "")
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

// fullScreenCommand matches a line that the full screen would take as a command, and not a path.
var fullScreenCommand = sync.OnceValue(func() *regexp.Regexp { // not compiled at each start
	return regexp.MustCompile(`^[ \t]*/[a-z]+([ \t]|$)`)
})

// holdCommand reports whether a line is not sent because the person who typed it seems to expect a command.
// A note says so; the same line is sent if it is typed again at once.
func (l *lineScreen) holdCommand(in line) bool {
	again := in.text == l.held
	l.held = ""
	if !l.Typed || again || in.goesOn || in.continues || !fullScreenCommand().MatchString(in.text) {
		return false
	}
	l.held = in.text
	name := strings.Fields(in.text)[0]
	leave := map[bool]string{true: " Ctrl-C leaves."}[name == "/quit" || name == "/exit"]
	l.note("%s was not sent: only the full screen (--ui tui) has commands.%s To send the line as a message, type it again.", Clean(name), leave)
	return true
}

// holdCode reports whether a line is not sent because it may be the caller's code, which must not reach the wrong person. A note
// says so: answer takes an empty line for the code.
func (l *lineScreen) holdCode(in line) bool {
	was := l.unsent
	l.unsent = ""
	if in.goesOn || in.continues || in.text == was {
		return false
	}
	if l.AnotherCall != nil {
		return l.holdAnotherCall(in.text)
	}
	if l.MayBeCode == nil || !l.MayBeCode(in.text) {
		return false
	}
	if err := l.Code(in.text); err != nil {
		l.unsent = in.text
		l.note("%s To send it as a message, type it again.", Capital(Clean(err.Error())))
	}
	return true
}

// holdAnotherCall reports whether a caller's line is not sent because it is the code of another call.
func (l *lineScreen) holdAnotherCall(text string) bool {
	why := l.AnotherCall(text)
	if why == "" {
		return false
	}
	l.unsent = text
	l.note("%s To send it as a message, type it again.", Clean(why))
	return true
}

// show shows an event.
func (l *lineScreen) show(e chat.Event) error {
	switch e := e.(type) {
	case Event:
		l.showOwn(e)
	case chat.Connected:
		l.connected(e)
	case chat.Ringing:
		l.note("%s", RingingText(cmp.Or(Clean(l.Contact), "the other side")))
	case chat.Message:
		return l.message(e)
	case chat.Queued, chat.Delivered, chat.Mailed:
		l.ownMessage(e)
	case chat.Renamed:
		l.note("%s is now %s", Clean(e.From), Clean(e.To))
	case chat.InputEnded:
		l.finished = true
		l.note("The other side's input has ended.")
	case chat.Disconnected:
		l.question.setLost(true)
		l.note("Disconnected: %s", Clean(e.Reason))
		l.note("Waiting for the other side to come back. What you type is kept until then.")
	case chat.Moved, chat.Relayed:
		l.note("%s", pathText(e, "the other side"))
	case chat.Reconnected:
		l.note("Connected again")
	case chat.Left:
		l.left(e)
	case chat.KeepAsked:
		l.question.setKeep()
		l.note("%s", l.keepAsked(e))
	case chat.Kept:
		l.question.setKeep()
		l.note("%s", KeptText(e))
	case chat.Notice:
		l.note("%s", Capital(Clean(e.Text)))
	default:
		l.file(e)
	}
	return nil
}

// ownMessage shows how far messages of this side have come. For those of this run, the end says which were not delivered.
func (l *lineScreen) ownMessage(e chat.Event) {
	switch e := e.(type) {
	case chat.Queued:
		l.queued = e
		if !e.GoesOn {
			l.earlier++
		}
	case chat.Delivered:
		if l.earlier == 0 || e.ID < l.queued.ID {
			return
		}
		text := "Your message from before has been delivered."
		if l.earlier > 1 {
			text = fmt.Sprintf("Your %d messages from before have been delivered.", l.earlier)
		}
		l.earlier = 0
		l.note("%s", text)
	case chat.Mailed:
		l.note("%s", MailedText(e))
	}
}

// keepAsked tells that the other side wants to keep this one. Here no one can say that the safety words are the same.
func (l *lineScreen) keepAsked(e chat.KeepAsked) string {
	switch {
	case l.Typed && e.Verified:
		return KeepAskedText(e, Clean(e.From), "type /keep")
	case l.Typed:
		return KeepAskedText(e, Clean(e.From), "type /keep on the full screen (--ui tui)")
	}
	return KeepAskedText(e, Clean(e.From), "start this program with --keep NAME")
}

// left shows that the other side has left.
func (l *lineScreen) left(e chat.Left) {
	switch {
	case e.Overheard && !e.Reply:
		l.note("%s", OverheardText("The other side"))
	case e.Closed:
		l.note("The other side closed the page.")
	case !e.Reply:
		l.note("The other side has left.")
	case e.Early && !l.finished:
		l.note("Your input has ended, and with --leave-on-eof the call, too: the other side's input had not ended.")
	case l.Typed && l.finished && l.question.inputHasEnded():
		l.note("Both sides have finished: the call is over.")
	case l.Typed:
		l.note("You have left: the call is over.")
	}
}

// showOwn shows an event that only the program knows.
func (l *lineScreen) showOwn(e Event) {
	switch e := e.(type) {
	case Waiting:
		l.waiting(e)
	case NoCall:
		for _, text := range append([]string{e.Text(l.IsCode != nil)}, e.Hints...) {
			l.note("%s", text)
		}
	case CodeWanted:
		l.askCode(e)
	case StillLost:
		l.note("%s", e.Text("The other side", map[bool]string{true: "/again"}[l.Again != nil]))
	case StillAway:
		l.note("%s", e.Text())
	case WrongCode:
		if text := e.Text(); text != "" {
			l.note("%s", text)
		}
	case Taken:
		l.note("%s", e.Text())
	case Connecting:
		l.note("Connecting")
	case Told:
		l.note("%s", e.Text)
	}
}

// file shows what happens to a file.
func (l *lineScreen) file(e chat.Event) {
	if l.files == nil {
		l.files = openFiles{}
	}
	number := l.files.number(e)
	switch e := e.(type) {
	case chat.FileProgress:
		if !e.Resumed {
			l.progress.move(e, number)
			return
		}
	case chat.FileReceived:
		l.progress.end(e.ID, false)
	case chat.FileSent:
		l.progress.end(e.ID, true)
	case chat.FileFailed:
		l.progress.end(e.ID, e.Outgoing)
	}
	if text := FileText(e, number); text != "" {
		l.note("%s", text)
	}
}

func (l *lineScreen) waiting(e Waiting) {
	if e.Answering || e.Contact != "" {
		l.note("%s", e.Title())
		return
	}
	l.note("code: %s", e.Code) // scripts look for this line
	l.note("Waiting for the other side%s: %s", map[bool]string{true: ", on this machine"}[e.Here], e.Command)
	if l.QR {
		l.qr(e.Link)
	}
}

func (l *lineScreen) connected(e chat.Connected) {
	l.question.setLost(false)
	l.note("Connected with %s %s in %d ms", Clean(e.Peer), PathText(e.Path), e.Took.Milliseconds())
	if l.Typed {
		l.note("Each line that you type is a message; Ctrl-C leaves.")
	}
	switch {
	case e.Verified:
		l.note("%s", VerifiedText(e))
	case e.Foreign:
		l.note("Unverified: the other side is another WebRTC program, so someone could be listening in.")
	default:
		l.note("Unverified: this call has no secret, so the server could be listening in.")
		l.note("If you both see these words, nobody is listening in: %s", strings.Join(e.SafetyWords, " "))
	}
}

// qr draws a link: on a terminal in black on white, whatever its colours are, and elsewhere without
// colours.
func (l *lineScreen) qr(link string) {
	l.note("%s", link)
	begin, end := "", ""
	if l.Watched {
		begin, end = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
	}
	for _, row := range QR(link) {
		fmt.Fprintf(l.Notes, "%s%s%s\n", begin, row, end)
	}
}

// LineText returns what a line of the output has of a message. On a terminal, it says of whom.
func LineText(m chat.Message, terminal bool) string {
	text := Clean(m.Text)
	if terminal && !m.Continues {
		text = Clean(m.From) + ": " + text
	}
	if !m.GoesOn {
		text += "\n"
	}
	return text
}

func (l *lineScreen) message(m chat.Message) error {
	text := LineText(m, l.Terminal)
	if !m.Written.IsZero() && !m.Written.Equal(l.written) && !m.Continues {
		l.note("%s:", WrittenText(m))
	}
	l.written = m.Written
	if l.partial && !m.Continues { // the rest of that line never came
		text = "\n" + text
	}
	l.partial = m.GoesOn
	return l.write(text)
}

func (l *lineScreen) write(text string) error {
	l.progress.hide()
	if _, err := l.Out.Write([]byte(text)); err != nil {
		return outputError(err)
	}
	return nil
}

func (l *lineScreen) note(format string, args ...any) {
	l.progress.hide()
	fmt.Fprintf(l.Notes, "p2pchat: "+format+"\n", args...)
}
