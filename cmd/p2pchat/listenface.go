package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/contacts"
)

// A streamFace is a listenFace for pipes, plain terminals and programs. While a call has the screen, lines of the input are the
// call's.
type streamFace struct {
	dialect listenDialect
	board   *switchboard
	std     stdio

	mu   sync.Mutex     // guards what follows
	call io.WriteCloser // the input of the call that has the screen; nil without one
	over bool           // the input has ended
}

// A listenDialect is how a streamFace speaks outside of calls.
type listenDialect interface {
	listening(list []contacts.Contact)
	// ringing tells that a contact calls; busy says that a call has the input.
	ringing(name string, busy bool)
	ended(name string, why ringEnd)
	note(text string)
	letter(name string, e chat.Event) error
	// parse returns what a line asks for.
	parse(text string) (listenCommandLine, error)
	// refuse tells why a line was not handled.
	refuse(err error)
}

// A listenCommandLine is what a line of the input asks for.
type listenCommandLine struct {
	verb listenVerb
	name string // of a contact; perhaps empty
}

type listenVerb int

const (
	verbNone listenVerb = iota
	verbAnswer
	verbDecline
	verbLeave
)

func newStreamFace(s *switchboard, std stdio, d listenDialect) *streamFace {
	return &streamFace{dialect: d, board: s, std: std}
}

func (f *streamFace) listening(list []contacts.Contact) { f.dialect.listening(list) }
func (f *streamFace) ended(name string, why ringEnd)    { f.dialect.ended(name, why) }
func (f *streamFace) note(text string)                  { f.dialect.note(text) }

// waits implements listenFace: here no screen outlives its call.
func (f *streamFace) waits(string) (end func()) { return func() {} }

func (f *streamFace) ringing(name string, _ bool) {
	f.mu.Lock()
	busy := f.call != nil
	f.mu.Unlock()
	f.dialect.ringing(name, busy)
}

func (f *streamFace) letter(name string, e chat.Event) error { return f.dialect.letter(name, e) }

// maxPiece is how many bytes of a line are held at once.
const maxPiece = 64 << 10

// read hands each line of the input to the call that has the screen, or runs it. The end of the input ends that of the call, too;
// on a terminal it ends the program.
func (f *streamFace) read(ctx context.Context) {
	type piece struct {
		text   string
		goesOn bool // an earlier piece has the beginning of its line
	}
	pieces := make(chan piece)
	go func() { // not waited for: a read of stdin cannot be interrupted
		defer close(pieces)
		for in, long := bufio.NewReaderSize(f.std.in, maxPiece), false; ; {
			text, err := in.ReadSlice('\n')
			if len(text) > 0 {
				select {
				case pieces <- piece{string(text), long}:
				case <-ctx.Done():
					return
				}
			}
			if long = errors.Is(err, bufio.ErrBufferFull); err != nil && !long {
				return
			}
		}
	}()
	for {
		select {
		case p, ok := <-pieces:
			if !ok {
				f.endInput()
				return
			}
			f.line(p.text, p.goesOn)
		case <-ctx.Done(): // the call leaves
			return
		}
	}
}

// line handles a line of the input, or a piece of a long one: goesOn says that it is not the first.
func (f *streamFace) line(text string, goesOn bool) {
	f.mu.Lock()
	call := f.call
	f.mu.Unlock()
	if call != nil {
		if _, err := io.WriteString(call, text); err == nil {
			return
		}
	}
	if goesOn { // the first piece was refused, or went to a call that has ended
		return
	}
	c, err := f.dialect.parse(strings.TrimRight(text, "\r\n"))
	if err != nil {
		f.board.post(func() { f.dialect.refuse(err) })
		return
	}
	switch c.verb {
	case verbNone:
	case verbLeave:
		f.board.leave()
	default:
		f.board.post(func() {
			if err := f.board.answer(strings.TrimPrefix(c.name, contactMark), c.verb == verbAnswer); err != nil {
				f.dialect.refuse(err)
			}
		})
	}
}

// endInput notes that no line follows.
func (f *streamFace) endInput() {
	f.mu.Lock()
	call := f.call
	f.over = true
	f.mu.Unlock()
	switch {
	case call != nil:
		call.Close()
	case f.std.inTerminal:
		f.board.leave()
	}
}

// talk implements listenFace.
func (f *streamFace) talk(ctx context.Context, o talkOptions, _ func()) error {
	in, to := io.Pipe()
	f.mu.Lock()
	if f.call = to; f.over {
		_ = to.Close() // it never fails
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.call = nil
		f.mu.Unlock()
		_ = in.Close() // it never fails
	}()
	std := f.std
	std.in = in
	return talk(ctx, o, std)
}

// lineListen speaks to people: notes on stderr, and answers that are typed.
type lineListen struct{ stdio }

func (d lineListen) note(text string) {
	fmt.Fprintf(d.err, "p2pchat: %s\n", screen.Capital(screen.Clean(text)))
}

func (d lineListen) refuse(err error) { d.note(err.Error()) }

func (d lineListen) listening(list []contacts.Contact) {
	var names []string
	for _, c := range list {
		if c.Ring != contacts.RingRefuse {
			names = append(names, contactMark+c.Name)
		}
	}
	switch {
	case len(list) == 0:
		d.note("you have kept no contacts, so no one can call. " + howToKeep)
		return
	case len(names) == 0:
		d.note("none of your contacts may call. To change that for one: p2pchat contacts ring @NAME ask")
		return
	}
	d.note("listening for " + strings.Join(names, ", "))
}

func (d lineListen) ringing(name string, busy bool) {
	if busy {
		d.note(fmt.Sprintf("%s%s is calling, too, for a minute at most. You can answer once this call has ended.", contactMark, name))
		return
	}
	d.note(fmt.Sprintf("%s%s is calling. Type a to answer, d to decline.", contactMark, name))
}

func (d lineListen) ended(name string, why ringEnd) {
	switch why {
	case ringAnswered:
	case ringDeclined:
		d.note(fmt.Sprintf("You declined the call of %s%s.", contactMark, name))
	case ringMissed:
		d.note(fmt.Sprintf("Missed a call of %s%s.", contactMark, name))
	}
}

func (d lineListen) letter(name string, e chat.Event) error {
	m, ok := e.(chat.Message)
	if !ok {
		d.note(fmt.Sprintf("%s%s has read a message of yours.", contactMark, name))
		return nil
	}
	if !m.Continues {
		d.note(screen.WrittenText(m) + ":")
	}
	_, err := io.WriteString(d.out, screen.LineText(m, d.outTerminal))
	return err
}

func (d lineListen) parse(text string) (listenCommandLine, error) {
	verb, name, _ := strings.Cut(strings.TrimSpace(text), " ")
	verbs := map[string]listenVerb{"": verbNone, "a": verbAnswer, "d": verbDecline, "q": verbLeave}
	v, known := verbs[verb]
	if !known {
		return listenCommandLine{}, errors.New("you are in no call, so that was not sent. Type a to answer, d to decline, q to leave")
	}
	return listenCommandLine{v, strings.TrimSpace(name)}, nil
}

// jsonListen speaks to programs: objects on stdout, and objects that answer.
type jsonListen struct{ out io.Writer }

func (d jsonListen) tell(e screen.Event) { _ = screen.Encode(d.out, e) } // a program that reads no more ends this one otherwise

func (d jsonListen) note(text string) { d.tell(screen.Told{Text: text}) }

func (d jsonListen) refuse(err error) { d.tell(screen.Failed{Code: "bad-input", Message: err.Error()}) }

func (d jsonListen) listening(list []contacts.Contact) {
	e := screen.Listening{Contacts: []string{}}
	for _, c := range list {
		if c.Ring != contacts.RingRefuse {
			e.Contacts = append(e.Contacts, c.Name)
		}
	}
	d.tell(e)
}

func (d jsonListen) ringing(name string, _ bool) { d.tell(screen.IncomingCall{Contact: name}) }

func (d jsonListen) ended(name string, why ringEnd) {
	d.tell(screen.IncomingEnded{Contact: name, How: string(why)})
}

func (d jsonListen) letter(name string, e chat.Event) error {
	return screen.Encode(d.out, screen.FromLetter{Contact: name, Event: e})
}

func (d jsonListen) parse(text string) (listenCommandLine, error) {
	var c struct {
		Type, Contact string
		ID            json.RawMessage // of a file of a call
	}
	if text == "" {
		return listenCommandLine{}, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return listenCommandLine{}, screen.ErrNoObject
	}
	if c.Type == "" {
		return listenCommandLine{}, screen.ErrNoType
	}
	if slices.Contains([]string{"message", "again", "keep", "send-file", "accept", "cancel"}, c.Type) || c.Type == "decline" && len(c.ID) > 0 {
		return listenCommandLine{}, fmt.Errorf("no call is up, so %q was dropped: wait for an event of type connected. To take a call that rings: {\"type\":\"answer\"}", c.Type)
	}
	return listenCommandLine{map[string]listenVerb{"answer": verbAnswer, "decline": verbDecline, "leave": verbLeave}[c.Type], c.Contact}, nil
}
