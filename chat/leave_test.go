package chat

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLeave(t *testing.T) {
	t.Run("who waits for the other side leaves at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			a := newTalker().run(t.Context(), nil)
			synctest.Wait()
			a.Leave()
			a.Leave() // once more is no harm
			if err := a.end(); err != nil {
				t.Error(err)
			}
			within(t, begun, 0)
		})
	})

	t.Run("who said something while waiting is told that it did not arrive", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newTalker().run(t.Context(), nil)
			say(t, a, "anybody?", "hello?")
			a.Leave()
			err := a.end()
			if _, alone := err.(*Undelivered); !alone || undelivered(err) != 2 { //nolint:errorlint // nothing is to be wrapped around it
				t.Errorf("%T: %v", err, err)
			}
		})
	})

	t.Run("the other side is told, and both end at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(4)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
			synctest.Wait()
			a.Leave()
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			within(t, begun, 0)
			equal(t, "who left is told", only[Left](a.seen()), []Left{{Reply: true}})
			equal(t, "the other side is told", only[Left](b.seen()), []Left{{Reply: false}})
		})
	})

	t.Run("what was said before it is delivered, and known to be", func(t *testing.T) {
		for _, backlog := range []int{1, 2, 100} {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				left, right := newPair(2)
				a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
				var said []string
				for i := range backlog {
					said = append(said, strconv.Itoa(i))
				}
				synctest.Wait()
				say(t, a, said...)
				a.Leave()
				if err := errors.Join(a.end(), b.end()); err != nil {
					t.Error(err)
				}
				within(t, begun, 0)
				equal(t, "arrived", texts(b.seen()), said)
				if got := len(deliveries(a.seen())); got != backlog {
					t.Errorf("%d of %d are known to be delivered", got, backlog)
				}
			})
		}
	})

	t.Run("both leave at once, in the middle of a sentence", func(t *testing.T) {
		for size := 1; size < 40; size++ { // different ways to be interrupted
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				left, right := newPair(size)
				a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
				synctest.Wait()
				say(t, a, "one", "two", "three")
				say(t, b, "uno", "due", "tre")
				a.Leave()
				b.Leave()
				readA, readB := a.end(), b.end()
				within(t, begun, 0)
				// A side that hears a goodbye says no more; what it said is
				// read by the other side, or reported as undelivered.
				for _, side := range []struct {
					err       error
					from, to  *talker
					direction string
				}{{readA, a, b, "there"}, {readB, b, a, "back"}} {
					if read, lost := len(texts(side.to.seen())), undelivered(side.err); read+lost != 3 {
						t.Errorf("%s: %d messages were read and %d are thought to be lost", side.direction, read, lost)
					}
				}
			})
		}
	})

	t.Run("two goodbyes that cross lose no acknowledgement", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(8)
			a, b := newTalker().joins(left), newTalker().joins(right)
			say(t, a, "mine")
			say(t, b, "yours")
			a.Leave()
			b.Leave()
			// Both goodbyes are out before either is read.
			next := func(e *end) func(context.Context) (Link, error) {
				return func(context.Context) (Link, error) {
					return Link{Pipe: &slowStart{e, time.After(time.Second / 2)}}, nil
				}
			}
			ends := make(chan error, 2)
			for _, s := range []struct {
				c *talker
				e *end
			}{{a, left}, {b, right}} {
				go func() {
					ends <- s.c.Run(t.Context(), next(s.e))
					s.e.hangUp()
					s.c.Close()
				}()
				go func() {
					for range s.c.Events() {
					}
				}()
			}
			if err := errors.Join(<-ends, <-ends); err != nil {
				t.Error(err)
			}
			within(t, begun, time.Second)
		})
	})

	for name, test := range map[string]struct {
		known uint64
		waits bool
	}{
		"a goodbye that does not know the last acknowledgement leaves it time to arrive": {0, true},
		"a goodbye that knows everything leaves nothing to wait for":                     {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				r.hello(hello{Conversation: "x", First: 1})
				r.say(1, "x")
				synctest.Wait()
				a.Leave()
				synctest.Wait() // it has said goodbye first
				r.write(frame{kind: kindGoodbye, seq: test.known})
				synctest.Wait()
				if waits := !isClosed(a.ended); waits != test.waits {
					t.Errorf("it waits: %v", waits)
				}
				begun := time.Now()
				for len(r.in.frames) > 0 && test.waits {
					r.read()
				}
				if err := a.end(); err != nil {
					t.Error(err)
				}
				within(t, begun, 0)
			})
		})
	}

	t.Run("who never answers is waited for two seconds", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "x", First: 1})
			say(t, a, "one", "two", "three")
			finish(t, a)
			synctest.Wait()
			r.write(frame{kind: kindAck, seq: 1})
			synctest.Wait()
			begun := time.Now()
			a.Leave()
			if err := a.end(); undelivered(err) != 2 {
				t.Errorf("it ends with %v", err)
			}
			if took := time.Since(begun); took != 2*time.Second {
				t.Errorf("after %v", took)
			}
		})
	})

	t.Run("who never takes anything is waited for two seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, _ := newPair(0)
			a := newTalker().joins(left).run(t.Context(), nil)
			say(t, a, "x")
			synctest.Wait()
			begun := time.Now()
			a.Leave()
			if err := a.end(); undelivered(err) != 1 {
				t.Errorf("it ends with %v", err)
			}
			if took := time.Since(begun); took != 2*time.Second {
				t.Errorf("after %v", took)
			}
		})
	})
}

// A slowStart pipe brings nothing in its first half second.
type slowStart struct {
	*end
	over <-chan time.Time
}

func (s *slowStart) Recv(ctx context.Context) ([]byte, error) {
	if s.over != nil {
		<-s.over
		s.over = nil
	}
	return s.end.Recv(ctx)
}

// What was said before Leave goes out before the goodbye, however the goroutines are scheduled.
func TestSayAndLeave(t *testing.T) {
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
			synctest.Wait()
			say(t, a, "one", "two")
			a.Leave()
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "the other side reads", texts(b.seen()), []string{"one", "two"})
		})
	}
}

// A message that Say has taken is read before the goodbye, or Say refuses it: not one is cut off, however the two meet.
func TestSayWhileLeaving(t *testing.T) {
	for range 2000 {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
			synctest.Wait()
			var said []string
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range 5 {
					text := strconv.Itoa(i)
					if _, err := a.Say(t.Context(), text); err == nil {
						said = append(said, text)
					}
				}
			})
			wg.Go(a.Leave)
			wg.Wait()
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "the other side reads", texts(b.seen()), said)
		})
	}
}
