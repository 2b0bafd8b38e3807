package peer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"

	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A keeper is one side of two who have kept each other: its keys are on its disk.
type keeper struct {
	mu   sync.Mutex // guards what follows
	keys contact.Keys
}

func (k *keeper) load() contact.Keys {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

// rolls stores the keys of a connection.
func (k *keeper) rolls(t *testing.T, p *peer.Pipe) string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	next, err := k.keys.Roll(p.Generation(), p.ContactKey())
	if err != nil {
		t.Fatal(err)
	}
	k.keys = next
	return next.ID()
}

func (k *keeper) shown(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = k.keys.Show(id)
}

// friends returns two who have kept each other.
func friends(secret byte) [2]*keeper {
	key, nonce := bytes.Repeat([]byte{secret}, contact.KeySize), make([]byte, contact.NonceSize)
	return [2]*keeper{{keys: contact.Keep(contact.First, key, nonce, nonce)}, {keys: contact.Keep(contact.Second, key, nonce, nonce)}}
}

// meets starts a Session of k.
func (k *keeper) meets(at signaling.Store, calls bool, on *vnet.Net) *peer.Session {
	return peer.Meet(at, peer.Contact{Keys: k.load, Calls: calls}, quiet().Over(on))
}

// roll makes both sides store the keys of a call, and show that they have.
func roll(t *testing.T, both [2]*keeper, a, b *peer.Pipe) {
	t.Helper()
	first, second := both[0].rolls(t, a), both[1].rolls(t, b)
	if first != second {
		t.Fatalf("after the call their keys are %s and %s", first, second)
	}
	both[0].shown(second)
	both[1].shown(first)
}

func TestContactsWhoCallAtOnce(t *testing.T) {
	eachSeed(t, peer.Long[uint64](200, 20), func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 16)) //nolint:gosec // the same each time
		n, store, both := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), friends(1)
		for range 2 { // the second call is with the keys of the first
			order := random.Perm(2)
			var sessions [2]*peer.Session
			for _, side := range order {
				sessions[side] = both[side].meets(store, true, []*vnet.Net{n.caller, n.callee}[side])
				time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
			}
			a, b := pipeOf(t, sessions[0]), pipeOf(t, sessions[1])
			talk(t, a, b)
			if !a.Verified || !b.Verified {
				t.Error("the call is not verified")
			}
			roll(t, both, a, b)
			n.cut.Store(true) // see network.calls
			for _, s := range sessions {
				s.Close()
			}
			n.cut.Store(false)
		}
	})
}

// A contact whose program was killed while it called finds its own offer, and replaces it: also if the other side has answered that already.
func TestAContactCallsAgainAfterAKill(t *testing.T) {
	for _, answered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, store, both := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), friends(1)
			killed := both[0].meets(unclosing{store}, true, n.caller)
			synctest.Wait()
			killed.Close()
			var callee *peer.Session
			if answered {
				callee = both[1].meets(store, false, n.callee)
				time.Sleep(time.Second)
			}
			caller := both[0].meets(store, true, n.caller)
			synctest.Wait()
			if !answered {
				callee = both[1].meets(store, false, n.callee)
			}
			begun := time.Now()
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("answered before: %t; they meet after %s", answered, took)
			}
			n.cut.Store(true) // see network.calls
			caller.Close()
			callee.Close()
		})
	}
}

func TestContactsMeet(t *testing.T) {
	for _, c := range []struct {
		name   string
		calls  [2]bool
		before func(*testing.T, [2]*keeper)
		apart  time.Duration // the second side comes so much later
	}{
		{name: "the first calls", calls: [2]bool{true, false}},
		{name: "the second calls", calls: [2]bool{false, true}},
		{name: "some hours later", calls: [2]bool{true, false}, apart: 3*time.Hour + 20*time.Minute},
		{name: "the caller comes some hours later", calls: [2]bool{false, true}, apart: 5 * time.Hour},
		{name: "both call, some hours apart", calls: [2]bool{true, true}, apart: 7 * time.Hour},
		{name: "the first was killed before it had the new keys", calls: [2]bool{true, false}, before: ahead(1)},
		{name: "the second was killed before it had the new keys", calls: [2]bool{true, false}, before: ahead(0)},
		{name: "the first was killed, and calls too", calls: [2]bool{true, true}, before: ahead(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store, both := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), friends(2)
				if c.before != nil {
					c.before(t, both)
				}
				t.Cleanup(n.sever)
				first := both[0].meets(store, c.calls[0], n.caller)
				t.Cleanup(first.Close)
				time.Sleep(c.apart)
				second := both[1].meets(store, c.calls[1], n.callee)
				t.Cleanup(second.Close)
				a, b := pipeOf(t, first), pipeOf(t, second)
				talk(t, a, b)
				roll(t, both, a, b)
				n.outage(t, 5*time.Second, a, b)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				a, b = again(t, ctx, first, second)
				talk(t, a, b)
				roll(t, both, a, b)
			})
		})
	}
}

// ahead lets side have stored the keys of a call that the other side has not: a kill came between.
func ahead(side int) func(*testing.T, [2]*keeper) {
	return func(t *testing.T, both [2]*keeper) {
		t.Helper()
		next, err := both[side].keys.Roll(both[side].keys.ID(), bytes.Repeat([]byte{9}, contact.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		both[side].keys = next
	}
}

// again waits for the next pipe of both.
func again(t *testing.T, ctx context.Context, first, second *peer.Session) (a, b *peer.Pipe) {
	t.Helper()
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() { a, errs[0] = first.Pipe(ctx) })
	wg.Go(func() { b, errs[1] = second.Pipe(ctx) })
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal("they do not meet again: ", err)
		}
	}
	return a, b
}

// One who has copied the keys of a side can meet in its place before the next call, and not after it.
func TestAStolenContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store, both := newNetwork(t, 5*time.Millisecond), memstore.New(memstore.Limits{}), friends(3)
		stolen := both[1].load()
		first, second := both[0].meets(store, true, n.caller), both[1].meets(store, false, n.callee)
		a, b := pipeOf(t, first), pipeOf(t, second)
		talk(t, a, b)
		roll(t, both, a, b)
		n.cut.Store(true)
		first.Close()
		second.Close()
		n.cut.Store(false)

		t.Cleanup(n.sever)
		victim := both[0].meets(store, true, n.caller)
		t.Cleanup(victim.Close)
		thief := (&keeper{keys: stolen}).meets(store, false, n.callee)
		t.Cleanup(thief.Close)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Hour)
		defer cancel()
		if p, err := thief.Pipe(ctx); err == nil {
			t.Error("the thief meets the victim: ", p.SafetyWords)
		}
		old, err := json.Marshal(stolen)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range both[0].load().Generations {
			if root, _ := json.Marshal(g.Root); bytes.Contains(old, root) {
				t.Error("the stolen file has the root of after the call")
			}
		}
	})
}
