package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
)

// ring asks the person whether to answer, if it has to, and holds the call.
func (s *switchboard) ring(ctx context.Context, id string, call *incomingCall, free func()) {
	decided, name, accepts, shows := make(chan bool, 1), make(chan string, 1), false, false
	s.post(func() {
		l := s.lines[id]
		if l == nil || l.Ring == contacts.RingRefuse { // since
			decided <- false
			name <- ""
			return
		}
		accepts, shows = s.beginRinging(l, decided)
		name <- l.Name
	})
	var who string
	select {
	case who = <-name:
	case <-ctx.Done():
		return
	}
	how := s.decideRinging(ctx, call, decided, accepts, who)
	s.post(func() {
		if l := s.lines[id]; l != nil {
			l.decided = nil
			if how == ringAnswered {
				l.state = lineTalking
			} else {
				s.shown = "" // the list is shown again
			}
		}
		if who != "" && (shows || how != ringAnswered) {
			s.face.ended(who, how)
		}
	})
	if how != ringAnswered {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = chat.Decline(limit, call.first, how == ringMissed) // a caller who is lost is not told
		return
	}
	err := s.hold(ctx, id, call, who, free)
	s.freeScreen()
	s.post(func() { s.shown = "" })                                   // the list is shown again after the call, not when the call changes the contact's keys
	if err != nil && ctx.Err() == nil && !only(err, errInterrupted) { // who has left with Ctrl-C knows that
		s.post(func() { s.face.note(fmt.Sprintf("The call with %s%s: %s", contactMark, who, flatten(err))) })
	}
}

// beginRinging shows that a contact calls, if it has to; it reports whether the call is accepted without a question, and whether it is shown.
func (s *switchboard) beginRinging(l *line, decided chan bool) (accepts, shows bool) {
	l.state, l.decided = lineRinging, decided
	accepts = l.Ring == contacts.RingAccept
	if shows = !accepts || s.o.full && len(s.screen) > 0; shows { // another call that goes on keeps it waiting
		s.face.ringing(l.Name, accepts)
	}
	return accepts, shows
}

// decideRinging decides while the contact hears that it rings.
func (s *switchboard) decideRinging(ctx context.Context, call *incomingCall, decided <-chan bool, accepts bool, name string) ringEnd {
	ringing, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	gone := make(chan struct{})
	wg.Go(func() {
		if call.ring(ringing) != nil {
			close(gone)
		}
	})
	how := s.decide(ctx, gone, decided, accepts, name)
	stop()
	wg.Wait()
	if how == ringAnswered && isClosed(gone) { // the contact hung up as the person answered
		s.freeScreen()
		return ringMissed
	}
	return how
}

// decide waits until it is decided whether to answer. The call then has the screen, unless a program has it.
func (s *switchboard) decide(ctx context.Context, gone <-chan struct{}, decided <-chan bool, accepts bool, name string) ringEnd {
	var screen chan<- struct{} // to be taken
	if accepts {
		if s.o.program != "" {
			return ringAnswered
		}
		screen = s.screen
		defer s.face.waits(name)()
	}
	late := time.NewTimer(longestRing)
	defer late.Stop()
	for {
		select {
		case yes := <-decided:
			switch {
			case !yes:
				return ringDeclined
			case s.o.program != "":
				return ringAnswered
			}
			screen = s.screen
		case screen <- struct{}{}:
			return ringAnswered
		case <-gone:
			return ringMissed
		case <-late.C:
			return ringMissed
		case <-ctx.Done():
			return ringMissed
		}
	}
}

// freeScreen gives back the screen that an answered call has, unless a program has the call.
func (s *switchboard) freeScreen() {
	if s.o.program == "" {
		<-s.screen
	}
}

// hold holds a call that is answered. It calls free if the contact can call again before it returns.
func (s *switchboard) hold(ctx context.Context, id string, call *incomingCall, name string, free func()) error {
	o := s.o.at(call.keeper.server) // with its access key, which no other server gets: see keyHere
	if call.server != o.server {
		o.server, o.serverGiven, o.home, o.moved = call.server, true, o.server, true
	}
	o.keeper, o.incoming = call.keeper, call
	if c := call.keeper.held; c.Ring == contacts.RingAccept && c.Folder != "" {
		o.download, o.accept = c.Folder, true
	}
	if s.o.program != "" {
		return s.runProgram(ctx, o, id, name)
	}
	if err := o.openOutbox(id); err != nil {
		return err
	}
	return s.face.talk(ctx, o, free)
}

// answer decides about the call of the contact of that name, or if it is empty about the only one that rings.
func (s *switchboard) answer(name string, yes bool) error {
	var meant *line
	for _, l := range s.lines {
		if l.state != lineRinging || l.decided == nil || name != "" && !contacts.Same(l.Name, name) {
			continue
		}
		if meant != nil {
			return errors.New("several contacts are calling: name one, like a @ben")
		}
		meant = l
	}
	if meant == nil {
		if name != "" {
			return fmt.Errorf("%s%s is not calling", contactMark, name)
		}
		return errors.New("nobody is calling")
	}
	select {
	case meant.decided <- yes:
	default: // it is decided
	}
	return nil
}
