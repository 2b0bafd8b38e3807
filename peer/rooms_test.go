package peer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// stale returns a valid description of a program that is gone.
func stale(t *testing.T, side signaling.Side) signaling.Description {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := pc.CreateDataChannel("chat", nil); err != nil {
		t.Fatal(err)
	}
	d, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if side == signaling.Caller {
		return asJSON(t, d)
	}
	return describing(t, side, strings.ReplaceAll(d.SDP, "a=setup:actpass", "a=setup:active"))
}

func describing(t *testing.T, side signaling.Side, sdp string) signaling.Description {
	t.Helper()
	return asJSON(t, map[string]any{"type": side.String(), "sdp": sdp})
}

// post writes a description as a program that does nothing else.
func post(t *testing.T, at signaling.Store, room string, side signaling.Side, d signaling.Description) signaling.Ticket {
	t.Helper()
	ticket := signaling.NewTicket(room, side)
	var err error
	if side == signaling.Caller {
		_, err = at.Offer(soon(t), ticket, d)
	} else {
		_, err = at.Answer(soon(t), ticket, "", d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestTheNewestOffer(t *testing.T) {
	t.Run("a dead caller's offer in the lobby gives way to a fresh one", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		post(t, store, signaling.Lobby, signaling.Caller, stale(t, signaling.Caller))
		config, events := telling()
		callee := answering(t, store, signaling.Lobby, config)
		await[peer.Connecting](t, events) // to a program that is gone
		caller := calling(t, store, signaling.Lobby, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
	})

	t.Run("any number of dead callers do not make a callee give up", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		config, events := telling()
		callee := answering(t, store, signaling.Lobby, config)
		for range 2 * peer.Attempts {
			post(t, store, signaling.Lobby, signaling.Caller, stale(t, signaling.Caller))
			await[peer.Connecting](t, events) // to a program that is gone
		}
		caller := calling(t, store, signaling.Lobby, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
	})

	t.Run("a caller who closes the room after as many attempts is given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			callee := n.answers(t, store, signaling.Lobby, config)
			var caller signaling.Ticket
			for range peer.Attempts + 1 {
				caller = post(t, store, signaling.Lobby, signaling.Caller, stale(t, signaling.Caller))
				await[peer.Connecting](t, events) // to a program that is gone
				if _, _, err := store.Description(soon(t), signaling.Ticket{Room: signaling.Lobby}, signaling.Callee, "", signaling.Forever); err != nil {
					t.Fatal("no answer: ", err)
				}
			}
			if err := store.Close(soon(t), caller); err != nil {
				t.Fatal(err)
			}
			_ = fails(t, callee, peer.ErrNoPath)
		})
	})

	t.Run("a dead caller's room ends by itself, though a callee waits in it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{Idle: time.Minute})
			post(t, store, room, signaling.Caller, stale(t, signaling.Caller))
			callee := n.answers(t, store, room, quiet())
			time.Sleep(2 * time.Minute)
			caller := n.calls(t, store, room, quiet())
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
		})
	})

	t.Run("a caller that is replaced in the lobby hears of it", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		config, events := telling()
		first := calling(t, store, signaling.Lobby, config)
		await[peer.Waiting](t, events)
		second := calling(t, store, signaling.Lobby, quiet())
		if err := fails(t, first, peer.ErrReplaced); err.Error() != peer.ErrReplaced.Error() {
			t.Errorf("a person is told: %v", err)
		}
		callee := answering(t, store, signaling.Lobby, quiet())
		talk(t, pipeOf(t, second), pipeOf(t, callee))
	})

	t.Run("any other room has one caller", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		config, events := telling()
		first := calling(t, store, room, config)
		await[peer.Waiting](t, events)
		_ = fails(t, calling(t, store, room, quiet()), signaling.ErrOccupied)
		callee := answering(t, store, room, quiet())
		talk(t, pipeOf(t, first), pipeOf(t, callee))
	})

	t.Run("a room whose name is none is refused to both", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		_ = fails(t, calling(t, store, "no room", quiet()), signaling.ErrInvalid)
		_ = fails(t, answering(t, store, "no room", quiet()), signaling.ErrInvalid)
	})
}

func TestTaken(t *testing.T) {
	t.Run("a callee who comes too late is told, and gets the next call", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		other := post(t, store, room, signaling.Caller, stale(t, signaling.Caller))
		post(t, store, room, signaling.Callee, stale(t, signaling.Callee))
		config, events := telling()
		callee := answering(t, store, room, config)
		await[peer.Taken](t, events)
		if err := store.Close(soon(t), other); err != nil {
			t.Fatal(err)
		}
		caller := calling(t, store, room, quiet())
		talk(t, pipeOf(t, caller), pipeOf(t, callee))
	})

	t.Run("of two who wait each gets a call", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		var callees []*peer.Session
		for range 2 {
			config, events := telling()
			callees = append(callees, answering(t, store, room, config))
			await[peer.Waiting](t, events)
		}
		pipes := make(chan *peer.Pipe, 2)
		for _, callee := range callees {
			go func() {
				p, err := callee.Pipe(soon(t))
				if err != nil {
					t.Error(err)
				}
				pipes <- p
			}()
		}
		for range 2 {
			caller := calling(t, store, room, quiet())
			talk(t, pipeOf(t, caller), <-pipes)
			eventually(t, "the room is free", func() bool { return !stands(t, store) })
		}
	})
}

func TestACalleeThatDied(t *testing.T) {
	t.Run("the caller offers again, and the next callee connects", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			caller := n.calls(t, store, room, config)
			await[peer.Waiting](t, events)
			post(t, store, room, signaling.Callee, stale(t, signaling.Callee))
			if e := await[peer.Retrying](t, events); !errors.Is(e.Err, peer.ErrNoPath) {
				t.Errorf("it tries again because of %v", e.Err)
			}
			callee := n.answers(t, store, room, quiet())
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
		})
	})

	t.Run("one that died in the middle of the handshake too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 10*time.Millisecond), memstore.New(memstore.Limits{})
			config, events := telling()
			caller := n.calls(t, store, room, config)
			await[peer.Waiting](t, events)
			dying, died := telling()
			first := answering(t, store, room, dying.Over(n.callee))
			await[peer.Connecting](t, died)
			await[peer.Connecting](t, events)
			n.cut.Store(true)
			first.Close()
			n.cut.Store(false)
			callee := n.answers(t, store, room, quiet())
			await[peer.Retrying](t, events)
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
		})
	})
}

func TestCandidatesOfAnEarlierCallee(t *testing.T) {
	n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
	s := newStranger(t, store, n.caller, signaling.Caller)
	s.channel(t, "a name of its own")
	offer, err := s.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.describe(t, offer)
	earlier := post(t, store, signaling.Lobby, signaling.Callee, stale(t, signaling.Callee))
	theirs := slices.Repeat([]signaling.Candidate{signaling.Candidate(`{"candidate":"","usernameFragment":"gone"}`)}, 5)
	if _, err := store.AddCandidates(soon(t), earlier, 0, theirs...); err != nil {
		t.Fatal(err)
	}
	callee := n.answers(t, store, signaling.Lobby, quiet())
	list, err := store.Candidates(soon(t), s.ticket(), signaling.Callee, len(theirs), signaling.Forever)
	if err != nil || !strings.Contains(string(signaling.JoinCandidates(list)), " typ host") {
		t.Fatalf("after those of the earlier one there is %q, %v", list, err)
	}
	s.take(t, s.await(t))
	s.read(t)
	texts(t, pipeOf(t, callee), s)
}
