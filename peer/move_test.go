package peer_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// moving returns a quiet Config of a side that moves its connection.
func moving() peer.Config {
	config := quiet()
	config.Moves = true
	return config
}

// replacedBoth waits until both sides have moved, and returns their new pipes.
func replacedBoth(t testing.TB, from, to *peer.Session, caller, callee *peer.Pipe) (nextCaller, nextCallee *peer.Pipe) {
	t.Helper()
	for _, p := range []*peer.Pipe{caller, callee} {
		select {
		case <-p.Replaced():
		case <-soon(t).Done():
			t.Fatal("the connection was not moved")
		}
	}
	return pipeOf(t, from), pipeOf(t, to)
}

func TestMove(t *testing.T) {
	for _, side := range []string{"caller", "callee", "both"} {
		t.Run("takes the conversation over without a server, begun by "+side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), &replaced{}
				store.now.Store(memstore.New(memstore.Limits{}))
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				time.Sleep(time.Second) // the room is closed
				store.down.Store(true)
				first := caller
				for range 3 {
					if side != "callee" {
						caller.Move()
					}
					if side != "caller" {
						callee.Move()
					}
					nextCaller, nextCallee := replacedBoth(t, from, to, caller, callee)
					talk(t, caller, callee) // for a while, the old one still carries messages
					talk(t, nextCaller, nextCallee)
					agree(t, nextCaller, nextCallee)
					for _, p := range []*peer.Pipe{nextCaller, nextCallee} {
						if !p.Verified || !slices.Equal(p.SafetyWords, first.SafetyWords) || string(p.ContactKey()) != string(first.ContactKey()) || p.Rendezvous == first.Rendezvous {
							t.Errorf("verified: %v, words: %q", p.Verified, p.SafetyWords)
						}
					}
					time.Sleep(2 * time.Second)
					for _, p := range []*peer.Pipe{caller, callee} {
						if !hasEnded(p) {
							t.Error("the old connection has not ended")
						}
					}
					caller, callee = nextCaller, nextCallee
				}
				store.down.Store(false)
				n.outage(t, 5*time.Second, caller, callee)
				caller, callee = both(t, from, to)
				talk(t, caller, callee)
			})
		})
	}

	for name, configs := range map[string][2]peer.Config{
		"the caller does not": {quiet(), moving()},
		"the callee does not": {moving(), quiet()},
	} {
		t.Run("does not happen where "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, configs[0]), n.answers(t, store, right, configs[1])
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				if _, err := caller.Ask(soon(t), peer.MoveLabel); err != nil {
					t.Fatal(err)
				}
				if _, err := callee.Ask(soon(t), peer.MoveLabel); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				for _, p := range []*peer.Pipe{caller, callee} {
					if isOver(p.Replaced()) {
						t.Error("it was moved")
					}
				}
				talk(t, caller, callee)
			})
		})
	}

	t.Run("waits until the conversation has begun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
			caller, callee := both(t, from, to)
			send(t, callee, "hello")
			hears(t, caller, "hello") // the callee has heard nothing: it may be ringing
			caller.Move()
			time.Sleep(time.Minute)
			if isOver(caller.Replaced()) || isOver(callee.Replaced()) {
				t.Error("it was moved")
			}
			talk(t, caller, callee)
		})
	})

	t.Run("leaves the connection as it is where no other one comes about", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
			known := &knownPorts{}
			n.router.AddChunkFilter(known.pass)
			from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
			caller, callee := both(t, from, to)
			talk(t, caller, callee)
			known.freeze.Store(true)
			caller.Move()
			time.Sleep(30 * time.Second)
			talk(t, caller, callee)
			if isOver(caller.Replaced()) || isOver(callee.Replaced()) {
				t.Error("it was moved")
			}
		})
	})

	t.Run("survives the loss of the connection at any moment", func(t *testing.T) {
		for after := 0; after < 12; after += peer.Long(1, 3) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				caller.Move()
				time.Sleep(time.Duration(after) * 10 * time.Millisecond)
				n.cut.Store(true)
				time.Sleep(5 * time.Second)
				n.cut.Store(false)
				caller, callee = settled(t, from, to, caller, callee)
				talk(t, caller, callee)
				agree(t, caller, callee)
			})
		}
	})
}

// A reason to move may come at any moment of a move that began before. Neither side takes that for a loss.
func TestMoveGivenUp(t *testing.T) {
	for _, side := range []string{"caller", "callee"} {
		for after := 0; after < 70; after += peer.Long(2, 10) { // of which the other side alone is connected for 5
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{})
				from, to := n.calls(t, store, right, moving()), n.answers(t, store, right, moving())
				caller, callee := both(t, from, to)
				talk(t, caller, callee)
				mover := caller
				if side == "callee" {
					mover = callee
				}
				mover.Move()
				time.Sleep(time.Duration(after) * time.Millisecond)
				synctest.Wait()
				if !isOver(mover.Replaced()) {
					mover.Move()
				}
				time.Sleep(4 * time.Second)
				caller, callee = replacedBoth(t, from, to, caller, callee)
				if hasEnded(caller) || hasEnded(callee) {
					t.Fatalf("the new connection of the %s was lost, %d ms after the move began", side, after)
				}
				talk(t, caller, callee)
			})
		}
	}
}

// settled follows both sides until they have a connection that works.
func settled(t *testing.T, from, to *peer.Session, caller, callee *peer.Pipe) (nextCaller, nextCallee *peer.Pipe) {
	t.Helper()
	var wg sync.WaitGroup
	follow := func(s *peer.Session, p *peer.Pipe, last **peer.Pipe) {
		for isOver(p.Replaced()) || hasEnded(p) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			next, err := s.Pipe(ctx)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				t.Error("no pipe within 20 s")
				break
			}
			if err != nil {
				t.Error(err)
				break
			}
			p = next
			time.Sleep(4 * time.Second) // a connection that only one side has is lost by then
		}
		*last = p
	}
	wg.Go(func() { follow(from, caller, &nextCaller) })
	wg.Go(func() { follow(to, callee, &nextCallee) })
	wg.Wait()
	return nextCaller, nextCallee
}

// knownPorts lets only packets between ports through that had packets before.
type knownPorts struct {
	freeze atomic.Bool
	ports  sync.Map
}

func (k *knownPorts) pass(c vnet.Chunk) bool {
	from, to := c.SourceAddr().String(), c.DestinationAddr().String()
	if !k.freeze.Load() {
		k.ports.Store(from, true)
		k.ports.Store(to, true)
		return true
	}
	_, knowsFrom := k.ports.Load(from)
	_, knowsTo := k.ports.Load(to)
	return knowsFrom && knowsTo
}

func isOver(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func hasEnded(p *peer.Pipe) bool { return isOver(p.Ended()) }

// Two contacts have the same keys after a move as before.
func TestMoveOfContacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store, friends := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), friends(1)
		var sessions [2]*peer.Session
		for i, on := range []*vnet.Net{n.caller, n.callee} {
			sessions[i] = peer.Meet(store, peer.Contact{Keys: friends[i].load, Calls: i == 0}, moving().Over(on))
			t.Cleanup(sessions[i].Close)
			t.Cleanup(n.sever)
		}
		for range 2 {
			a, b := both(t, sessions[0], sessions[1])
			talk(t, a, b)
			for range 2 {
				b.Move()
				nextA, nextB := replacedBoth(t, sessions[0], sessions[1], a, b)
				if nextA.Generation() != a.Generation() || !bytes.Equal(nextA.ContactKey(), a.ContactKey()) {
					t.Error("the keys of the call are others")
				}
				a, b = nextA, nextB
				talk(t, a, b)
			}
			roll(t, friends, a, b)
			n.outage(t, 5*time.Second, a, b)
		}
	})
}
