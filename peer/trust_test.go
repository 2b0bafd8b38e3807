package peer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

const (
	right = "417-falcon-zebra"
	wrong = "417-falcon-zesty"
	open  = "417" // the room alone
)

func TestTheRightCode(t *testing.T) {
	t.Run("is verified on both sides, who have the same words and can meet again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			code := right
			for range 2 {
				caller, callee := n.calls(t, store, code, quiet()), n.answers(t, store, code, quiet())
				from, to := pipeOf(t, caller), pipeOf(t, callee)
				talk(t, from, to)
				for _, p := range []*peer.Pipe{from, to} {
					if !p.Verified || p.Foreign {
						t.Errorf("verified: %v, foreign: %v", p.Verified, p.Foreign)
					}
				}
				agree(t, from, to)
				if from.Rendezvous.String() == code || len(from.Rendezvous.Room) != 26 || len(from.Rendezvous.Secret) != 26 {
					t.Errorf("they meet again at %q", from.Rendezvous)
				}
				code = from.Rendezvous.String()
			}
		})
	})

	t.Run("leaves the room that was read out empty", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		caller, callee := calling(t, store, right, quiet()), answering(t, store, right, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		eventually(t, "the room is gone", func() bool { return store.Rooms() == 0 })
	})

	t.Run("is made by a caller who has none, with a longer number where rooms are taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), &crowded{Store: memstore.New(memstore.Limits{}), taken: 2}
			config, events := telling()
			caller := n.calls(t, store, "", config)
			code := await[peer.Waiting](t, events).Code
			if len(code.Room) != 5 || strings.Trim(code.Room, "0123456789") != "" || strings.Count(code.Secret, "-") != 1 {
				t.Errorf("the code is %q", code)
			}
			if len(store.rooms) != 3 || len(store.rooms[0]) != 3 || len(store.rooms[1]) != 4 {
				t.Errorf("it tried the rooms %q", store.rooms)
			}
			callee := n.answers(t, store, code.String(), quiet())
			from, to := pipeOf(t, caller), pipeOf(t, callee)
			talk(t, from, to)
			if !from.Verified || !to.Verified {
				t.Error("it is not verified")
			}
		})
	})

	t.Run("has as many digits as the server proposes, within bounds", func(t *testing.T) {
		for proposed, want := range map[int]int{-1: 3, 4: 4, 9: 9, 1000: 9} {
			synctest.Test(t, func(t *testing.T) {
				config, events := telling()
				newNetwork(t, 0).calls(t, proposing{memstore.New(memstore.Limits{}), proposed}, "", config)
				if code := await[peer.Waiting](t, events).Code; len(code.Room) != want {
					t.Errorf("%d are proposed, and the code is %q", proposed, code)
				}
			})
		}
	})

	t.Run("a Store where every room is taken says so in the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &crowded{Store: memstore.New(memstore.Limits{}), taken: 1000}
			caller := newNetwork(t, 0).calls(t, store, "", quiet())
			_ = fails(t, caller, signaling.ErrOccupied)
			if len(store.rooms) > 10 {
				t.Errorf("it tried %d rooms", len(store.rooms))
			}
		})
	})
}

// A proposing Store proposes how many digits a new room has.
type proposing struct {
	signaling.Store
	digits int
}

func (p proposing) RoomDigits() int { return p.digits }

// A crowded Store has callers in the first few rooms that are tried.
type crowded struct {
	signaling.Store
	taken int
	rooms []string
}

func (c *crowded) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	c.rooms = append(c.rooms, t.Room)
	if len(c.rooms) <= c.taken {
		return "", signaling.ErrOccupied
	}
	return c.Store.Offer(ctx, t, d)
}

// agree checks that the two see the same, four words.
func agree(t *testing.T, from, to *peer.Pipe) {
	t.Helper()
	if len(from.SafetyWords) != 4 || !slices.Equal(from.SafetyWords, to.SafetyWords) {
		t.Errorf("the safety words are %q and %q", from.SafetyWords, to.SafetyWords)
	}
	if from.Rendezvous != to.Rendezvous {
		t.Errorf("they meet again at %q and at %q", from.Rendezvous, to.Rendezvous)
	}
}

func TestNoSecret(t *testing.T) {
	for _, code := range []string{open, signaling.Lobby} {
		t.Run("in "+code+" the call is unverified, and both have the same words", func(t *testing.T) {
			store := memstore.New(memstore.Limits{})
			caller, callee := calling(t, store, code, quiet()), answering(t, store, code, quiet())
			from, to := pipeOf(t, caller), pipeOf(t, callee)
			talk(t, from, to)
			if from.Verified || to.Verified || from.Foreign || to.Foreign {
				t.Errorf("verified: %v, %v; foreign: %v, %v", from.Verified, to.Verified, from.Foreign, to.Foreign)
			}
			agree(t, from, to)
		})
	}
}

func TestAWrongCode(t *testing.T) {
	const rtt = 100 * time.Millisecond

	t.Run("is told to the caller at once and to the callee in two round trips, and the right one connects then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, rtt/2), memstore.New(memstore.Limits{})
			config, events := telling()
			caller := n.calls(t, distant{store, rtt}, right, config)
			await[peer.Waiting](t, events)
			answers := &clocked{Store: store}
			liar := answering(t, distant{answers, rtt}, wrong, quiet().Over(n.callee))
			if left := await[peer.WrongCode](t, events).Left; left != peer.Guesses-1 {
				t.Errorf("%d wrong codes are left", left)
			}
			if took := time.Since(answers.at()); took > rtt/2 {
				t.Errorf("the caller knows %v after the answer was at the server", took)
			}
			_ = fails(t, liar, peer.ErrWrongCode)
			if took := time.Since(answers.at()); took > 5*rtt/2 { // it hears that there is another offer, and reads that one
				t.Errorf("the callee knows %v after its answer was at the server", took)
			}
			callee := n.answers(t, distant{store, rtt}, right, quiet())
			from, to := pipeOf(t, caller), pipeOf(t, callee)
			talk(t, from, to)
			if !from.Verified || !to.Verified {
				t.Error("it is not verified")
			}
		})
	})

	t.Run("three times burns the code, and the right one comes too late", func(t *testing.T) {
		for _, near := range []time.Duration{rtt, rtt / 10, 10 * rtt} { // the caller
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, rtt/2), memstore.New(memstore.Limits{})
				config, events := telling()
				caller := n.calls(t, distant{store, near}, right, config)
				await[peer.Waiting](t, events)
				for i := range peer.Guesses {
					liar := answering(t, distant{store, rtt}, wrong, quiet().Over(n.callee))
					_ = fails(t, liar, peer.ErrWrongCode)
					if left := await[peer.WrongCode](t, events).Left; left != peer.Guesses-1-i {
						t.Errorf("%d wrong codes are left", left)
					}
				}
				_ = fails(t, caller, peer.ErrBurnt)
				caller.Close()
				if stands(t, store) || store.Rooms() > 0 {
					t.Error("the room still stands")
				}
				callee := n.answers(t, store, right, quiet())
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if _, err := callee.Pipe(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("it says %v", err)
				}
			})
		}
	})

	t.Run("is told to a callee whose reads arrive after the caller has judged its answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, rtt/2), memstore.New(memstore.Limits{})
			config, events := telling()
			caller := n.calls(t, store, right, config)
			await[peer.Waiting](t, events)
			for range peer.Guesses {
				_ = fails(t, answering(t, lateReads{store}, wrong, quiet().Over(n.callee)), peer.ErrWrongCode)
			}
			_ = fails(t, caller, peer.ErrBurnt)
		})
	})

	t.Run("is what a callee without one has, and the other way round", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			n.calls(t, store, right, config)
			careless := n.answers(t, store, open, quiet())
			_ = fails(t, careless, peer.ErrWrongCode)
			if left := await[peer.WrongCode](t, events).Left; left != peer.Guesses-1 {
				t.Errorf("%d wrong codes are left", left)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			n.calls(t, store, open, config)
			callee := n.answers(t, store, right, quiet())
			_ = fails(t, callee, peer.ErrWrongCode)
			await[peer.Retrying](t, events)
		})
	})

	t.Run("of another room is no guess at this one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			renamed := moved{store, "417"}
			config, events := telling()
			n.calls(t, store, right, config)
			callee := n.answers(t, renamed, "418-falcon-zebra", quiet())
			_ = fails(t, callee, peer.ErrWrongCode)
			await[peer.WrongCode](t, events)
		})
	})
}

// A lateReads is a Store whose reads after the first offer arrive late.
type lateReads struct{ signaling.Store }

const lateRead = 2 * time.Second

func (l lateReads) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	if known != "" {
		time.Sleep(lateRead)
	}
	return l.Store.Description(ctx, t, of, known, wait)
}

func (l lateReads) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	time.Sleep(lateRead)
	return l.Store.Candidates(ctx, t, of, after, wait)
}

// A clocked Store notes when an answer came to the Store.
type clocked struct {
	signaling.Store

	mu   sync.Mutex // guards what follows
	when time.Time
}

func (a *clocked) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	a.mu.Lock()
	a.when = time.Now()
	a.mu.Unlock()
	return a.Store.Answer(ctx, t, to, d)
}

func (a *clocked) at() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.when
}

// A moved Store leads everybody to one room, whatever they ask for.
type moved struct {
	signaling.Store
	room string
}

func (m moved) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	t.Room = m.room
	return m.Store.Answer(ctx, t, to, d)
}

func (m moved) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	t.Room = m.room
	return m.Store.Description(ctx, t, of, known, wait)
}

func (m moved) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	t.Room = m.room
	return m.Store.AddCandidates(ctx, t, at, c...)
}

func (m moved) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	t.Room = m.room
	return m.Store.Candidates(ctx, t, of, after, wait)
}

// A program that squats a room gets no packet from a callee, and so not its address.
func TestAnOfferWithCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
		sdp := sdpOf(t, string(stale(t, signaling.Caller))) + "a=candidate:1 1 udp 2130706431 10.0.0.1 9999 typ host\r\n"
		_, offer, err := peer.Propose(code(wrong), sdp)
		if err != nil {
			t.Fatal(err)
		}
		packets := 0
		n.router.AddChunkFilter(func(vnet.Chunk) bool { packets++; return true })
		post(t, store, open, signaling.Caller, offer)
		config, events := telling()
		n.answers(t, store, right, config)
		if e := await[peer.Retrying](t, events); !errors.Is(e.Err, peer.ErrGarbled) {
			t.Errorf("it says %v", e.Err)
		}
		time.Sleep(time.Second)
		if packets > 0 {
			t.Errorf("%d packets went out", packets)
		}
	})
}

// A server that lets the honest caller prove itself now and then gets no more guesses.
func TestGuessesAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), &fishing{Store: memstore.New(memstore.Limits{})}
		config, events := telling()
		callee := n.answers(t, store, right, config)
		for range peer.Guesses {
			await[peer.Retrying](t, events) // each is told
		}
		_ = fails(t, callee, peer.ErrImpostor)
	})
}

func TestStrangersWithoutTheCode(t *testing.T) {
	const code = signaling.Lobby + "-falcon-zebra" // where strangers meet

	t.Run("one that answers is refused, and the right one connects then", func(t *testing.T) {
		n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
		config, events := telling()
		caller := n.calls(t, store, code, config)
		await[peer.Waiting](t, events)
		s := newStranger(t, store, n.callee, signaling.Callee)
		s.trickle(t)
		s.answer(t)
		await[peer.WrongCode](t, events)
		await[peer.Waiting](t, events) // with the next offer: in the lobby, an answer may replace another
		callee := n.answers(t, store, code, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
		s.alone(t)
	})

	t.Run("one that calls is not answered", func(t *testing.T) {
		n, store := newNetwork(t, 5*time.Millisecond), &recorder{Store: memstore.New(memstore.Limits{})}
		s := newStranger(t, store.Store, n.caller, signaling.Caller)
		s.channel(t, "a name of its own")
		s.trickle(t)
		offer, err := s.pc.CreateOffer(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.describe(t, offer)
		_ = fails(t, n.answers(t, store, code, quiet()), peer.ErrImpostor)
		if d, c := store.written(); len(d)+len(c) > 0 {
			t.Errorf("it was told %q, %q", d, c)
		}
		s.alone(t)
	})
}
