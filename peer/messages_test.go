package peer_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// pattern returns a message of n bytes that differs from all others.
func pattern(n int, which uint32) []byte {
	m := make([]byte, n)
	for i := 0; i+4 <= n; i += 4 {
		binary.BigEndian.PutUint32(m[i:], which*2654435761+uint32(i))
	}
	return m
}

func TestMessages(t *testing.T) {
	t.Run("messages of all sizes arrive whole and in order, both ways at once", func(t *testing.T) {
		caller, callee := connected(t)
		var messages [][]byte
		for round := range uint32(4) {
			for i, size := range []int{0, 1, 64 << 10, peer.MaxMessage, 16<<10 + 1, 0} {
				messages = append(messages, pattern(size, 10*round+uint32(i)))
			}
		}
		var wg sync.WaitGroup
		for _, ends := range [][2]*peer.Pipe{{caller, callee}, {callee, caller}} {
			wg.Go(func() {
				for _, m := range messages {
					if err := ends[0].Send(soon(t), m); err != nil {
						t.Error("sending: ", err)
						return
					}
				}
			})
			wg.Go(func() {
				for i, want := range messages {
					got, err := ends[1].Recv(soon(t))
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("message %d: %d bytes, want %d; %v", i, len(got), len(want), err)
						return
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("a received message does not change", func(t *testing.T) {
		caller, callee := connected(t)
		send(t, caller, "first")
		first, err := callee.Recv(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		send(t, caller, "2nd")
		hears(t, callee, "2nd")
		if string(first) != "first" {
			t.Errorf("it is %q now", first)
		}
	})

	t.Run("a message over the limit is refused, and the pipe goes on", func(t *testing.T) {
		caller, callee := connected(t)
		for _, p := range []*peer.Pipe{caller, callee} {
			if err := p.Send(soon(t), make([]byte, peer.MaxMessage+1)); err == nil {
				t.Error("it was taken")
			}
		}
		talk(t, caller, callee)
	})
}

func TestBackpressure(t *testing.T) {
	// What the two machines hold of one direction: the receiver's buffer, and a
	// message each on the way in and out.
	const held = 4<<20 + 2*peer.MaxMessage

	t.Run("Send waits for a side that does not receive, and goes on with it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			from, to := newNetwork(t, time.Millisecond).connect(t, memstore.New(memstore.Limits{}))
			caller, callee := pipeOf(t, from), pipeOf(t, to)
			sent := fill(t, caller)
			if bytes := sent * 64 << 10; bytes > held {
				t.Errorf("%d bytes went out and were not received, want %d at most", bytes, held)
			}
			send(t, callee, "the other way is free")
			hears(t, caller, "the other way is free")

			var wg sync.WaitGroup
			wg.Go(func() { send(t, caller, "at last") })
			for i := range sent {
				m, err := callee.Recv(soon(t))
				if err != nil || !bytes.Equal(m, pattern(64<<10, uint32(i))) {
					t.Fatalf("message %d of %d: %d bytes, %v", i, sent, len(m), err)
				}
			}
			hears(t, callee, "at last")
			wg.Wait()
		})
	})

	t.Run("a Send that waits is ended by Close, and by the other side's", func(t *testing.T) {
		for _, which := range []string{"this side", "the other side"} {
			t.Run(which, func(t *testing.T) {
				store := memstore.New(memstore.Limits{})
				from, to := calling(t, store, room, quiet()), answering(t, store, room, quiet())
				caller := pipeOf(t, from)
				pipeOf(t, to)
				closes := map[string]*peer.Session{"this side": from, "the other side": to}[which]
				failed := make(chan error)
				var sent atomic.Int64
				go func() {
					for ; ; sent.Add(1) {
						if err := caller.Send(context.Background(), make([]byte, 64<<10)); err != nil {
							failed <- err
							return
						}
					}
				}()
				eventually(t, "most of what the other side holds is sent", func() bool { return sent.Load() > 60 })
				closes.Close()
				select {
				case err := <-failed:
					t.Log("it says ", err)
				case <-soon(t).Done():
					t.Error("it still waits")
				}
			})
		}
	})

	t.Run("a Send that waits is ended when the other machine falls silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, time.Millisecond)
			from, to := n.connect(t, memstore.New(memstore.Limits{}))
			caller := pipeOf(t, from)
			pipeOf(t, to)
			fill(t, caller)
			n.sever()
			if err := caller.Send(context.Background(), []byte("one more")); !errors.Is(err, peer.ErrLost) {
				t.Errorf("it says %v, want %v", err, peer.ErrLost)
			}
		})
	})
}

// fill sends messages of 64 KiB until nothing moves for ten seconds, and returns how
// many went out.
func fill(t *testing.T, p *peer.Pipe) (sent int) {
	t.Helper()
	for ; ; sent++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := p.Send(ctx, pattern(64<<10, uint32(sent)))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return sent
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndingByContext(t *testing.T) {
	t.Run("a Recv that ends leaves the next message to the next Recv", func(t *testing.T) {
		caller, callee := connected(t)
		for i := range 50 {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error)
			go func() {
				m, err := callee.Recv(ctx)
				if m != nil {
					err = errors.New("received " + string(m))
				}
				ended <- err
			}()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatal("it says ", err)
			}
			text := strconv.Itoa(i)
			send(t, caller, text)
			hears(t, callee, text)
		}
	})

	t.Run("a context that ends as a call returns does not end the next call", func(t *testing.T) {
		caller, callee := connected(t)
		for i := range 500 {
			ctx, cancel := context.WithCancel(context.Background())
			text := strconv.Itoa(i)
			send(t, caller, text)
			received := make(chan struct{})
			go func() {
				<-received
				cancel()
			}()
			go close(received)
			m, err := callee.Recv(ctx)
			switch {
			case errors.Is(err, context.Canceled):
				hears(t, callee, text)
			case err != nil || string(m) != text:
				t.Fatalf("received %q, %v", m, err)
			}
			cancel()
		}
	})
}

func TestFlush(t *testing.T) {
	t.Run("what was flushed arrives, though the pipe is closed at once", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		from, to := calling(t, store, room, quiet()), answering(t, store, room, quiet())
		caller, callee := pipeOf(t, from), pipeOf(t, to)
		const messages = 200
		for i := range messages {
			send(t, caller, strconv.Itoa(i))
		}
		if err := caller.Flush(soon(t)); err != nil {
			t.Fatal(err)
		}
		from.Close()
		for i := range messages {
			hears(t, callee, strconv.Itoa(i))
		}
	})

	t.Run("nothing to flush is no wait", func(t *testing.T) {
		caller, _ := connected(t)
		if err := caller.Flush(soon(t)); err != nil {
			t.Error(err)
		}
	})

	t.Run("the pipe goes on after any number of them, and they leave nothing behind", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			from, to := newNetwork(t, time.Millisecond).connect(t, memstore.New(memstore.Limits{}))
			caller, callee := pipeOf(t, from), pipeOf(t, to)
			for range 5 {
				if err := caller.Flush(soon(t)); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					talk(t, caller, callee)
				}
			}
		})
	})

	t.Run("the context ends it, and so does silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, time.Millisecond)
			from, _ := n.connect(t, memstore.New(memstore.Limits{}))
			caller := pipeOf(t, from)
			n.sever()
			send(t, caller, "into the void")
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := caller.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it says %v, want %v", err, context.DeadlineExceeded)
			}
			if err := caller.Flush(soon(t)); !errors.Is(err, peer.ErrLost) {
				t.Errorf("it says %v, want %v", err, peer.ErrLost)
			}
		})
	})
}
