package natsstore_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
	"p2pchat/signaling/storetest"
)

var (
	offer  = signaling.Description(`{"type":"offer","sdp":"o"}`)
	answer = signaling.Description(`{"type":"answer","sdp":"a"}`)
)

// A result is what a read returned.
type result struct {
	d    signaling.Description
	v    signaling.Version
	list []signaling.Candidate
	err  error
}

// A replica is a store that tells when a read begins to wait.
type replica struct {
	*natsstore.Store
	t      testing.TB
	parked chan struct{}
	reads  signaling.Store
}

func observed(t testing.TB, s *natsstore.Store) *replica {
	parked := make(chan struct{}, 1000)
	return &replica{Store: s, t: t, parked: parked, reads: storetest.Observe(s, parked)}
}

// waits starts a read of what side of writes, and returns once the read waits: for candidates from
// index after on, or for the description if after is negative.
func (r *replica) waits(t signaling.Ticket, of signaling.Side, after int) <-chan result {
	r.t.Helper()
	back := make(chan result, 1)
	go func() {
		var h result
		if after >= 0 {
			h.list, h.err = r.reads.Candidates(r.t.Context(), t, of, after, signaling.Forever)
		} else {
			h.d, h.v, h.err = r.reads.Description(r.t.Context(), t, of, "", signaling.Forever)
		}
		back <- h
	}()
	select {
	case <-r.parked:
	case h := <-back:
		r.t.Fatalf("the read did not wait: %+v", h)
	}
	return back
}

func receive(t testing.TB, back <-chan result, want error) result {
	t.Helper()
	select {
	case h := <-back:
		if !errors.Is(h.err, want) {
			t.Fatalf("the read returned %v, want %v", h.err, want)
		}
		return h
	case <-time.After(30 * time.Second):
		t.Fatal("the read did not return")
		return result{}
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel() // it waits, most of the time
	c := nats(t, 3)

	t.Run("rooms are kept on three nodes", func(t *testing.T) {
		t.Parallel()
		c.open(t, "three", memstore.Limits{})
		conn, err := natsgo.Connect(c.url())
		ok(t, err)
		defer conn.Close()
		js, err := jetstream.New(conn)
		ok(t, err)
		stream, err := js.Stream(t.Context(), "three")
		ok(t, err)
		if n := stream.CachedInfo().Config.Replicas; n != 3 {
			t.Errorf("there are %d replicas", n)
		}
	})

	t.Run("a caller and a callee at two replicas meet, without polling", func(t *testing.T) {
		t.Parallel()
		a, b := observed(t, c.open(t, "meet", memstore.Limits{})), observed(t, c.open(t, "meet", memstore.Limits{}))
		caller, callee := signaling.NewTicket("a.room", signaling.Caller), signaling.NewTicket("a.room", signaling.Callee)
		offered, first := b.waits(callee, signaling.Caller, -1), b.waits(callee, signaling.Caller, 0)
		v, err := a.Offer(t.Context(), caller, offer)
		ok(t, err)
		if h := receive(t, offered, nil); string(h.d) != string(offer) || h.v != v {
			t.Errorf("the callee got %q of version %q", h.d, h.v)
		}
		answered, back := a.waits(caller, signaling.Callee, -1), a.waits(caller, signaling.Callee, 0)
		_, err = b.Answer(t.Context(), callee, v, answer)
		ok(t, err)
		if h := receive(t, answered, nil); string(h.d) != string(answer) {
			t.Errorf("the caller got %q", h.d)
		}
		for who, side := range map[string]struct {
			r    *replica
			t    signaling.Ticket
			back <-chan result
		}{"callee": {a, caller, first}, "caller": {b, callee, back}} {
			_, err = side.r.AddCandidates(t.Context(), side.t, 0, signaling.Candidate(`{}`))
			ok(t, err)
			if h := receive(t, side.back, nil); len(h.list) != 1 {
				t.Errorf("the %s got %q", who, h.list)
			}
		}
		end := b.waits(callee, signaling.Caller, 1)
		ok(t, a.Close(t.Context(), caller))
		receive(t, end, signaling.ErrClosed)
	})

	t.Run("of twenty answers at two replicas, one is taken", func(t *testing.T) {
		t.Parallel()
		at := []*natsstore.Store{c.open(t, "race", memstore.Limits{}), c.open(t, "race", memstore.Limits{})}
		w := observed(t, at[1])
		offered := w.waits(signaling.Ticket{Room: "room"}, signaling.Caller, -1)
		_, err := at[0].Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), offer)
		ok(t, err)
		receive(t, offered, nil)
		errs := make(chan error, 20)
		for i := range cap(errs) {
			go func() {
				_, err := at[i%2].Answer(t.Context(), signaling.NewTicket("room", signaling.Callee), "", answer)
				errs <- err
			}()
		}
		taken := 0
		for range cap(errs) {
			if err := <-errs; err == nil {
				taken++
			} else if !errors.Is(err, signaling.ErrAnswered) {
				t.Error(err)
			}
		}
		if taken != 1 {
			t.Errorf("%d were taken", taken)
		}
	})

	t.Run("a replica that starts late has all rooms", func(t *testing.T) {
		t.Parallel()
		a := c.open(t, "late", memstore.Limits{})
		for i := range 50 {
			_, err := a.Offer(t.Context(), signaling.NewTicket(fmt.Sprint("r", i), signaling.Caller), offer)
			ok(t, err)
		}
		b := c.open(t, "late", memstore.Limits{})
		if n := b.Rooms(); n != 50 {
			t.Errorf("it has %d rooms of 50", n)
		}
	})

	t.Run("what the feed left out is fetched, with the next message or soon", func(t *testing.T) {
		t.Parallel()
		a, b := c.open(t, "gap", memstore.Limits{}), observed(t, c.open(t, "gap", memstore.Limits{}))
		for round, another := range []bool{false, true} {
			room := fmt.Sprint("r", round)
			last := b.waits(signaling.Ticket{Room: room}, signaling.Caller, -1)
			ok(t, b.StopFeed())
			for i := range 30 { // 30 messages are fetched in a batch
				_, err := a.Offer(t.Context(), signaling.NewTicket(fmt.Sprint(room, "n", i), signaling.Caller), offer)
				ok(t, err)
			}
			_, err := a.Offer(t.Context(), signaling.NewTicket(room, signaling.Caller), offer)
			ok(t, err)
			if another {
				ok(t, b.StartFeed())
				_, err := a.Offer(t.Context(), signaling.NewTicket("after", signaling.Caller), offer)
				ok(t, err)
			}
			receive(t, last, nil)
			if n := b.Rooms(); n < 31*(round+1) {
				t.Errorf("it has %d rooms", n)
			}
			if !another {
				ok(t, b.StartFeed())
			}
		}
	})

	t.Run("a replica that is behind catches up before it refuses a peer", func(t *testing.T) {
		t.Parallel()
		a, b := c.open(t, "fresh", memstore.Limits{}), c.open(t, "fresh", memstore.Limits{})
		ok(t, b.StopFeed()) // it gets no message unless it asks
		caller, callee := signaling.NewTicket("blue", signaling.Caller), signaling.NewTicket("blue", signaling.Callee)
		v, err := a.Offer(t.Context(), caller, offer)
		ok(t, err)
		if _, _, err := b.Description(t.Context(), caller, signaling.Callee, "", 0); !errors.Is(err, signaling.ErrNoAnswer) {
			t.Errorf("the caller reads no answer because of %v", err)
		}
		w, err := a.Reoffer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":"p"}`))
		ok(t, err)
		if v == w {
			t.Fatal("it is the same offer")
		}
		_, err = b.Answer(t.Context(), callee, w, answer)
		ok(t, err)
		_, err = a.AddCandidates(t.Context(), caller, 0, signaling.Candidate(`{"candidate":"c"}`))
		ok(t, err)
		_, err = b.AddCandidates(t.Context(), caller, 1, signaling.Candidate(`{"candidate":"c"}`))
		ok(t, err)
	})

	t.Run("a room lives while a read waits in it at any replica, and is then dropped by NATS", func(t *testing.T) {
		t.Parallel()
		brief := memstore.Limits{Idle: time.Second}
		a, b := c.open(t, "idle", brief), observed(t, c.open(t, "idle", brief))
		caller := signaling.NewTicket("room", signaling.Caller)
		offered := b.waits(caller, signaling.Caller, -1)
		_, err := a.Offer(t.Context(), caller, offer)
		ok(t, err)
		receive(t, offered, nil)
		if _, _, err := b.Description(t.Context(), caller, signaling.Callee, "", 4*time.Second); !errors.Is(err, signaling.ErrNoAnswer) {
			t.Error(err)
		}
		if a.Rooms() != 1 || b.Rooms() != 1 {
			t.Error("the room is gone")
		}
		conn, err := natsgo.Connect(c.url())
		ok(t, err)
		defer conn.Close()
		js, err := jetstream.New(conn)
		ok(t, err)
		c.eventually("the message is dropped", func() bool {
			stream, err := js.Stream(t.Context(), "idle")
			return err == nil && stream.CachedInfo().State.Msgs == 1 // the epoch
		})
		c.eventually("the replicas drop it, too", func() bool { return a.Rooms() == 0 && b.Rooms() == 0 })
		_, err = a.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), offer)
		ok(t, err)
	})

	t.Run("rooms that NATS has lost are closed, and new ones open", func(t *testing.T) {
		t.Parallel()
		a, b := c.open(t, "lost", memstore.Limits{}), observed(t, c.open(t, "lost", memstore.Limits{}))
		caller := signaling.NewTicket("room", signaling.Caller)
		_, err := a.Offer(t.Context(), caller, offer)
		ok(t, err)
		c.eventually("both have it", func() bool { return b.Rooms() == 1 })
		end := b.waits(caller, signaling.Callee, -1)
		conn, err := natsgo.Connect(c.url())
		ok(t, err)
		defer conn.Close()
		js, err := jetstream.New(conn)
		ok(t, err)
		ok(t, js.DeleteStream(t.Context(), "lost"))
		receive(t, end, signaling.ErrClosed)
		c.eventually("the other replica closes it, too", func() bool { return a.Rooms() == 0 })
		offered := b.waits(signaling.Ticket{Room: "room"}, signaling.Caller, -1)
		_, err = a.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), offer)
		ok(t, err)
		receive(t, offered, nil)
	})
}

func TestTheClusterDown(t *testing.T) {
	t.Parallel() // it waits, most of the time
	c := nats(t, 3)
	s, err := natsstore.Open(t.Context(), natsstore.Config{URL: c.url(), Patience: 3 * time.Second, Log: slog.New(slog.DiscardHandler)})
	ok(t, err)
	defer s.Stop()
	w := observed(t, s)
	caller := signaling.NewTicket("room", signaling.Caller)
	_, err = s.Offer(t.Context(), caller, offer)
	ok(t, err)
	waiting := w.waits(caller, signaling.Callee, -1)
	for i := range c.nodes {
		c.kill(i)
	}
	if _, err := s.AddCandidates(t.Context(), caller, 0, signaling.Candidate("{}")); !errors.Is(err, signaling.ErrUnavailable) {
		t.Errorf("a write: %v", err)
	}
	receive(t, waiting, signaling.ErrUnavailable)
	if err := s.Ready(); !errors.Is(err, signaling.ErrUnavailable) {
		t.Error(err)
	}
	if _, _, err := s.Description(t.Context(), caller, signaling.Caller, "", 0); !errors.Is(err, signaling.ErrUnavailable) {
		t.Errorf("a read: %v", err)
	}
	if _, err := s.Offer(t.Context(), caller, offer); !errors.Is(err, signaling.ErrUnavailable) {
		t.Errorf("a repeated write: %v", err)
	}
	for i := range c.nodes {
		c.start(i)
	}
	eventually(t, "the store is ready again", func() bool { return s.Ready() == nil })
	// NATS kept its messages in memory, so they are lost.
	if _, _, err := s.Description(t.Context(), caller, signaling.Callee, "", signaling.Forever); !errors.Is(err, signaling.ErrClosed) {
		t.Error(err)
	}
	_, err = s.Offer(t.Context(), caller, offer)
	ok(t, err)
}
