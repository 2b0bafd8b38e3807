package peer_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// The page has the same vectors: see TestPageParts in cmd/p2pchat.
func TestRendezvous(t *testing.T) {
	b, err := os.ReadFile("testdata/next.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Key, Secret, Room, Next string }
	if err := json.Unmarshal(b, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for _, v := range vectors {
		key, err := hex.DecodeString(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := peer.Rendezvous(key, peer.Code{Secret: v.Secret}), (peer.Code{Room: v.Room, Secret: v.Next}); got != want {
			t.Errorf("after %q they meet again at %+v, want %+v", v.Secret, got, want)
		}
	}
}

// Two programs whose state is on disk, at a server that does not lie.
func twoPrograms(t *testing.T) (*network, []*program) {
	t.Helper()
	n, store := newNetwork(t, 5*time.Millisecond), newGuesser(nil, nil)
	both := []*program{{side: signaling.Caller, store: store, n: n}, {side: signaling.Callee, store: store, n: n}}
	for _, p := range both {
		p.start()
	}
	return n, both
}

// meet waits until both have heard each other on a connection that is newer than before, and have the same key for contacts.
func meet(both []*program, before [2]peer.Code) bool {
	for range 600 {
		a, b := both[0].saved(), both[1].saved()
		if a.Heard && b.Heard && a.Rendezvous == b.Rendezvous && a.Rendezvous != before[0] && b.Rendezvous != before[1] {
			return len(a.Contact) == 32 && bytes.Equal(a.Contact, b.Contact)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

func TestKilledBetweenTwoSecrets(t *testing.T) {
	eachSeed(t, peer.Long[uint64](40, 8), func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 10)) //nolint:gosec // the same each time
		n, both := twoPrograms(t)
		if !meet(both, [2]peer.Code{}) {
			t.Fatal("they do not meet at first")
		}
		for range 6 { // at any step of a meeting, which takes some 60 ms after the loss was noticed
			n.cut.Store(true)
			time.Sleep(5 * time.Second)
			n.cut.Store(false)
			for range 1 + random.IntN(3) {
				time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
				p := both[random.IntN(2)]
				p.stop()
				time.Sleep(time.Duration(random.IntN(3)) * 2 * time.Second)
				p.start()
			}
		}
		n.cut.Store(true)
		time.Sleep(5 * time.Second)
		before := [2]peer.Code{both[0].saved().Rendezvous, both[1].saved().Rendezvous}
		n.cut.Store(false)
		if !meet(both, before) {
			t.Errorf("seed %d: they do not meet again: %+v and %+v", seed, both[0].saved(), both[1].saved())
		}
		for _, p := range both {
			p.stop()
		}
	})
}

// A stolen outbox lets a thief in until the two have met once more, and not after that.
func TestAStolenOutbox(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, both := twoPrograms(t)
			if !meet(both, [2]peer.Code{}) {
				t.Fatal("they do not meet")
			}
			stolen := both[1].saved()
			if late {
				n.cut.Store(true)
				time.Sleep(5 * time.Second)
				n.cut.Store(false)
				if !meet(both, [2]peer.Code{stolen.Rendezvous, stolen.Rendezvous}) {
					t.Fatal("they do not meet again")
				}
			}
			both[1].stop()
			time.Sleep(5 * time.Second)
			config := quiet()
			config.Resume = &stolen
			thief := n.answers(t, both[0].store, right, config)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			p, err := thief.Pipe(ctx)
			if in := p != nil; in == late {
				t.Errorf("two meetings later: %v; the thief is in: %v (%v)", late, in, err)
			}
			n.sever()
			thief.Close()
			both[0].stop()
		})
	}
}
