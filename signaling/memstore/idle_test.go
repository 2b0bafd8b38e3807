package memstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
)

const idle = 10 * time.Minute // the default

var (
	offer  = signaling.Description(`{"type":"offer","sdp":""}`)
	answer = signaling.Description(`{"type":"answer","sdp":""}`)
)

// opened is a Store with one room, and its caller's ticket.
func opened(t *testing.T) (*Store, signaling.Ticket) {
	t.Helper()
	s := New(Limits{})
	caller := signaling.NewTicket("room", signaling.Caller)
	if _, err := s.Offer(t.Context(), caller, offer); err != nil {
		t.Fatal(err)
	}
	return s, caller
}

// exists reports whether the room is still there, without using it.
func exists(t *testing.T, s *Store) bool {
	t.Helper()
	_, _, err := s.Description(t.Context(), signaling.Ticket{Room: "room"}, signaling.Caller, "", 0)
	if err != nil && !errors.Is(err, signaling.ErrNoOffer) {
		t.Fatal(err)
	}
	return err == nil
}

// livesFor expects the room to be gone exactly that long from now on.
func livesFor(t *testing.T, s *Store, d time.Duration) {
	t.Helper()
	time.Sleep(d - time.Nanosecond)
	if !exists(t, s) {
		t.Error("the room is gone before its time")
	}
	time.Sleep(time.Nanosecond)
	if exists(t, s) {
		t.Error("the room outlived its time")
	}
	if s.Counts() != (Counts{}) || len(s.rooms) != 0 || s.idle.Len() != 0 {
		t.Errorf("%d rooms, %d in the map, %d in the queue are left", s.Rooms(), len(s.rooms), s.idle.Len())
	}
}

func TestIdleRooms(t *testing.T) {
	sentence := func(name string, test func(*testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
	sentence("a room is gone after exactly its idle time", func(t *testing.T) {
		s, _ := opened(t)
		livesFor(t, s, idle)
	})
	for name, write := range map[string]func(*Store, signaling.Ticket) error{
		"the same offer": func(s *Store, t signaling.Ticket) error {
			_, err := s.Offer(context.Background(), t, offer)
			return err
		},
		"the same offer as a new one": func(s *Store, t signaling.Ticket) error {
			_, err := s.Reoffer(context.Background(), t, offer)
			return err
		},
		"a new offer": func(s *Store, t signaling.Ticket) error {
			_, err := s.Reoffer(context.Background(), t, signaling.Description(`{"type":"offer","sdp":"2"}`))
			return err
		},
		"an answer": func(s *Store, _ signaling.Ticket) error {
			_, err := s.Answer(context.Background(), signaling.NewTicket("room", signaling.Callee), "", answer)
			return err
		},
		"a candidate": func(s *Store, t signaling.Ticket) error {
			_, err := s.AddCandidates(context.Background(), t, 0, signaling.Candidate("{}"))
			return err
		},
	} {
		sentence("writing "+name+" counts as use", func(t *testing.T) {
			s, caller := opened(t)
			time.Sleep(idle - 1)
			if err := write(s, caller); err != nil {
				t.Fatal(err)
			}
			livesFor(t, s, idle)
		})
	}
	sentence("a refused write does not count as use", func(t *testing.T) {
		s, _ := opened(t)
		time.Sleep(idle / 2)
		stranger := signaling.NewTicket("room", signaling.Caller)
		if _, err := s.AddCandidates(t.Context(), stranger, 0, signaling.Candidate("{}")); !errors.Is(err, signaling.ErrWrongToken) {
			t.Fatal(err)
		}
		livesFor(t, s, idle/2)
	})
	sentence("a read that does not wait does not count as use", func(t *testing.T) {
		s, caller := opened(t)
		time.Sleep(idle / 2)
		if _, _, err := s.Description(t.Context(), caller, signaling.Caller, "", time.Hour); err != nil {
			t.Fatal(err)
		}
		livesFor(t, s, idle/2)
	})
	sentence("a room with a waiting read stays, and for its idle time after that", func(t *testing.T) {
		s, caller := opened(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*idle)
		defer cancel()
		done := make(chan error)
		for _, wait := range []time.Duration{90 * idle, signaling.Forever} { // the first ends before the second
			go func() {
				_, _, err := s.Description(ctx, caller, signaling.Callee, "", wait)
				done <- err
			}()
		}
		if err := <-done; !errors.Is(err, signaling.ErrNoAnswer) {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		livesFor(t, s, idle)
	})
	sentence("writing while a read waits does not start the idle time", func(t *testing.T) {
		s, caller := opened(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*idle)
		defer cancel()
		go func() {
			if _, err := s.AddCandidates(ctx, caller, 0, signaling.Candidate("{}")); err != nil {
				t.Error(err)
			}
		}()
		if _, _, err := s.Description(ctx, caller, signaling.Callee, "", signaling.Forever); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		livesFor(t, s, idle)
	})
	sentence("rooms expire in the order of their last use", func(t *testing.T) {
		s, _ := opened(t)
		var tickets []signaling.Ticket
		for i := range 10 {
			time.Sleep(time.Second)
			ticket := signaling.NewTicket(fmt.Sprint("r", i), signaling.Caller)
			tickets = append(tickets, ticket)
			if _, err := s.Offer(t.Context(), ticket, offer); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(idle - 10*time.Second) // "room" expires now, the others one each second
		if _, err := s.AddCandidates(t.Context(), tickets[0], 0, signaling.Candidate("{}")); err != nil {
			t.Fatal(err)
		}
		for second, left := range []int{10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1} {
			if got := s.Rooms(); got != left {
				t.Errorf("after %d s there are %d rooms, want %d", second, got, left)
			}
			time.Sleep(time.Second)
		}
	})
	sentence("an expired room counts no longer against the limit", func(t *testing.T) {
		s := New(Limits{Rooms: 1, Idle: time.Second})
		for i := range 3 {
			if _, err := s.Offer(t.Context(), signaling.NewTicket(strconv.Itoa(i), signaling.Caller), offer); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Offer(t.Context(), signaling.NewTicket("more", signaling.Caller), offer); !errors.Is(err, signaling.ErrServerFull) {
				t.Errorf("one room too many: %v", err)
			}
			time.Sleep(time.Second)
		}
	})
	sentence("the name of an expired room is free, and its token is not valid", func(t *testing.T) {
		s, caller := opened(t)
		time.Sleep(idle)
		if _, err := s.Candidates(t.Context(), caller, signaling.Callee, 0, signaling.Forever); !errors.Is(err, signaling.ErrClosed) {
			t.Error(err)
		}
		if _, err := s.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), offer); err != nil {
			t.Error(err)
		}
	})
	sentence("expiry looks no further than the first room that has not expired", func(t *testing.T) {
		s, _ := opened(t)
		time.Sleep(idle)
		if _, err := s.Offer(t.Context(), signaling.NewTicket("young", signaling.Caller), offer); err != nil {
			t.Fatal(err)
		}
		s.idle.PushBack("not a room: expire panics if it looks at this")
		if got := s.Rooms(); got != 1 {
			t.Errorf("there are %d rooms", got)
		}
	})
}

func TestWaiting(t *testing.T) {
	sentence := func(name string, test func(*testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
	sentence("a wait ends exactly on time", func(t *testing.T) {
		s, _ := opened(t)
		for _, room := range []string{"room", "unopened"} {
			asked := time.Now()
			if _, _, err := s.Description(t.Context(), signaling.Ticket{Room: room}, signaling.Callee, "", 1234*time.Millisecond); !errors.Is(err, signaling.ErrNoAnswer) {
				t.Error(err)
			}
			if took := time.Since(asked); took != 1234*time.Millisecond {
				t.Errorf("room %s: it took %v", room, took)
			}
		}
	})
	sentence("reads that waited in rooms without an offer leave no rooms", func(t *testing.T) {
		s := New(Limits{})
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 100 {
			for _, of := range []signaling.Side{signaling.Caller, signaling.Callee} {
				room := signaling.Ticket{Room: strconv.Itoa(i)}
				go func() { _, _, _ = s.Description(ctx, room, of, "", signaling.Forever) }()
				go func() { _, _ = s.Candidates(ctx, room, of, 0, time.Duration(i+1)*time.Second) }()
			}
		}
		synctest.Wait()
		if got := s.Counts(); got != (Counts{Awaited: 100}) {
			t.Errorf("there are %+v", got)
		}
		cancel()
		synctest.Wait()
		if len(s.rooms) != 0 || s.idle.Len() != 0 {
			t.Errorf("%d rooms are left, %d in the queue", len(s.rooms), s.idle.Len())
		}
	})
	sentence("a room that a read waited for is counted once it has an offer", func(t *testing.T) {
		s := New(Limits{Rooms: 1})
		read := make(chan error, 1)
		go func() {
			_, _, err := s.Description(t.Context(), signaling.Ticket{Room: "room"}, signaling.Caller, "", signaling.Forever)
			read <- err
		}()
		synctest.Wait()
		caller := signaling.NewTicket("room", signaling.Caller)
		if _, err := s.Offer(t.Context(), caller, offer); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Error(err)
		}
		if s.Rooms() != 1 || len(s.rooms) != 1 {
			t.Errorf("%d rooms, %d in the map", s.Rooms(), len(s.rooms))
		}
		livesFor(t, s, idle)
	})
	sentence("a read that is woken before it has what it asked for keeps waiting", func(t *testing.T) {
		s, caller := opened(t)
		for i := range 5 {
			go func() {
				time.Sleep(time.Duration(i) * time.Second)
				if _, err := s.AddCandidates(t.Context(), caller, i, signaling.Candidate("{}")); err != nil {
					t.Error(err)
				}
			}()
		}
		asked := time.Now()
		list, err := s.Candidates(t.Context(), caller, signaling.Caller, 10, time.Minute)
		if took := time.Since(asked); took != time.Minute || err != nil || len(list) != 0 {
			t.Errorf("it returned %q, %v after %v", list, err, took)
		}
	})
}

func TestTurnedDown(t *testing.T) {
	t.Run("a room remembers eight callees at most", func(t *testing.T) {
		s, caller := opened(t)
		for i := range 20 {
			if _, err := s.Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Reoffer(t.Context(), caller, signaling.Description(fmt.Sprintf(`{"type":"offer","sdp":"%d"}`, i))); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(s.rooms["room"].turnedDown); n != 8 {
			t.Errorf("it remembers %d", n)
		}
	})
	t.Run("replacing an offer without an answer remembers no callee", func(t *testing.T) {
		s, caller := opened(t)
		if _, err := s.Reoffer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"2"}`)); err != nil {
			t.Fatal(err)
		}
		if n := len(s.rooms["room"].turnedDown); n != 0 {
			t.Errorf("it remembers %d", n)
		}
	})
}

func TestVersions(t *testing.T) {
	t.Run("two stores share no version", func(t *testing.T) {
		seen := map[signaling.Version]bool{}
		for range 100 {
			s := New(Limits{})
			v, err := s.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), offer)
			if err != nil || seen[v] {
				t.Fatalf("version %q again, %v", v, err)
			}
			seen[v] = true
		}
	})
}
