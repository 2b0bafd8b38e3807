package peer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

func TestResuming(t *testing.T) {
	for _, c := range []struct {
		name           string
		caller, callee bool // is restarted
		heard          bool // by a side that is
	}{
		{"the caller's program", true, false, true},
		{"the callee's program", false, true, true},
		{"both programs", true, true, true},
		{"the caller's program, before it heard anything", true, false, false},
		{"the callee's program, before it heard anything", false, true, false},
		{"both programs, before they heard anything", true, true, false},
	} {
		t.Run(c.name+" may be restarted, and the two meet again", func(t *testing.T) {
			for _, secret := range []string{right, open} {
				synctest.Test(t, func(t *testing.T) { resume(t, secret, c.caller, c.callee, c.heard) })
			}
		})
	}
}

func resume(t *testing.T, secret string, caller, callee, heard bool) {
	n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
	from, to := n.calls(t, store, secret, quiet()), n.answers(t, store, secret, quiet())
	first, second := both(t, from, to)
	if heard {
		talk(t, first, second)
	}
	restart := func(p *peer.Pipe, s *peer.Session) peer.Config {
		// As if it was killed: without a goodbye, and without tidying up.
		s.Close()
		config, again := quiet(), p.Resumption()
		again.Heard = heard
		if again.Before == again.Typed {
			again.Before = peer.Code{} // which says the same
		}
		if heard {
			again.Spent = peer.Guesses // at the typed code, which the two no longer need
		}
		config.Resume = &again
		return config
	}
	n.outage(t, 5*time.Second, first, second)
	if caller {
		from = n.calls(t, store, secret, restart(first, from))
	}
	if callee {
		to = n.answers(t, store, secret, restart(second, to))
	}
	third, fourth := both(t, from, to)
	talk(t, third, fourth)
	if !heard { // they may have met with the typed code again
		first = third
	}
	for _, p := range []*peer.Pipe{third, fourth} {
		if p.Verified != (secret == right) || !slices.Equal(p.SafetyWords, first.SafetyWords) || p.Rendezvous == second.Rendezvous {
			t.Errorf("verified: %v, words: %q and %q", p.Verified, p.SafetyWords, first.SafetyWords)
		}
	}
	if a, b := third.Resumption(), second.Resumption(); a.Typed != b.Typed || a.Rendezvous == b.Rendezvous || a.Rendezvous != fourth.Rendezvous {
		t.Errorf("they would meet again in %v and %v, or %v", a.Rendezvous, fourth.Rendezvous, a.Typed)
	}
	n.outage(t, 5*time.Second, third, fourth)
	third, fourth = both(t, from, to)
	talk(t, third, fourth)
}

// Two that have heard each other meet where only they can. So another program with the typed code does not reach one that was started again.
func TestAThirdProgramWithTheTypedCode(t *testing.T) {
	for _, side := range []signaling.Side{signaling.Caller, signaling.Callee} {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			from, to := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
			first, second := both(t, from, to)
			talk(t, first, second)
			from.Close()
			to.Close()
			config, again := quiet(), second.Resumption()
			start, third := n.answers, n.calls
			if side == signaling.Caller {
				again, start, third = first.Resumption(), n.calls, n.answers
			}
			config.Resume = &again
			s, other := start(t, store, right, config), third(t, store, right, quiet())
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if p, err := other.Pipe(ctx); p != nil || !again.Heard {
				t.Errorf("the %v is met: %v; it was heard: %t", side, err, again.Heard)
			}
			s.Close()
		})
	}
}

// A caller that is killed before the two meet finds its offer in the room, and replaces it: no other program can. It remembers the guesses.
func TestACallerRestartedBeforeAMeeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
		var mu sync.Mutex
		var saved []peer.Resumption
		config := quiet()
		config.Save = func(r peer.Resumption) error {
			mu.Lock()
			defer mu.Unlock()
			saved = append(saved, r)
			return nil
		}
		from := n.calls(t, unclosing{store}, right, config)
		_ = fails(t, n.answers(t, store, wrong, quiet()), peer.ErrWrongCode)
		from.Close() // as if it was killed
		mu.Lock()
		last := saved[len(saved)-1]
		mu.Unlock()
		if last.Token == "" || last.Typed != code(right) || last.Spent != 1 || last.Rendezvous != (peer.Code{}) {
			t.Errorf("it has saved %+v", last)
		}
		config.Resume = &last
		_ = fails(t, n.calls(t, store, right, quiet()), signaling.ErrOccupied) // another program
		from = n.calls(t, store, right, config)
		synctest.Wait() // the offer that it left is replaced
		_ = fails(t, n.answers(t, store, wrong, quiet()), peer.ErrWrongCode)
		first, second := both(t, from, n.answers(t, store, right, quiet()))
		talk(t, first, second)
		// Each callee with a wrong code has answered once: only the offer that replaced the one left behind asks for another answer.
		if r := first.Resumption(); r.Spent != 2 || r.Token != last.Token || !first.Verified {
			t.Errorf("after meeting it is %+v", r)
		}
	})
}

// A callee may answer the offer that a killed caller has left behind. The caller's next program replaces that offer, and the callee, who has the right
// code, is not told that it is wrong.
func TestACalleeThatAnswersADeadCaller(t *testing.T) {
	for _, parked := range []bool{true, false} { // the callee's read of the caller's candidates
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			var mu sync.Mutex
			var last peer.Resumption
			config := quiet()
			config.Report = func(e peer.Event) {
				if w, ok := e.(peer.Waiting); ok {
					mu.Lock()
					defer mu.Unlock()
					last = w.Resumption
				}
			}
			from := n.calls(t, unclosing{store}, right, config)
			synctest.Wait()
			from.Close() // as if it was killed
			mu.Lock()
			config.Resume = &last
			mu.Unlock()
			told, events := telling()
			var theirs signaling.Store = store
			if !parked {
				theirs = lateReads{store}
			}
			to := n.answers(t, theirs, right, told)
			answered(t, store)
			first, second := both(t, n.calls(t, store, right, config), to)
			talk(t, first, second)
			if !first.Verified || !second.Verified || first.Resumption().Spent != 0 {
				t.Errorf("verified: %t and %t, and %d guesses", first.Verified, second.Verified, first.Resumption().Spent)
			}
			// An answer in vain is told: the caller that was killed could have been one that guesses.
			if e := await[peer.Retrying](t, events); !errors.Is(e.Err, peer.ErrUnprovenCaller) || second.Resumption().Spent != 1 {
				t.Errorf("it is told %v, and has spent %d guesses", e.Err, second.Resumption().Spent)
			}
		})
	}
}

// Only a typed secret can be burnt, by as many guesses as it takes, and each side says what that means to it.
func TestBurntResumptions(t *testing.T) {
	code := peer.Code{Room: "417", Secret: "falcon-zebra"}
	for _, c := range []struct {
		r    peer.Resumption
		want error
	}{
		{peer.Resumption{Side: signaling.Caller, Typed: code, Spent: peer.Guesses}, peer.ErrBurnt},
		{peer.Resumption{Side: signaling.Callee, Typed: code, Spent: peer.Guesses + 1}, peer.ErrImpostor},
		{peer.Resumption{Side: signaling.Caller, Typed: code, Spent: peer.Guesses - 1}, nil},
		{peer.Resumption{Side: signaling.Callee, Typed: code}, nil},
		{peer.Resumption{Side: signaling.Caller, Typed: peer.Code{Room: "417"}, Spent: peer.Guesses}, nil},
	} {
		if err := c.r.Burnt(); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}
