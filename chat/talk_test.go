package chat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTalk(t *testing.T) {
	t.Run("both sides learn how the other calls itself", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			synctest.Wait()
			equal(t, "Ann hears", names(a), []string{"Ben"})
			equal(t, "Ben hears", names(b), []string{"Ann"})
		})
	})

	t.Run("Connected says what is known of the link", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker(), newTalker().joins(right)
			a.links <- Link{Pipe: left, Details: Details{Verified: true, SafetyWords: []string{"x", "y"}, Path: "relay", Took: time.Second}}
			a.run(t.Context(), nil)
			b.run(t.Context(), nil)
			synctest.Wait()
			got := only[Connected](a.seen())
			if len(got) != 1 || got[0].Peer != Stranger || got[0].Foreign || !got[0].Verified || len(got[0].SafetyWords) != 2 || got[0].Path != "relay" || got[0].Took != time.Second {
				t.Errorf("it says %+v", got)
			}
			a.Leave()
			<-a.ended
			<-b.ended
		})
	})

	t.Run("messages keep their order, both ways", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			var there, back []string
			var ids []uint64
			for i := range 200 {
				there, back, ids = append(there, fmt.Sprint("there ", i)), append(back, fmt.Sprint("back ", i)), append(ids, uint64(i+1))
			}
			say(t, a, there...)
			say(t, b, back...)
			synctest.Wait()
			equal(t, "Ben reads", texts(b.seen()), there)
			equal(t, "Ann reads", texts(a.seen()), back)
			equal(t, "of Ann's was delivered", deliveries(a.seen()), ids)
			equal(t, "of Ben's was delivered", deliveries(b.seen()), ids)
		})
	})

	t.Run("a message names its sender and its number", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			id, err := a.Say(t.Context(), "one")
			if id != 1 || err != nil {
				t.Errorf("the first message has ID %d (%v)", id, err)
			}
			say(t, a, "two")
			synctest.Wait()
			for i, m := range only[Message](b.seen()) {
				if m.From != "Ann" || m.ID != uint64(i+1) {
					t.Errorf("message %d: %+v", i, m)
				}
			}
		})
	})

	t.Run("what was said before there is a pipe arrives in order when there is", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker().run(t.Context(), nil), newTalker().joins(right)
			say(t, a, "one", "two")
			synctest.Wait()
			a.joins(left)
			say(t, a, "three")
			finish(t, a, b)
			b.run(t.Context(), nil)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "the other side reads", texts(b.seen()), []string{"one", "two", "three"})
		})
	})

	t.Run("a message is delivered once its reader asks for the next event", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			reading := make(chan struct{})
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right)
			b.run(t.Context(), func(e Event) bool {
				if _, ok := e.(Message); ok {
					<-reading
				}
				return true
			})
			say(t, a, "hello")
			time.Sleep(time.Hour)
			equal(t, "the reader holds", texts(b.seen()), []string{"hello"})
			equal(t, "delivered before it has asked", deliveries(a.seen()), nil)
			close(reading)
			synctest.Wait()
			equal(t, "delivered after", deliveries(a.seen()), []uint64{1})
			finish(t, a, b)
			<-a.ended
			<-b.ended
		})
	})
}

func names(c *talker) (ns []string) {
	for _, e := range only[Connected](c.seen()) {
		ns = append(ns, e.Peer)
	}
	return ns
}

func TestSay(t *testing.T) {
	t.Run("a message holds 64 KiB and not a byte more", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			most := strings.Repeat("x", 64<<10)
			say(t, a, most)
			if _, err := a.Say(t.Context(), most+"x"); !errors.Is(err, ErrTooLong) {
				t.Errorf("one byte more: %v", err)
			}
			synctest.Wait()
			equal(t, "arrived", texts(b.seen()), []string{most})
		})
	})

	t.Run("a message is UTF-8, and may be empty", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			if _, err := a.Say(t.Context(), "\xff"); !errors.Is(err, ErrNotText) {
				t.Errorf("not UTF-8: %v", err)
			}
			odd := "\x00\x1b[2J\r\n\u2028\U0001f469\u200d\U0001f680"
			say(t, a, "", odd)
			synctest.Wait()
			equal(t, "arrived", texts(b.seen()), []string{"", odd})
		})
	})

	t.Run("nothing is said after the end of the input, or after leaving", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			finish(t, a)
			if _, err := a.Say(t.Context(), "x"); !errors.Is(err, ErrOver) {
				t.Errorf("after Finish: %v", err)
			}
			if err := a.Finish(t.Context()); !errors.Is(err, ErrOver) {
				t.Errorf("a second Finish: %v", err)
			}
			b.Leave()
			if _, err := b.Say(t.Context(), "x"); !errors.Is(err, ErrOver) {
				t.Errorf("after Leave: %v", err)
			}
			<-b.ended
			if _, err := b.Say(t.Context(), "x"); !errors.Is(err, ErrOver) {
				t.Errorf("after Run: %v", err)
			}
		})
	})
}

func TestFinish(t *testing.T) {
	t.Run("when both inputs have ended, both sides end, at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(4)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
			say(t, a, "hi")
			say(t, b, "yo")
			finish(t, a, b)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			within(t, begun, 0)
			equal(t, "one side reads", texts(a.seen()), []string{"yo"})
			equal(t, "the other side reads", texts(b.seen()), []string{"hi"})
			equal(t, "one side was delivered", deliveries(a.seen()), []uint64{1})
			equal(t, "the other side was delivered", deliveries(b.seen()), []uint64{1})
		})
	})

	t.Run("one side can say more when the other side's input has ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
			finish(t, a)
			time.Sleep(time.Hour)
			say(t, b, "still here")
			synctest.Wait()
			if got := only[InputEnded](b.seen()); len(got) != 1 {
				t.Errorf("of the ended input it was told %d times", len(got))
			}
			finish(t, b)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "arrived", texts(a.seen()), []string{"still here"})
		})
	})

	t.Run("with LeaveWhenSaid, this side leaves once everything was delivered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(2)
			a, b := newTalker(leavesWhenSaid).joins(left).run(t.Context(), nil), newTalker().joins(right)
			var said []string
			for i := range 50 {
				said = append(said, strconv.Itoa(i))
			}
			say(t, a, said...)
			finish(t, a)
			synctest.Wait()
			b.run(t.Context(), func(e Event) bool {
				if _, ok := e.(Message); ok {
					time.Sleep(time.Second) // a slow reader is no reason to leave early
				}
				return true
			})
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			within(t, begun, 50*time.Second)
			equal(t, "arrived", texts(b.seen()), said)
			equal(t, "it leaves", only[Left](b.seen()), []Left{{Reply: false}})
			equal(t, "this side left early", only[Left](a.seen()), []Left{{Reply: true, Early: true}})
		})
	})

	t.Run("if both sides do so, each waits for the end of the other side's input", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(2)
			a, b := newTalker(awaitsEnd).joins(left), newTalker(awaitsEnd).joins(right)
			finish(t, a)
			a.run(t.Context(), nil)
			b.run(t.Context(), nil)
			time.Sleep(time.Hour) // an end that comes late is still awaited
			say(t, b, "late", "last")
			finish(t, b)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			within(t, begun, time.Hour)
			equal(t, "arrived", texts(a.seen()), []string{"late", "last"})
			for _, l := range append(only[Left](a.seen()), only[Left](b.seen())...) {
				if l.Early {
					t.Errorf("one side left early: %v", l)
				}
			}
		})
	})

	t.Run("the end of an earlier run's input is awaited on the next pipe, too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(2)
			a, b := newTalker(awaitsEnd).joins(left), newTalker(awaitsEnd).joins(right)
			finish(t, a)
			a.run(t.Context(), nil)
			b.run(t.Context(), nil)
			synctest.Wait()
			left.cut()
			synctest.Wait()
			left, right = newPair(2)
			a.joins(left)
			synctest.Wait()
			time.Sleep(time.Second) // no hello yet: it must not leave before it knows the other side
			b.joins(right)
			say(t, b, "after the loss")
			finish(t, b)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "arrived", texts(a.seen()), []string{"after the loss"})
		})
	})

	t.Run("a side that does not say so is not waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			left, right := newPair(2)
			a, b := newTalker(awaitsEnd).joins(left), newTalker().joins(right)
			finish(t, a)
			a.run(t.Context(), nil)
			b.run(t.Context(), nil)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			within(t, begun, 0)
			equal(t, "it is early", only[Left](a.seen()), []Left{{Reply: true, Early: true}})
		})
	})
}

func TestRunFails(t *testing.T) {
	lost := errors.New("the server is gone")
	never := func(context.Context) (Link, error) { return Link{}, lost } //nolint:unparam // what Run wants

	t.Run("an error before any pipe is that of Run", func(t *testing.T) {
		if err := New(Config{}).Run(t.Context(), never); err != lost { //nolint:errorlint // nothing is to be wrapped around it
			t.Errorf("it is %v", err)
		}
	})

	t.Run("what was said and not sent is counted beside it", func(t *testing.T) {
		for said, want := range map[int]string{1: "the server is gone, and 1 message was not delivered", 3: "the server is gone, and 3 messages were not delivered"} {
			c := newTalker()
			for range said {
				say(t, c, "x")
			}
			finish(t, c) // no message
			err := c.Run(t.Context(), never)
			if !errors.Is(err, lost) || undelivered(err) != said || err.Error() != want {
				t.Errorf("after %d messages: %v", said, err)
			}
			if got := undelivered(fmt.Errorf("in room x: %w", err)); got != said {
				t.Errorf("wrapped once more it counts %d", got)
			}
		}
	})

	t.Run("a cancelled context ends it, before and after there is a pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			for _, joined := range []bool{false, true} {
				left, right := newPair(4)
				ctx, cancel := context.WithCancel(t.Context())
				a, b := newTalker(), newTalker().joins(right).run(t.Context(), nil)
				if joined {
					a.joins(left)
				}
				a.run(ctx, nil)
				synctest.Wait()
				cancel()
				if err := a.end(); err != context.Canceled { //nolint:errorlint // nothing is to be wrapped around it
					t.Errorf("joined %v: %v", joined, err)
				}
				b.Leave()
				left.hangUp()
				if err := b.end(); err != nil {
					t.Errorf("the other side: %v", err)
				}
			}
			within(t, begun, 0)
		})
	})
}
