package chat

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestStuckReader(t *testing.T) {
	// stick makes a talker whose reader got stuck after hello, with more to read than
	// fits, and returns what frees it.
	stick := func(t *testing.T, e *end, r raw) (a *talker, free func()) {
		stuck := make(chan struct{})
		a = newTalker().joins(e).run(t.Context(), func(Event) bool {
			<-stuck
			return true
		})
		go func() {
			_ = r.Send(t.Context(), []byte("\x01{}"))
			for seq := uint64(1); seq < 200; seq++ {
				b, _ := frame{kind: kindMessage, seq: seq, text: "x"}.encode()
				if r.Send(t.Context(), b) != nil {
					return
				}
			}
		}()
		synctest.Wait()
		return a, func() { close(stuck) }
	}
	left := func(t *testing.T, a *talker, free func()) {
		t.Helper()
		begun := time.Now()
		a.Leave()
		time.Sleep(goodbyeTimeout)
		synctest.Wait()
		a.Tell(Notice{}) // must not wait
		within(t, begun, goodbyeTimeout)
		free()
		if err := a.end(); err != nil {
			t.Error(err)
		}
		within(t, begun, goodbyeTimeout)
	}

	t.Run("does not keep this side from leaving", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			mine, yours := newPair(4)
			a, free := stick(t, mine, raw{yours, t})
			left(t, a, free)
		})
	})

	t.Run("does not keep this side from leaving after the pipe broke", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			mine, yours := newPair(4)
			a, free := stick(t, mine, raw{yours, t})
			mine.cut()
			synctest.Wait()
			left(t, a, free)
		})
	})

	t.Run("does not keep a cancelled context from ending Run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stuck, begun := make(chan struct{}), time.Now()
			c := New(Config{})
			go func() {
				for range c.Events() {
					<-stuck
				}
			}()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- c.Run(ctx, func(context.Context) (Link, error) {
					e, _ := newPair(4)
					e.cut()
					return Link{Pipe: e}, nil
				})
			}()
			synctest.Wait()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("it ends with %v", err)
			}
			within(t, begun, 0)
			close(stuck)
			c.Close()
		})
	})
}

func TestReaderStops(t *testing.T) {
	t.Run("then this side leaves, at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(4)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right)
			b.run(t.Context(), func(e Event) bool {
				_, message := e.(Message)
				return !message
			})
			say(t, a, "not for me")
			if err := b.end(); err != nil {
				t.Errorf("who stopped reading: %v", err)
			}
			if err := a.end(); undelivered(err) != 1 {
				t.Errorf("the other side: %v", err)
			}
			within(t, begun, 0)
			equal(t, "the other side is told", only[Left](a.seen()), []Left{{Reply: false}})
		})
	})

	t.Run("at the goodbye, it is answered all the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(4)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right)
			b.run(t.Context(), func(e Event) bool {
				_, goodbye := e.(Left)
				return !goodbye
			})
			synctest.Wait()
			say(t, a, "one")
			a.Leave()
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			within(t, begun, 0)
		})
	})

	t.Run("Tell does not wait for it", func(t *testing.T) {
		synctest.Test(t, func(*testing.T) {
			c := New(Config{})
			c.Tell(Notice{})
			for range c.Events() {
				break
			}
			for range 1000 {
				c.Tell(Notice{})
			}
			c.Close()
			c.Tell(Notice{})
		})
	})

	t.Run("who is only late learns what there is room for", func(t *testing.T) {
		c := New(Config{})
		c.stopEvents()
		for range 30 {
			c.Tell(Notice{})
		}
		if got := len(c.events); got != 30 {
			t.Errorf("%d of 30 events are there", got)
		}
	})

	t.Run("nothing that the other side says is taken after something that was dropped", func(t *testing.T) {
		c := newTalker().Conversation
		c.stopEvents()
		for range cap(c.events) + 1 {
			c.Tell(Notice{})
		}
		c.handleFrame(frame{kind: kindMessage, seq: 1, text: "dropped"})
		for range cap(c.events) {
			<-c.events
		}
		c.handleFrame(frame{kind: kindMessage, seq: 2, text: "no longer next"})
		if len(c.events) > 0 {
			t.Errorf("the reader gets %v", <-c.events)
		}
	})

	t.Run("Close ends the reading once what was told has been read, and Tell is idle then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := New(Config{})
			for range 50 {
				c.Tell(Notice{})
			}
			c.Close()
			n := 0
			for range c.Events() {
				n++
			}
			if n != 50 {
				t.Errorf("%d of 50 events were read", n)
			}
			for range 1000 {
				c.Tell(Notice{})
			}
		})
	})
}
