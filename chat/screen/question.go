package screen

import (
	"errors"
	"strings"
	"sync"

	"p2pchat/chat"
)

// A question is what the next line of the input may answer, instead of being a message. The goroutine that
// shows events asks it, and the one that reads the input answers it.
type question struct {
	mu      sync.Mutex // guards what follows
	asked   int        // how often a code was wanted
	code    bool       // one is wanted now
	calling bool       // by a caller, who gets a new one
	last    string     // what was typed instead
	lost    bool       // the connection is, so that /again is a command
	keep    bool       // the other side has said that it keeps this one
	ended   bool       // no line follows
}

// A reply is what a line answers to a question.
type reply struct {
	code  string
	again bool // the command /again, instead of a code
	keep  bool // the command /keep; code is its argument
	asked int  // the question's, when the line came
}

func (q *question) setLost(lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = lost
}

func (q *question) setKeep() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.keep = true
}

// keepAsked reports whether the other side has said that it keeps this one.
func (q *question) keepAsked() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.keep
}

// inputEnded notes that no line follows, and reports whether a code was wanted.
func (q *question) inputEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	return q.code
}

func (q *question) inputHasEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

// ask notes that a code is wanted, and reports whether a line can still follow.
func (q *question) ask(calling bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	q.code, q.calling, q.last = true, calling, ""
	return !q.ended
}

// reply returns what a line answers. A line that isCode answers even if no code was wanted; ok is false for
// a message.
func (q *question) reply(text string, isCode bool) (r reply, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r.asked = q.asked
	switch {
	case q.code && !q.calling && text == "": // Enter again
		r.code = q.last
	case q.code && !q.calling:
		q.last, r.code = text, text
	case q.code && text == "": // for a new code
	case q.lost && text == "/again":
		r.again = true
	case text == "/keep" || strings.HasPrefix(text, "/keep "):
		r.keep, r.code = true, strings.TrimSpace(strings.TrimPrefix(text, "/keep"))
	case isCode:
		r.code = text
	default:
		return r, false
	}
	return r, true
}

// taken notes that the code of a reply was taken. It may already have turned out to be wrong, and the question
// may have been asked again: that question stays.
func (q *question) taken(r reply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.asked == q.asked {
		q.code = false
	}
}

// askCode asks the person for a code.
func (l *lineScreen) askCode(e CodeWanted) {
	l.note("%s", Clean(e.Why))
	if !l.question.ask(e.Calling) && l.talk != nil {
		l.talk.Leave()
		return
	}
	l.note("%s", map[bool]string{true: "Press Enter for a new code.", false: "Type the caller's code:"}[e.Calling])
}

// keep is /keep: this side keeps the other one, as name.
func (l *lineScreen) keep(name string) error {
	err := l.talk.KeepPeer(name, false)
	switch {
	case errors.Is(err, chat.ErrKeepUnproven):
		return errors.New("this call has no secret: call again with a code, or compare the safety words on the full screen (--ui tui)")
	case err == nil && !l.question.keepAsked():
		l.note("Noted. You will have kept each other once the other side keeps you, too.")
	}
	return err
}

// answer handles a line that is no message, and is false for a message.
func (l *lineScreen) answer(in line) bool {
	if in.goesOn || in.continues {
		return false
	}
	text, isCode := in.text, l.IsCode != nil && l.IsCode(in.text)
	if text == "" && l.unsent != "" {
		text, isCode = l.unsent, true
	}
	r, ok := l.question.reply(text, isCode)
	var err error
	switch {
	case !ok, r.again && l.Again == nil, r.keep && !l.Typed:
		return false
	case r.keep:
		err = l.keep(r.code)
	case r.again:
		err = l.Again()
	default:
		if err = l.Code(r.code); err == nil {
			l.question.taken(r)
		}
	}
	if err != nil {
		l.note("%s", Capital(Clean(err.Error())))
	}
	return true
}
