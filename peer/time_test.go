package peer_test

import (
	"errors"
	"strconv"
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

// The budget of a meeting: how many round trips there are between a callee who comes
// and two open pipes, at a Store that takes no time. It may shrink.
func TestRoundTrips(t *testing.T) {
	const (
		rtt    = 100 * time.Millisecond
		caller = 5 * rtt / 2 // from the offer: a check, DTLS 1.2 in two, and the rest on its way
		callee = 3 * rtt     // and the caller's channel, announced
	)
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, rtt/2), memstore.New(memstore.Limits{})
		config, events := telling()
		from := n.calls(t, store, room, config)
		await[peer.Waiting](t, events)
		begun := time.Now()
		to := n.answers(t, store, room, quiet())
		pipeOf(t, from)
		tookCaller := time.Since(begun)
		pipeOf(t, to)
		tookCallee := time.Since(begun)
		if tookCaller > caller || tookCallee > callee {
			t.Errorf("open after %v and %v, want %v and %v", tookCaller, tookCallee, caller, callee)
		}
		t.Logf("round trips: %.2f for the caller, %.2f for the callee", float64(tookCaller)/float64(rtt), float64(tookCallee)/float64(rtt))
	})
}

// A STUN or TURN server that is dead, or whose name is unknown, costs no time.
func TestDeadServers(t *testing.T) {
	took := func(t *testing.T, servers ...signaling.ICEServer) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 50*time.Millisecond), memstore.New(memstore.Limits{})
			config := quiet()
			config.ICEServers = servers
			from, to := n.calls(t, store, right, config), n.answers(t, store, right, config)
			begun := time.Now()
			caller, callee := both(t, from, to)
			took = time.Since(begun)
			talk(t, caller, callee)
		})
		return took
	}
	without := took(t)
	for _, dead := range []string{"stun:10.0.0.99:3478", "turn:10.0.0.99:3478", "stun:nobody.invalid:3478", "turn:nobody.invalid:3478"} {
		with := took(t, signaling.ICEServer{URLs: []string{dead}, Username: "user", Credential: "password"})
		if with > without+60*time.Millisecond { // a round of checks, which may begin a moment before or after an answer comes
			t.Errorf("with %s it takes %v, without %v", dead, with, without)
		}
	}
}

func TestSilence(t *testing.T) {
	t.Run("a machine that falls silent is noticed within 3 seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, 10*time.Millisecond)
			from, to := n.connect(t, memstore.New(memstore.Limits{}))
			caller, callee := pipeOf(t, from), pipeOf(t, to)
			talk(t, caller, callee)
			n.sever()
			begun := time.Now()
			for _, p := range []*peer.Pipe{caller, callee} {
				_, err := p.Recv(soon(t))
				if took := time.Since(begun); !errors.Is(err, peer.ErrLost) || took < 2*time.Second || took > 3*time.Second {
					t.Errorf("after %v Recv says %v, want %v", took, err, peer.ErrLost)
				}
			}
			if err := caller.Send(soon(t), nil); !errors.Is(err, peer.ErrLost) {
				t.Errorf("Send says %v, want %v", err, peer.ErrLost)
			}
		})
	})

	t.Run("two seconds without a packet lose nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, 10*time.Millisecond)
			from, to := n.connect(t, memstore.New(memstore.Limits{}))
			caller, callee := pipeOf(t, from), pipeOf(t, to)
			const messages, pace, outage = 600, 10 * time.Millisecond, 2 * time.Second
			var wg sync.WaitGroup
			wg.Go(func() {
				tick := time.NewTicker(pace)
				defer tick.Stop()
				for i := range messages {
					<-tick.C
					send(t, caller, strconv.Itoa(i))
				}
			})
			time.AfterFunc(time.Second, func() { n.cut.Store(true) })
			time.AfterFunc(time.Second+outage, func() { n.cut.Store(false) })
			begun := time.Now()
			for i := range messages {
				hears(t, callee, strconv.Itoa(i))
			}
			wg.Wait()
			if took := time.Since(begun); took > messages*pace+outage {
				t.Errorf("they took %v", took)
			}
			talk(t, caller, callee)
		})
	})
}

func TestNoPath(t *testing.T) {
	t.Run("two machines that cannot reach each other are told so, after three attempts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 10*time.Millisecond), memstore.New(memstore.Limits{})
			n.sever()
			config, events := telling()
			begun := time.Now()
			from, to := n.calls(t, store, room, config), n.answers(t, store, room, quiet())
			if err := fails(t, from, peer.ErrNoPath); !strings.Contains(err.Error(), "this side gave its own addresses; the other side its own addresses") {
				t.Errorf("it says %v", err)
			}
			_ = fails(t, to, peer.ErrNoPath)
			if tried := await[peer.Trying](t, events); tried.This != "its own addresses" || tried.Other != tried.This {
				t.Errorf("it tries %+v", tried)
			}
			if took := time.Since(begun); took > peer.Attempts*10*time.Second {
				t.Errorf("it took %v", took)
			}
			for range peer.Attempts - 1 {
				await[peer.Retrying](t, events)
			}
			from.Close()
			if stands(t, store) {
				t.Error("the room is not given back")
			}
		})
	})

	t.Run("where only the checks get through, an attempt has its limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, 10*time.Millisecond)
			n.router.AddChunkFilter(func(c vnet.Chunk) bool { return len(c.UserData()) == 0 || c.UserData()[0] < 20 || c.UserData()[0] > 63 }) // DTLS (RFC 7983)
			begun := time.Now()
			from, to := n.connect(t, memstore.New(memstore.Limits{}))
			_ = fails(t, from, peer.ErrNoPath)
			_ = fails(t, to, peer.ErrNoPath)
			if took := time.Since(begun); took < peer.Attempts*peer.ConnectLimit || took > peer.Attempts*(peer.ConnectLimit+time.Second) {
				t.Errorf("it took %v, want three times %v", took, peer.ConnectLimit)
			}
		})
	})
}
