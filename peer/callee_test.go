package peer

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"p2pchat/signaling"
)

// What a callee makes of an attempt that failed: whether it goes on, what the person is told, and whether the next attempt tries TCP as well.
func TestFailedAttemptsOfACallee(t *testing.T) {
	other, noPath := errors.New("another reason"), fmt.Errorf("%w: none answered", ErrNoPath)
	for _, c := range []struct {
		why    error
		newer  bool // there is a newer offer
		open   bool // the code has no secret
		ends   error
		told   []Event
		failed int // attempts that count
		taken  bool
	}{
		{why: nil, newer: true, failed: 1},
		{why: signaling.ErrAnswered, told: []Event{Taken{}}, taken: true},
		{why: signaling.ErrAnswered, newer: true, told: []Event{Taken{}}},
		{why: signaling.ErrNoOffer, ends: ErrTaken},
		{why: signaling.ErrNoOffer, newer: true},
		{why: signaling.ErrNoOffer, open: true},
		{why: signaling.ErrSuperseded},
		{why: errUnread},
		{why: errGarbled, told: []Event{Retrying{errGarbled}}},
		{why: noPath, told: []Event{Retrying{noPath}}, failed: 1},
		{why: ErrWrongCode, ends: ErrWrongCode, told: []Event{WrongCode{Left: -1}}},
		{why: other, ends: other},
	} {
		var told []Event
		s := &Session{config: Config{Log: discarding(), Report: func(e Event) { told = append(told, e) }}}
		a := &callee{s: s, hasSecret: !c.open, noPath: ErrNoPath}
		if c.newer {
			a.newest = &offer{}
		}
		err := a.afterFailure(c.why)
		if !errors.Is(err, c.ends) || !reflect.DeepEqual(told, c.told) || a.failed != c.failed || a.taken != c.taken {
			t.Errorf("%+v: it ends with %v, %d attempts have failed, the call is taken: %t; told: %v", c, err, a.failed, a.taken, told)
		}
		if tcp := s.tcp != nil; tcp != (c.failed > 0) {
			t.Errorf("%+v: the next attempt tries TCP: %t", c, tcp)
		}
		if errors.Is(c.why, ErrNoPath) && !errors.Is(a.noPath, noPath) {
			t.Errorf("the call would end with %v", a.noPath)
		}
		s.closeTCP()
	}
}
