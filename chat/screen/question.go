package screen

import (
	"sync"
)

// A question is what the next line of the input may answer, instead of being a message. The events
// ask it, and the input answers: in two goroutines.
type question struct {
	mu      sync.Mutex // guards what follows
	code    bool       // a code is wanted
	calling bool       // by a caller, who gets a new one
	last    string     // what was typed instead
	lost    bool       // the connection, so that /again is a command
	ended   bool       // there will be no answer
}

func (q *question) setLost(lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = lost
}

// inputEnded notes that no line follows, and reports whether a code was wanted.
func (q *question) inputEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	return q.code
}

// ask notes that a code is wanted, and reports whether one can still come.
func (q *question) ask(calling bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.code, q.calling, q.last = true, calling, ""
	return !q.ended
}

// reads returns the answer that a line is, if it is one: a code, or with again the command /again.
func (q *question) reads(text string) (code string, again, answers bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.code && !q.calling && text == "":
		return q.last, false, true // Enter again
	case q.code && !q.calling:
		q.last = text
		return text, false, true
	case q.code && text == "":
		return "", false, true
	case q.lost && text == "/again":
		return "", true, true
	}
	return "", false, false
}

func (q *question) answered() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.code = false
}

// wanted asks for a code.
func (l *lines) wanted(e CodeWanted) {
	l.note("%s", Clean(e.Why))
	if !l.question.ask(e.Calling) && l.leave != nil {
		l.leave()
		return
	}
	l.note("%s", map[bool]string{true: "Press Enter for a new code.", false: "Type the caller's code:"}[e.Calling])
}

// answer handles a line that is no message, and is false for a message.
func (l *lines) answer(in line) bool {
	if in.goesOn || in.continues {
		return false
	}
	code, again, answers := l.question.reads(in.text)
	if !answers && l.IsCode != nil && l.IsCode(in.text) {
		code, answers = in.text, true
	}
	var err error
	switch {
	case !answers, again && l.Again == nil:
		return false
	case again:
		err = l.Again()
	default:
		if err = l.Code(code); err == nil {
			l.question.answered()
		}
	}
	if err != nil {
		l.note("%s", Clean(err.Error()))
	}
	return true
}
