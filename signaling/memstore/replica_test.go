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

// A fakePrimary is a Primary of the Stores that are its replicas.
type fakePrimary struct {
	replicas []*Store

	mu        sync.Mutex // guards what follows
	revisions map[string]uint64
	written   uint64
	before    func() // called once, before the next Write
}

func (p *fakePrimary) Write(_ context.Context, room string, revision uint64, state []byte) error {
	p.mu.Lock()
	if race := p.before; race != nil {
		p.before = nil
		p.mu.Unlock()
		race()
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	gone := revision == 0 && !slices.ContainsFunc(p.replicas, func(m *Store) bool { return m.Revision(room) != 0 })
	if p.revisions[room] != revision && !gone { // gone: the room has expired in all Stores
		return ErrConflict
	}
	p.written++
	if p.revisions[room] = p.written; len(state) == 0 {
		delete(p.revisions, room)
	}
	for _, m := range p.replicas {
		if err := m.Set(room, p.revisions[room], state, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// replicated returns two Stores of one primary, and the ticket of the caller of a room.
func replicated(t *testing.T) (p *fakePrimary, a, b *Store, caller signaling.Ticket) {
	t.Helper()
	p = &fakePrimary{revisions: map[string]uint64{}}
	a, b = NewReplica(Limits{}, p), NewReplica(Limits{}, p)
	p.replicas = []*Store{a, b}
	caller = signaling.NewTicket("room", signaling.Caller)
	if _, err := a.Offer(t.Context(), caller, offer); err != nil {
		t.Fatal(err)
	}
	return p, a, b, caller
}

func TestReplicas(t *testing.T) {
	t.Run("of two answers at once through two stores, one is taken", func(t *testing.T) {
		p, a, b, _ := replicated(t)
		p.before = func() {
			if _, err := b.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer); err != nil {
				t.Error(err)
			}
		}
		if _, err := a.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer); !errors.Is(err, signaling.ErrAnswered) {
			t.Error(err)
		}
	})
	t.Run("two lists that are added at once lose nothing", func(t *testing.T) {
		p, a, b, caller := replicated(t)
		p.before = func() {
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
	t.Run("what the primary lost is closed", func(t *testing.T) {
		for name, lose := range map[string]func(*Store){
			"all rooms":      func(s *Store) { s.Reset() },
			"this room":      func(s *Store) { s.Forget("room", 1) },
			"an empty state": func(s *Store) { _ = s.Set("room", 2, nil, time.Now()) },
		} {
			_, a, _, caller := replicated(t)
			a.Forget("room", 7) // the revision is another one
			endsRead(t, a, caller, func() { lose(a) }, signaling.ErrClosed, name)
		}
	})
	t.Run("a suspended store returns the error that it was given, until it is resumed", func(t *testing.T) {
		_, a, _, caller := replicated(t)
		lost := errors.New("lost")
		endsRead(t, a, caller, func() { a.Suspend(lost) }, lost, "a read that waits")
		if _, _, err := a.Description(t.Context(), caller, signaling.Caller, "", 0); !errors.Is(err, lost) {
			t.Error(err)
		}
		if _, err := a.Reoffer(t.Context(), caller, secretOffer); !errors.Is(err, lost) {
			t.Errorf("writing: %v", err)
		}
		wanted := []signaling.WantedOffer{{Room: "anotherroomwithalongname"}}
		if _, err := a.Offers(t.Context(), wanted, 0); !errors.Is(err, lost) {
			t.Errorf("reading offers: %v", err)
		}
		a.Suspend(nil)
		woken := false
		defer a.WatchOffers(wanted, func(error) { woken = true })()
		if a.Suspend(lost); !woken {
			t.Error("a read that waits for offers waits on")
		}
		a.Suspend(nil)
		if _, _, err := a.Description(t.Context(), caller, signaling.Caller, "", 0); err != nil {
			t.Error(err)
		}
	})
}

// What a primary says of a write is what the writer is told; what it does not know, a replica leaves alone.
func TestWritesToThePrimary(t *testing.T) {
	p, a, b, caller := replicated(t)
	if got := b.Revision("room"); got != p.written {
		t.Errorf("the replica has revision %d, and %d was written", got, p.written)
	}
	a.Forget("unknown", 0)
	a.Forget("unknown", 1)
	if err := a.Renew(t.Context(), "unknown"); err != nil || p.written != 1 {
		t.Errorf("renewing a room that does not exist: %v, %d writes", err, p.written)
	}
	if err := a.Set("room", 2, []byte("{}"), time.Now()); err == nil || !exists(t, a) {
		t.Errorf("bytes that are no room: %v, and the room exists: %t", err, exists(t, a))
	}
	a.primary = lostPrimary{}
	if _, err := a.Reoffer(t.Context(), caller, secretOffer); !errors.Is(err, errLost) {
		t.Errorf("a write that was lost: %v", err)
	}
	if err := a.Renew(t.Context(), "room"); !errors.Is(err, errLost) {
		t.Errorf("a renewal that was lost: %v", err)
	}
}

var errLost = errors.New("lost")

type lostPrimary struct{}

func (lostPrimary) Write(context.Context, string, uint64, []byte) error { return errLost }

// endsRead has a read for the answer wait, calls do, and expects the read to return that error.
func endsRead(t *testing.T, s *Store, caller signaling.Ticket, do func(), want error, what string) {
	t.Helper()
	got := make(chan error, 1)
	parked := make(chan struct{})
	ctx := parkedContext{t.Context(), sync.OnceFunc(func() { close(parked) })}
	go func() {
		_, _, err := s.Description(ctx, caller, signaling.Callee, "", signaling.Forever)
		got <- err
	}()
	<-parked
	do()
	if err := <-got; !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

type parkedContext struct {
	context.Context
	begun func()
}

func (w parkedContext) Done() <-chan struct{} {
	w.begun()
	return w.Context.Done()
}

func TestCensus(t *testing.T) {
	_, a, b, caller := replicated(t)
	count := func(when string, want Counts) {
		t.Helper()
		for _, s := range []*Store{a, b} {
			if got := s.Counts(); got != want {
				t.Errorf("%s: %+v, want %+v", when, got, want)
			}
		}
	}
	count("after an offer", Counts{Offered: 1})
	_, err := b.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer)
	ok(t, err)
	count("after an answer", Counts{Answered: 1})
	_, err = a.Reoffer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"2"}`))
	ok(t, err)
	count("after a new offer", Counts{Offered: 1})
	_, err = a.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer)
	ok(t, err)
	ok(t, a.Close(t.Context(), caller))
	count("after closing", Counts{})
}

func TestRenewals(t *testing.T) {
	renew := func(t *testing.T, s *Store) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			for {
				select {
				case room := <-s.RenewalsDue():
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
	t.Run("a room with a waiting read is written often enough", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, a, b, caller := replicated(t)
			defer renew(t, a)()
			ctx, cancel := context.WithTimeout(t.Context(), 10*idle)
			defer cancel()
			if _, _, err := a.Description(ctx, caller, signaling.Callee, "", signaling.Forever); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			synctest.Wait()
			if least := uint64(10 * (renewals - 1)); p.written < least || p.written > 10*renewals+2 {
				t.Errorf("it was written %d times", p.written)
			}
			if !exists(t, b) {
				t.Error("the other store has removed it")
			}
		})
	})
	t.Run("a room that is not used is not written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, a, b, _ := replicated(t)
			defer renew(t, a)()
			time.Sleep(idle)
			if exists(t, a) || exists(t, b) || p.written != 1 {
				t.Errorf("the room exists after %d writes", p.written)
			}
		})
	})
	t.Run("repeating a write renews the room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, a, b, caller := replicated(t)
			defer renew(t, a)()
			for range 4 {
				time.Sleep(idle / 2)
				if _, err := a.Offer(t.Context(), caller, offer); err != nil {
					t.Error(err)
				}
				synctest.Wait()
			}
			if p.written != 5 || !exists(t, b) {
				t.Errorf("the room is gone after %d writes", p.written)
			}
		})
	})
}

func TestEncoding(t *testing.T) {
	_, a, _, caller := replicated(t)
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
	t.Run("decode is the inverse of encode", func(t *testing.T) {
		again, err := decode(encoded)
		if err != nil || !reflect.DeepEqual(again, whole) {
			t.Errorf("%+v\nbecame\n%+v, %v", whole, again, err)
		}
	})
	t.Run("bytes that are not a state are refused", func(t *testing.T) {
		for n := 1; n < len(encoded); n++ {
			if _, err := decode(encoded[:n]); err == nil {
				t.Errorf("its first %d bytes are decoded", n)
			}
		}
		for _, b := range []string{"\x02" + string(encoded[1:]), string(encoded) + "\x00", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "{}"} {
			if _, err := decode([]byte(b)); err == nil {
				t.Errorf("%q is decoded", b)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	r := state{turnedDown: []tokenHash{{1}}, beforeAnswer: 3}
	r.replaceOffer(signaling.Ticket{Room: "room", From: "client"}, tokenHash{2}, offer, "v1", time.Now())
	f.Add(r.encode())
	r = state{}
	r.replaceOffer(signaling.Ticket{Room: "room", From: "client"}, tokenHash{2}, secretOffer, "v1", time.Now())
	f.Add(r.encode())
	r = state{describedAt: 1, early: []earlyCandidate{{candidate: signaling.Candidate("{}"), at: 2, unclaimed: true}, {candidate: signaling.Candidate("{}")}}}
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
