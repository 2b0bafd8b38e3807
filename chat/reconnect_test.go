package chat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReconnect(t *testing.T) {
	t.Run("the reader hears of both the loss and the next pipe", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			synctest.Wait()
			a.ends[0].cut()
			synctest.Wait()
			if got := only[Disconnected](a.seen()); len(got) != 1 || got[0].Reason != errCut.Error() {
				t.Errorf("of the loss it hears %v", got)
			}
			if got := only[Reconnected](a.seen()); len(got) != 0 {
				t.Errorf("too early it hears %v", got)
			}
			left, right := newPair(4)
			a.joins(left)
			b.joins(right)
			synctest.Wait()
			if got := only[Reconnected](a.seen()); len(got) != 1 {
				t.Errorf("of the next pipe it hears %v", got)
			}
			equal(t, "and who is there", names(a), []string{"Ben", "Ben"})
		})
	})

	t.Run("a pipe that is closed without a goodbye is a loss", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			synctest.Wait()
			a.ends[0].hangUp()
			synctest.Wait()
			if got := only[Disconnected](b.seen()); len(got) != 1 || got[0].Reason != errHungUp.Error() {
				t.Errorf("it hears %v", got)
			}
		})
	})

	t.Run("Leave in between ends it at once", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			begun := time.Now()
			synctest.Wait()
			a.ends[0].cut()
			say(t, b, "are you there?")
			synctest.Wait()
			b.Leave()
			if err := b.end(); undelivered(err) != 1 {
				t.Errorf("it ends with %v", err)
			}
			within(t, begun, 0)
		})
	})

	t.Run("nothing is lost, doubled or reordered, and every delivery is told once", func(t *testing.T) {
		const messages = 500
		seeds := uint64(60)
		if testing.Short() {
			seeds = 10
		}
		for seed := range seeds {
			options := [][]option{nil, {unbundled}}[seed%2]
			synctest.Test(t, func(t *testing.T) { breakAndTalk(t, seed, messages, options...) })
		}
	})

	t.Run("what was not read when the pipe broke is not yet delivered on the next", func(t *testing.T) {
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
			say(t, a, "one", "two")
			synctest.Wait()
			left.cut()
			left, right = newPair(4)
			a.joins(left)
			b.joins(right)
			synctest.Wait()
			equal(t, "delivered before it was read", deliveries(a.seen()), nil)
			close(reading)
			finish(t, a, b)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "read", texts(b.seen()), []string{"one", "two"})
			equal(t, "delivered", deliveries(a.seen()), []uint64{1, 2})
		})
	})
}

// breakAndTalk lets two talk over pipes that break at random, until all is said.
func breakAndTalk(t *testing.T, seed uint64, messages int, options ...option) {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same every time
	a, b := newTalker(options...).run(t.Context(), nil), newTalker().run(t.Context(), nil)
	said := func(c *talker, who string) (all []string) {
		pauses := rand.New(rand.NewPCG(seed, uint64(len(who)))) //nolint:gosec // the same every time
		for i := range messages {
			all = append(all, fmt.Sprint(who, " ", i))
		}
		go func() {
			for _, text := range all {
				if pauses.IntN(4) == 0 {
					time.Sleep(time.Duration(pauses.IntN(1000)) * time.Microsecond)
				}
				if _, err := c.Say(t.Context(), text); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
			if err := c.Finish(t.Context()); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}()
		return all
	}
	there, back := said(a, "there"), said(b, "back")
	pipes := 0
	for over := false; !over; pipes++ {
		left, right := newPair(r.IntN(5))
		a.joins(left)
		b.joins(right)
		if pipes == 40 {
			break // this one holds
		}
		select {
		case <-time.After(time.Duration(r.IntN(10000)) * time.Microsecond):
			left.cut()
		case <-a.ended:
			over = true
		}
	}
	if err := errors.Join(a.end(), b.end()); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	var ids []uint64
	for i := range messages {
		ids = append(ids, uint64(i+1))
	}
	what := fmt.Sprintf("seed %d, %d pipes", seed, pipes)
	equal(t, what+": there", texts(b.seen()), there)
	equal(t, what+": back", texts(a.seen()), back)
	equal(t, what+": delivered there", deliveries(a.seen()), ids)
	equal(t, what+": delivered back", deliveries(b.seen()), ids)
	if d, c := len(only[Disconnected](a.seen())), len(only[Reconnected](a.seen())); d != c {
		t.Errorf("%s: %d losses, %d new pipes", what, d, c)
	}
	for _, c := range []*talker{a, b} {
		if log := c.log.String(); log != "" {
			t.Errorf("%s: the log says %.500s", what, log)
		}
	}
}

func TestRestart(t *testing.T) {
	// restarted is Ann's second pipe, on which Ben's program is a new one; each is
	// called with what Ann reads.
	restarted := func(t *testing.T, before func(a, b *talker), each func(Event) bool, after func(a, b *talker)) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(16)
			a, b := newTalker(named("Ann")).joins(left).run(t.Context(), each), newTalker(named("Ben"))
			ctx, die := context.WithCancel(t.Context())
			b.joins(right).run(ctx, nil)
			before(a, b)
			die()
			<-b.ended
			left, right = newPair(16)
			a.joins(left)
			b = newTalker(named("Ben again")).joins(right).run(t.Context(), nil)
			after(a, b)
			a.Leave()
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
		})
	}

	t.Run("a restarted program's messages count from 1, and the other side's go on", func(t *testing.T) {
		restarted(t, func(a, b *talker) {
			say(t, a, "to the old one")
			say(t, b, "1", "2", "3")
			synctest.Wait()
		}, nil, func(a, b *talker) {
			say(t, a, "to the new one")
			say(t, b, "uno", "due")
			synctest.Wait()
			equal(t, "Ann reads", texts(a.seen()), []string{"1", "2", "3", "uno", "due"})
			equal(t, "the new one reads", texts(b.seen()), []string{"to the new one"})
			equal(t, "of Ann's was delivered", deliveries(a.seen()), []uint64{1, 2})
			equal(t, "of the new one's was delivered", deliveries(b.seen()), []uint64{1, 2})
			equal(t, "Ann hears", names(a), []string{"Ben", "Ben again"})
		})
	})

	t.Run("what the old program did not acknowledge goes to the new one", func(t *testing.T) {
		restarted(t, func(a, b *talker) {
			say(t, a, "read")
			synctest.Wait()
			b.ends[0].cut()
			synctest.Wait()
			say(t, a, "unread")
		}, nil, func(a, b *talker) {
			synctest.Wait()
			equal(t, "the new one reads", texts(b.seen()), []string{"unread"})
			equal(t, "delivered", deliveries(a.seen()), []uint64{1, 2})
		})
	})

	t.Run("an ended input of the old one is not that of the new one", func(t *testing.T) {
		restarted(t, func(_, b *talker) {
			finish(t, b)
			synctest.Wait()
		}, nil, func(a, b *talker) {
			say(t, b, "still here")
			synctest.Wait()
			finish(t, a)
			synctest.Wait()
			if isClosed(a.ended) {
				t.Error("the conversation is over")
			}
			equal(t, "Ann reads", texts(a.seen()), []string{"still here"})
		})
	})

	t.Run("reading what the old one said acknowledges nothing of the new one", func(t *testing.T) {
		var reading chan struct{}
		restarted(t, func(_, b *talker) {
			reading = make(chan struct{}, 3) // of this bubble
			say(t, b, "1", "2", "3")
			synctest.Wait()
		}, func(e Event) bool {
			if m, ok := e.(Message); ok && !strings.HasPrefix(m.Text, "new") {
				<-reading
			}
			return true
		}, func(_, b *talker) {
			say(t, b, "new 1", "new 2", "new 3")
			synctest.Wait()
			reading <- struct{}{} // for the first two of the old ones
			reading <- struct{}{}
			synctest.Wait()
			equal(t, "delivered before it was read", deliveries(b.seen()), nil)
			reading <- struct{}{}
			synctest.Wait()
			equal(t, "delivered after", deliveries(b.seen()), []uint64{1, 2, 3})
		})
	})
}

func TestHello(t *testing.T) {
	t.Run("says where this side goes on", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			if h := r.read().hello; h.Conversation != a.stream.ID() || h.Name != "Ann" || h.First != 1 || h.Heard != 0 || h.Of != "" {
				t.Errorf("the first hello: %+v", h)
			}
			r.hello(hello{Conversation: "mine", Name: "Ben", First: 5})
			r.say(5, "x")
			say(t, a, "one", "two")
			synctest.Wait()
			r.write(frame{kind: kindAck, seq: 1})
			synctest.Wait()
			r.cut()
			left, right := newPair(4)
			a.joins(left)
			if h := (raw{right, t}).read().hello; h.Conversation != a.stream.ID() || h.First != 2 || h.Heard != 5 || h.Of != "mine" {
				t.Errorf("the second hello: %+v", h)
			}
			right.cut()
		})
	})

	t.Run("with what was heard of another conversation is not believed", func(t *testing.T) {
		for of, delivered := range map[string]int{"another": 0, "": 0, "this": 2} {
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				say(t, a, "one", "two")
				if of == "this" {
					of = a.stream.ID()
				}
				r.hello(hello{Conversation: "x", First: 1, Heard: 2, Of: of})
				synctest.Wait()
				if got := len(deliveries(a.seen())); got != delivered {
					t.Errorf("heard of %q: %d messages count as delivered, not %d", of, got, delivered)
				}
			})
		}
	})

	t.Run("of this side fits, whatever its name", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a := newTalker(named(strings.Repeat("<", 10000))).joins(left).run(t.Context(), nil)
			if h := (raw{right, t}).read(); h.kind != kindHello {
				t.Errorf("it says %v", h)
			}
			a.Leave()
			right.hangUp()
			<-a.ended
		})
	})
}
