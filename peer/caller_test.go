package peer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// An offers is a Store that notes how the next offer is written.
type offers struct {
	signaling.Store
	last string
}

func (o *offers) Offer(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error) {
	o.last = "offer"
	return "", nil
}

func (o *offers) Reoffer(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error) {
	o.last = "reoffer"
	return "", nil
}

// What a caller makes of an attempt that failed: how it goes on, or with which error the call ends; what the person is told; and whether the next attempt
// tries TCP as well. A code that the person may have read out is never replaced.
func TestFailedAttemptsOfACaller(t *testing.T) {
	other, noPath := errors.New("another reason"), fmt.Errorf("%w: none answered", ErrNoPath)
	typed, chosen := Code{Room: "417", Secret: "falcon-zebra"}, Code{}
	for _, c := range []struct {
		name   string
		why    error
		code   Code // chosen: this side's own
		opened bool
		failed int  // attempts before
		met    bool // the code is private
		ends   error
		next   string
		told   []Event
		unread bool // the next offer replaces one of an earlier run
	}{
		{name: "the room that it has chosen is occupied", why: signaling.ErrOccupied, code: chosen, next: "offer"},
		{name: "the room that was typed is occupied", why: signaling.ErrOccupied, code: typed, ends: signaling.ErrOccupied},
		{name: "the room where the two meet again has its own last offer", why: signaling.ErrOccupied, code: typed, met: true, next: "reoffer", unread: true},
		{name: "another call has the room that it had opened", why: signaling.ErrOccupied, code: chosen, opened: true, ends: signaling.ErrOccupied},
		{name: "the server has failed before there is a room", why: other, code: chosen, ends: other},
		{name: "the server has failed", why: other, code: typed, opened: true, ends: other},
		{name: "the room was closed", why: signaling.ErrClosed, code: typed, opened: true, next: "offer"},
		{name: "the room has gone", why: signaling.ErrNoRoom, code: typed, opened: true, next: "offer"},
		{name: "a newer call has replaced it", why: signaling.ErrTurnedDown, code: typed, opened: true, ends: ErrReplaced},
		{name: "a newer call has the room", why: signaling.ErrWrongToken, code: typed, opened: true, ends: ErrReplaced},
		{name: "an answer was garbled", why: errGarbled, code: typed, opened: true, next: "reoffer", told: []Event{Retrying{errGarbled}}},
		{name: "there was no path", why: noPath, code: typed, opened: true, next: "reoffer", told: []Event{Retrying{noPath}}},
		{name: "there was no path again", why: noPath, code: typed, opened: true, failed: attempts - 1, ends: ErrNoPath},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told []Event
			store := &offers{}
			s := &Session{
				side: signaling.Caller, store: store, met: c.met, tickets: map[Code]signaling.Ticket{},
				config: Config{Log: discarding(), Report: func(e Event) { told = append(told, e) }},
			}
			defer s.closeTCP()
			a := &caller{s: s, code: c.code, digits: signaling.MaxRoomDigits, write: store.Offer, opened: c.opened, failed: c.failed}
			if c.code == chosen {
				a.digits = signaling.MinRoomDigits
				a.code = newCode(a.digits)
			}
			before := a.code
			err := a.prepareNext(c.why)
			if !errors.Is(err, c.ends) || !reflect.DeepEqual(told, c.told) || a.unread != c.unread {
				t.Errorf("it ends with %v; told: %v; unread: %t", err, told, a.unread)
			}
			if _, _ = a.write(t.Context(), signaling.Ticket{}, nil); c.next != "" && store.last != c.next {
				t.Errorf("the next offer is written by %s", store.last)
			}
			if changed, free := a.code != before, c.next != "" && c.code == chosen; changed != free || changed && len(a.code.Room) != signaling.MinRoomDigits+1 {
				t.Errorf("the code was %v, and is %v", before, a.code)
			}
			if tcp := s.tcp != nil; tcp != (a.failed > c.failed) || tcp != (c.next != "" && errors.Is(c.why, ErrNoPath)) {
				t.Errorf("the next attempt tries TCP: %t", tcp)
			}
		})
	}
}

// A late offer is closed if it is there and nothing newer of this side is.
func TestClosingALateOffer(t *testing.T) {
	d := func(sdp string) signaling.Description {
		return signaling.Description(`{"type":"offer","sdp":"` + sdp + `"}`)
	}
	for _, c := range []struct {
		name          string
		before, after func(context.Context, *memstore.Store, signaling.Ticket) // the late offer is written
		stays         string
	}{
		{name: "alone"},
		{name: "replaced", stays: "newer", after: func(ctx context.Context, s *memstore.Store, t signaling.Ticket) { _, _ = s.Reoffer(ctx, t, d("newer")) }},
		{name: "overtaken", stays: "newer", before: func(ctx context.Context, s *memstore.Store, t signaling.Ticket) { _, _ = s.Offer(ctx, t, d("newer")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, ticket, arrive := memstore.New(memstore.Limits{}), signaling.NewTicket("417", signaling.Caller), make(chan struct{})
			a := &caller{s: &Session{store: store, config: Config{Log: discarding()}}, ticket: ticket}
			a.write = func(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
				<-arrive
				return store.Offer(ctx, t, d)
			}
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := a.publish(gone, d("late")); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if c.before != nil {
				c.before(t.Context(), store, ticket)
			}
			close(arrive)
			a.s.wg.Wait()
			if c.after != nil {
				c.after(t.Context(), store, ticket)
			}
			a.closeRoom(gone)
			now, _, err := store.Description(t.Context(), signaling.Ticket{Room: "417"}, signaling.Caller, "", 0)
			if c.stays == "" && !errors.Is(err, signaling.ErrNoOffer) || c.stays != "" && string(now) != string(d(c.stays)) {
				t.Errorf("the room has %q (%v)", now, err)
			}
		})
	}
}

// A caller asks for new credentials after a minute, however long of it the machine slept, and goes on with the ones it has if it gets none.
func TestAskingAgainForServers(t *testing.T) {
	first, later := []signaling.ICEServer{{URLs: []string{"stun:192.0.2.1"}}}, []signaling.ICEServer{{URLs: []string{"stun:192.0.2.2"}}}
	for _, c := range []struct {
		name string
		ago  time.Duration
		list []signaling.ICEServer
		err  error
		want []signaling.ICEServer
	}{
		{"at once", 0, later, nil, first},
		{"later", 2 * time.Minute, later, nil, later},
		{"of a server that refuses", 2 * time.Minute, nil, signaling.ErrTooMany, first},
		{"of a server that is away", 2 * time.Minute, nil, signaling.ErrUnreachable, first},
		{"of a server that has none now", 2 * time.Minute, []signaling.ICEServer{}, nil, first},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &caller{servers: first, asked: time.Now().Add(-c.ago).Round(0), s: &Session{config: Config{
				Log: discarding(), Discover: func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
					return c.list, c.err
				},
			}}}
			a.askAgain(t.Context())
			if !reflect.DeepEqual(a.servers, c.want) {
				t.Errorf("the next offer has %v", a.servers)
			}
			if a.asked != a.asked.Round(0) { // a clock that stops while the machine sleeps
				t.Errorf("it has asked at %v", a.asked)
			}
		})
	}
}

// A caller that meets with its typed code again counts wrong answers, and is told only once that no guess is left.
func TestRefusedAnswers(t *testing.T) {
	code := Code{Room: "417", Secret: "falcon-zebra"}
	for _, met := range []bool{false, true} {
		var told []Event
		s := &Session{side: signaling.Caller, met: met, config: Config{Log: discarding(), Report: func(e Event) { told = append(told, e) }}}
		var want []Event
		for left := Guesses - 1; left >= 0; left-- {
			want = append(want, WrongCode{left})
			if err := s.refuse(signaling.Ticket{}, code, errUnproven); errors.Is(err, ErrBurnt) != (left == 0) {
				t.Errorf("with %d left: %v", left, err)
			}
		}
		if met {
			want = append(want, Burnt{})
		}
		if !reflect.DeepEqual(told, want) {
			t.Errorf("met: %t: it is told %v", met, told)
		}
	}
}
