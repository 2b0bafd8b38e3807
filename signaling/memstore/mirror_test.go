package memstore

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

// A ledger is a Journal for as many Stores as it has.
type ledger struct {
	mirrors []*Store

	mu        sync.Mutex // guards what follows
	revisions map[string]uint64
	written   uint64
	before    func() // called once, before the next Write
}

func (l *ledger) Write(_ context.Context, room string, revision uint64, state []byte) error {
	l.mu.Lock()
	if race := l.before; race != nil {
		l.before = nil
		l.mu.Unlock()
		race()
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	gone := revision == 0 && !slices.ContainsFunc(l.mirrors, func(m *Store) bool { return m.Revision(room) != 0 })
	if l.revisions[room] != revision && !gone { // gone: all took it for expired
		return ErrConflict
	}
	l.written++
	if l.revisions[room] = l.written; len(state) == 0 {
		delete(l.revisions, room)
	}
	for _, m := range l.mirrors {
		if err := m.Set(room, l.revisions[room], state, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// mirrored are two Stores of one journal, and a caller's ticket for a room of theirs.
func mirrored(t *testing.T) (l *ledger, a, b *Store, caller signaling.Ticket) {
	t.Helper()
	l = &ledger{revisions: map[string]uint64{}}
	a, b = Mirror(Limits{}, l), Mirror(Limits{}, l)
	l.mirrors = []*Store{a, b}
	caller = signaling.NewTicket("room", signaling.Caller)
	if _, err := a.Offer(t.Context(), caller, offer); err != nil {
		t.Fatal(err)
	}
	return l, a, b, caller
}

func TestMirrors(t *testing.T) {
	t.Run("of two who answer at once through two stores one is taken", func(t *testing.T) {
		l, a, b, _ := mirrored(t)
		l.before = func() {
			if _, err := b.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer); err != nil {
				t.Error(err)
			}
		}
		if _, err := a.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer); !errors.Is(err, signaling.ErrAnswered) {
			t.Error(err)
		}
	})
	t.Run("of two lists that are added to at once nothing is lost", func(t *testing.T) {
		l, a, b, caller := mirrored(t)
		l.before = func() {
			if _, err := b.AddCandidates(t.Context(), caller, -1, signaling.Candidate(`{"b":1}`)); err != nil {
				t.Error(err)
			}
		}
		if n, err := a.AddCandidates(t.Context(), caller, -1, signaling.Candidate(`{"a":1}`)); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		for _, s := range []*Store{a, b} {
			list, err := s.Candidates(t.Context(), caller, signaling.Caller, 0, 0)
			if got := string(signaling.JoinCandidates(list)); err != nil || got != `[{"b":1},{"a":1}]` {
				t.Errorf("%s, %v", got, err)
			}
		}
	})
	t.Run("what the journal lost is closed", func(t *testing.T) {
		for name, lose := range map[string]func(*Store){
			"all of it":     func(s *Store) { s.Reset() },
			"this room":     func(s *Store) { s.Forget("room", 1) },
			"its last word": func(s *Store) { _ = s.Set("room", 2, nil, time.Now()) },
		} {
			_, a, _, caller := mirrored(t)
			a.Forget("room", 7) // another one
			hears(t, a, caller, func() { lose(a) }, signaling.ErrClosed, name)
		}
	})
	t.Run("a store without its journal answers nothing, until it is back", func(t *testing.T) {
		_, a, _, caller := mirrored(t)
		lost := errors.New("lost")
		hears(t, a, caller, func() { a.Suspend(lost) }, lost, "a read that waits")
		if _, _, err := a.Description(t.Context(), caller, signaling.Caller, "", 0); !errors.Is(err, lost) {
			t.Error(err)
		}
		a.Suspend(nil)
		if _, _, err := a.Description(t.Context(), caller, signaling.Caller, "", 0); err != nil {
			t.Error(err)
		}
	})
}

// hears has a read for the answer wait while something is done, and expects its error.
func hears(t *testing.T, s *Store, caller signaling.Ticket, do func(), want error, what string) {
	t.Helper()
	heard := make(chan error, 1)
	parked := make(chan struct{})
	ctx := waiting{t.Context(), sync.OnceFunc(func() { close(parked) })}
	go func() {
		_, _, err := s.Description(ctx, caller, signaling.Callee, "", signaling.Forever)
		heard <- err
	}()
	<-parked
	do()
	if err := <-heard; !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

type waiting struct {
	context.Context
	begun func()
}

func (w waiting) Done() <-chan struct{} {
	w.begun()
	return w.Context.Done()
}

func TestCensus(t *testing.T) {
	_, a, b, caller := mirrored(t)
	count := func(when string, want Census) {
		t.Helper()
		for _, s := range []*Store{a, b} {
			if got := s.Census(); got != want {
				t.Errorf("%s: %+v, want %+v", when, got, want)
			}
		}
	}
	count("after an offer", Census{Offered: 1})
	_, err := b.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer)
	ok(t, err)
	count("after an answer", Census{Answered: 1})
	_, err = a.Reoffer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"2"}`))
	ok(t, err)
	count("after a new offer", Census{Offered: 1})
	_, err = a.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer)
	ok(t, err)
	ok(t, a.Close(t.Context(), caller))
	count("after the end", Census{})
}

func TestRenewals(t *testing.T) {
	// The journal drops what has not been written for as long as this.
	renew := func(t *testing.T, s *Store) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			for {
				select {
				case room := <-s.Worn():
					if err := s.Renew(ctx, room); err != nil {
						t.Error(err)
					}
				case <-ctx.Done():
					return
				}
			}
		})
		return func() { cancel(); all.Wait() }
	}
	t.Run("a room that is waited in is written often enough", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, a, b, caller := mirrored(t)
			defer renew(t, a)()
			ctx, cancel := context.WithTimeout(t.Context(), 10*idle)
			defer cancel()
			if _, _, err := a.Description(ctx, caller, signaling.Callee, "", signaling.Forever); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			synctest.Wait()
			if least := uint64(10 * (renewals - 1)); l.written < least || l.written > 10*renewals+2 {
				t.Errorf("it was written %d times", l.written)
			}
			if !stands(t, b) {
				t.Error("the other store has dropped it")
			}
		})
	})
	t.Run("a room that nobody uses is not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, a, b, _ := mirrored(t)
			defer renew(t, a)()
			time.Sleep(idle)
			if stands(t, a) || stands(t, b) || l.written != 1 {
				t.Errorf("after %d writes it stands", l.written)
			}
		})
	})
	t.Run("a write that is repeated renews", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, a, b, caller := mirrored(t)
			defer renew(t, a)()
			for range 4 {
				time.Sleep(idle / 2)
				if _, err := a.Offer(t.Context(), caller, offer); err != nil {
					t.Error(err)
				}
				synctest.Wait()
			}
			if l.written != 5 || !stands(t, b) {
				t.Errorf("after %d writes it is gone", l.written)
			}
		})
	})
}

func TestEncoding(t *testing.T) {
	_, a, _, caller := mirrored(t)
	for i := range 3 {
		if _, err := a.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			break
		}
		if _, err := a.Reoffer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"`+string(rune('a'+i))+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.AddCandidates(t.Context(), caller, 0, signaling.Candidate(`{"a":1}`), signaling.Candidate(`{}`)); err != nil {
		t.Fatal(err)
	}
	whole := a.rooms["room"].state
	encoded := whole.encode()
	t.Run("a state is decoded as it was", func(t *testing.T) {
		again, err := decode(encoded)
		if err != nil || !reflect.DeepEqual(again, whole) {
			t.Errorf("%+v\nbecame\n%+v, %v", whole, again, err)
		}
	})
	t.Run("what is no state is refused", func(t *testing.T) {
		for n := 1; n < len(encoded); n++ {
			if _, err := decode(encoded[:n]); err == nil {
				t.Errorf("its first %d bytes are", n)
			}
		}
		for _, b := range []string{"\x02" + string(encoded[1:]), string(encoded) + "\x00", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "{}"} {
			if _, err := decode([]byte(b)); err == nil {
				t.Errorf("%q is", b)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	r := state{turnedDown: [][32]byte{{1}}, heard: 3}
	r.offer(signaling.Ticket{Room: "room", From: "client"}, [32]byte{2}, offer, "v1")
	f.Add(r.encode())
	r = state{}
	r.offer(signaling.Ticket{Room: "room", From: "client"}, [32]byte{2}, secretOffer, "v1")
	f.Add(r.encode())
	r = state{since: 1, early: []early{{candidate: signaling.Candidate("{}"), at: 2, free: true}, {candidate: signaling.Candidate("{}")}}}
	f.Add(r.encode())
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(r.encode())
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v\nbecame\n%+v, %v", r, again, err)
		}
	})
}
