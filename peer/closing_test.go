package peer_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

func TestClosing(t *testing.T) {
	t.Run("the other side's Recv says io.EOF, and its session waits for it to come back", func(t *testing.T) {
		for _, first := range []string{"the caller", "the callee"} {
			t.Run(first, func(t *testing.T) {
				store := memstore.New(memstore.Limits{})
				from, to := calling(t, store, room, quiet()), answering(t, store, room, quiet())
				if first == "the callee" {
					from, to = to, from
				}
				pipeOf(t, from)
				p := pipeOf(t, to)
				from.Close()
				if _, err := p.Recv(soon(t)); !errors.Is(err, io.EOF) {
					t.Errorf("Recv says %v, want %v", err, io.EOF)
				}
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				defer cancel()
				if p, err := to.Pipe(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the session has %v and says %v", p, err)
				}
			})
		}
	})

	t.Run("Recv says io.EOF after what was sent before, and again", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		from, to := calling(t, store, room, quiet()), answering(t, store, room, quiet())
		caller, callee := pipeOf(t, from), pipeOf(t, to)
		send(t, callee, "bye")
		if err := callee.Flush(soon(t)); err != nil {
			t.Fatal(err)
		}
		to.Close()
		hears(t, caller, "bye")
		for range 2 {
			if _, err := caller.Recv(soon(t)); !errors.Is(err, io.EOF) {
				t.Errorf("it says %v, want %v", err, io.EOF)
			}
		}
		if err := caller.Send(soon(t), []byte("too late")); err == nil {
			t.Error("it could still send")
		}
	})

	t.Run("a pipe of one's own that is closed says io.EOF", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		from := calling(t, store, room, quiet())
		answering(t, store, room, quiet())
		p := pipeOf(t, from)
		from.Close()
		from.Close() // once more does no harm
		if _, err := p.Recv(soon(t)); !errors.Is(err, io.EOF) {
			t.Errorf("Recv says %v, want %v", err, io.EOF)
		}
		if err := p.Send(soon(t), nil); err == nil {
			t.Error("it could still send")
		}
		_ = fails(t, from, context.Canceled)
	})

	t.Run("the side that is left ends in little more than the time of a packet", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, 10*time.Millisecond), memstore.New(memstore.Limits{})
			from, to := n.calls(t, store, room, quiet()), n.answers(t, store, room, quiet())
			pipeOf(t, from)
			p := pipeOf(t, to)
			begun := time.Now()
			from.Close()
			if _, err := p.Recv(soon(t)); !errors.Is(err, io.EOF) {
				t.Errorf("Recv says %v, want %v", err, io.EOF)
			}
			to.Close()
			if took := time.Since(begun); took > 100*time.Millisecond {
				t.Errorf("it took %v", took)
			}
		})
	})

	t.Run("waiting for a pipe ends with the context", func(t *testing.T) {
		s := calling(t, memstore.New(memstore.Limits{}), room, quiet())
		why := errors.New("no patience")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if _, err := s.Pipe(ctx); !errors.Is(err, why) {
			t.Errorf("it says %v, want %v", err, why)
		}
	})
}

// A session may be closed at any time: under synctest, a goroutine that it left would
// fail the test.
func TestClosingInEveryPhase(t *testing.T) {
	t.Run("before the servers are known", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := memstore.New(memstore.Limits{})
			config := quiet().Over(newNetwork(t, 0).caller)
			config.Discover = func(ctx context.Context, _ signaling.Ticket, _ time.Duration) ([]signaling.ICEServer, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			for _, s := range []*peer.Session{calling(t, store, room, config), answering(t, store, room, config)} {
				synctest.Wait()
				s.Close()
			}
		})
	})

	t.Run("before the server has answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := memstore.New(memstore.Limits{})
			s := calling(t, mute{store}, room, quiet().Over(newNetwork(t, 0).caller))
			synctest.Wait()
			if !stands(t, store) {
				t.Fatal("the server has no offer yet")
			}
			s.Close()
			if stands(t, store) {
				t.Error("the room is not given back")
			}
		})
	})

	t.Run("while it waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := memstore.New(memstore.Limits{})
			n := newNetwork(t, 0)
			caller := n.calls(t, store, room, quiet())
			callee := n.answers(t, store, "elsewhere", quiet())
			synctest.Wait()
			caller.Close()
			callee.Close()
			if stands(t, store) {
				t.Error("the room is not given back")
			}
		})
	})

	t.Run("while it connects", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := memstore.New(memstore.Limits{})
			n := newNetwork(t, 0)
			n.sever()
			config, events := telling()
			caller := n.calls(t, store, room, config)
			callee := n.answers(t, store, room, quiet())
			await[peer.Connecting](t, events)
			caller.Close()
			callee.Close()
			if stands(t, store) {
				t.Error("the room is not given back")
			}
		})
	})

	t.Run("in the middle of the handshake, at any time", func(t *testing.T) {
		const delay = 10 * time.Millisecond
		for after := time.Duration(0); after < 12*delay; after += delay / 2 {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New(memstore.Limits{})
				n := newNetwork(t, delay)
				caller, callee := n.connect(t, store)
				ctx, cancel := context.WithTimeout(context.Background(), after)
				defer cancel()
				<-ctx.Done()
				n.sever()
				caller.Close()
				if stands(t, store) {
					t.Errorf("after %v the room is not given back", after)
				}
				callee.Close()
			})
		}
	})

	t.Run("once connected, before the pipe was taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := memstore.New(memstore.Limits{})
			n := newNetwork(t, 0)
			caller, callee := n.connect(t, store)
			pipeOf(t, caller)
			n.sever()
			caller.Close()
			callee.Close()
			if stands(t, store) {
				t.Error("the room is not given back")
			}
		})
	})

	t.Run("a server that does not answer holds up a Close for two seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := calling(t, stuck{memstore.New(memstore.Limits{})}, room, quiet().Over(newNetwork(t, 0).caller))
			synctest.Wait()
			begun := time.Now()
			s.Close()
			if took := time.Since(begun); took != 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	})
}

// mute takes offers, and does not say so.
type mute struct{ signaling.Store }

func (m mute) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	if _, err := m.Store.Offer(ctx, t, d); err != nil {
		return "", err
	}
	<-ctx.Done()
	return "", ctx.Err()
}

// stuck never answers who wants to close a room.
type stuck struct{ signaling.Store }

func (stuck) Close(ctx context.Context, _ signaling.Ticket) error {
	<-ctx.Done()
	return ctx.Err()
}
