package peer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// outage cuts the wire for a while, which is long enough for both sides to notice.
func (n *network) outage(t *testing.T, d time.Duration, pipes ...*peer.Pipe) {
	t.Helper()
	n.cut.Store(true)
	time.Sleep(d)
	for _, p := range pipes {
		if _, err := p.Recv(soon(t)); !errors.Is(err, peer.ErrLost) {
			t.Errorf("during an outage Recv says %v", err)
		}
	}
	n.cut.Store(false)
}

// both waits for the next pipe of either side.
func both(t *testing.T, from, to *peer.Session) (caller, callee *peer.Pipe) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { caller = pipeOf(t, from) })
	wg.Go(func() { callee = pipeOf(t, to) })
	wg.Wait()
	return caller, callee
}

func TestMeetingAgain(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{right, open} {
		t.Run("within a second of the network's return, as the same two, in "+secret, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, secret, quiet()), n.answers(t, store, secret, quiet())
				first, second := both(t, from, to)
				talk(t, first, second)
				caller, callee := first, second
				known := map[peer.Code]bool{first.Rendezvous: true} // each is good for one meeting
				for _, outage := range []time.Duration{4 * time.Second, time.Minute, peer.Long(10*time.Minute, 2*time.Minute)} {
					var wg sync.WaitGroup
					wg.Go(func() { n.outage(t, outage, caller, callee) })
					// As a conversation does: at once when it hears of the loss.
					for _, s := range []*peer.Session{from, to} {
						wg.Go(func() {
							ctx, cancel := context.WithTimeout(context.Background(), outage)
							defer cancel()
							if p, err := s.Pipe(ctx); !errors.Is(err, context.DeadlineExceeded) {
								t.Errorf("during an outage there is a pipe: %v, %v", p != nil, err)
							}
						})
					}
					wg.Wait()
					begun := time.Now()
					caller, callee = both(t, from, to)
					if took := time.Since(begun); took > time.Second {
						t.Errorf("after %v it took %v", outage, took)
					}
					talk(t, caller, callee)
					for _, p := range []*peer.Pipe{caller, callee} {
						if p.Verified != (secret == right) || !slices.Equal(p.SafetyWords, first.SafetyWords) || known[p.Rendezvous] {
							t.Errorf("verified: %v, words: %q; next in %v, as before: %v", p.Verified, p.SafetyWords, p.Rendezvous, known[p.Rendezvous])
						}
					}
					agree(t, caller, callee)
					known[caller.Rendezvous] = true
				}
			})
		})
	}

	t.Run("does not happen until Pipe waits for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), newCounting(memstore.New(memstore.Limits{}))
			from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			time.Sleep(time.Second)
			before := fmt.Sprint(store.counted())
			n.outage(t, 5*time.Second, caller, callee)
			time.Sleep(time.Minute)
			if after := fmt.Sprint(store.counted()); after != before {
				t.Errorf("it asked the server: %s, then %s", before, after)
			}
		})
	})

	t.Run("works at a server that has forgotten everything, and one that was not reached", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), &replaced{}
			store.now.Store(memstore.New(memstore.Limits{}))
			from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			for range 3 {
				store.down.Store(true)
				n.outage(t, 10*time.Second, caller, callee)
				store.now.Store(memstore.New(memstore.Limits{}))
				time.AfterFunc(time.Second, func() { store.down.Store(false) })
				caller, callee = both(t, from, to)
				talk(t, caller, callee)
			}
		})
	})

	t.Run("works though the last room could not be closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), unclosing{memstore.New(memstore.Limits{})}
			from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
			for range 4 {
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				n.outage(t, 5*time.Second, caller, callee)
			}
		})
	})

	t.Run("works when one side notices much later", func(t *testing.T) {
		for _, late := range []string{"caller", "callee"} {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				n.outage(t, 5*time.Second, caller, callee)
				first, then := from, to
				if late == "caller" {
					first, then = to, from
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if p, err := first.Pipe(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("alone it has a pipe: %v, %v", p != nil, err)
				}
				_ = then
				caller, callee = both(t, from, to)
				talk(t, caller, callee)
			})
		}
	})

	// The network goes in the round trip in which the first messages pass.
	for name, heard := range map[string]struct{ caller, callee bool }{
		"neither side":   {false, false},
		"the caller":     {true, false},
		"the callee":     {false, true},
		"either of them": {true, true},
	} {
		t.Run("works when "+name+" had heard of the other", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
				caller, callee := both(t, from, to)
				if heard.caller {
					send(t, callee, "hello")
					hears(t, caller, "hello")
				}
				if heard.callee {
					send(t, caller, "hello")
					hears(t, callee, "hello")
				}
				n.outage(t, 5*time.Second, caller, callee)
				begun := time.Now()
				caller, callee = both(t, from, to)
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
				talk(t, caller, callee)
				n.outage(t, 5*time.Second, caller, callee)
				caller, callee = both(t, from, to)
				talk(t, caller, callee)
				agree(t, caller, callee)
			})
		})
	}

	t.Run("cannot be joined with the code that was read out", func(t *testing.T) {
		for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				n.outage(t, 5*time.Second, caller, callee)
				// The other one is still away.
				var late *peer.Session
				waiting := from
				if side == signaling.Caller {
					late = answering(t, store, right, quiet().Over(n.callee))
				} else {
					waiting, late = to, calling(t, store, right, quiet().Over(n.caller))
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				for _, s := range []*peer.Session{waiting, late} {
					if p, err := s.Pipe(ctx); p != nil {
						t.Errorf("it is joined (late: %v), %v; side %v", s == late, err, side)
					}
				}
				caller, callee = both(t, from, to)
				talk(t, caller, callee)
			})
		}
	})

	t.Run("is nothing that a plain program can do", func(t *testing.T) {
		strangerCalls(t, func(t *testing.T, s *stranger, session *peer.Session, p *peer.Pipe, _ *logbook) {
			s.opened(t)
			s.close(t)
			if _, err := p.Recv(soon(t)); !errors.Is(err, io.EOF) {
				t.Errorf("Recv says %v", err)
			}
			_ = fails(t, session, peer.ErrLost)
		})
	})
}

// An unclosing Store closes no room.
type unclosing struct{ signaling.Store }

func (unclosing) Close(context.Context, signaling.Ticket) error { return signaling.ErrUnreachable }

// Two thousand messages each way, while the path is cut twenty times: nothing is lost,
// doubled or out of order.
func TestAConversationThroughCuts(t *testing.T) {
	eachSeed(t, peer.Long[uint64](5, 2), func(t *testing.T, seed uint64) {
		messages, cuts := peer.Long(2000, 500), peer.Long(20, 5)
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same each time
		n, store := newNetwork(t, 10*time.Millisecond), memstore.New(memstore.Limits{})
		from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
		a, b := newSide(t, from, "a"), newSide(t, to, "b")
		var wg sync.WaitGroup
		for _, s := range []*side{a, b} {
			wg.Go(func() { s.run(t) })
			wg.Go(func() { s.read() })
			pace := time.Duration(random.IntN(20)+30) * time.Millisecond
			wg.Go(func() {
				for i := range messages {
					if _, err := s.Say(context.Background(), fmt.Sprint(s.name, " ", i)); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(pace)
				}
				if err := s.Finish(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		for range cuts {
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
			n.cut.Store(true)
			outage := time.Duration(random.IntN(1500)) * time.Millisecond // too short to be noticed
			if random.IntN(3) > 0 {
				outage = 4*time.Second + time.Duration(random.IntN(6000))*time.Millisecond
			}
			time.Sleep(outage)
			n.cut.Store(false)
		}
		wg.Wait()
		a.heardAll(t, b, messages)
		b.heardAll(t, a, messages)
		if a.losses+b.losses < cuts/2 {
			t.Errorf("only %d losses were noticed", a.losses+b.losses)
		}
	})
}

// A side is a conversation over a session.
type side struct {
	*chat.Conversation
	name    string
	session *peer.Session
	heard   []string
	losses  int
}

func newSide(t *testing.T, session *peer.Session, name string) *side {
	t.Helper()
	return &side{Conversation: chat.New(chat.Config{Name: name, Log: quiet().Log}), name: name, session: session}
}

func (s *side) run(t *testing.T) {
	err := s.Run(context.Background(), func(ctx context.Context) (chat.Link, error) {
		p, err := s.session.Pipe(ctx)
		if err != nil {
			return chat.Link{}, err
		}
		return chat.Link{Pipe: p, Details: chat.Details(p.Details)}, nil
	})
	if err != nil {
		t.Errorf("the conversation of %s ended with %v", s.name, err)
	}
	s.Close()
}

func (s *side) read() {
	for e := range s.Events() {
		switch e := e.(type) {
		case chat.Message:
			s.heard = append(s.heard, e.Text)
		case chat.Disconnected:
			s.losses++
		}
	}
}

func (s *side) heardAll(t *testing.T, other *side, messages int) {
	t.Helper()
	if len(s.heard) != messages {
		t.Errorf("%s heard %d messages of %d", s.name, len(s.heard), messages)
	}
	for i, text := range s.heard {
		if want := fmt.Sprint(other.name, " ", i); text != want {
			t.Fatalf("message %d is %q, want %q", i, text, want)
		}
	}
}
