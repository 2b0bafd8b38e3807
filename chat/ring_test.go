package chat

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRinging(t *testing.T) {
	t.Run("a caller waits for as long as it rings, and is told once", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			ctx, cancel := context.WithCancel(t.Context())
			rung := make(chan error, 1)
			go func() {
				_, err := Ring(ctx, r.end)
				rung <- err
			}()
			time.Sleep(time.Minute)
			cancel()
			if err := <-rung; err != nil {
				t.Error(err)
			}
			r.hello(good)
			synctest.Wait()
			if isClosed(a.ended) || len(only[Ringing](a.seen())) != 1 || len(only[Connected](a.seen())) != 1 {
				t.Errorf("it hears %v", a.seen())
			}
			r.write(frame{kind: kindRinging, seq: 1}) // too late to mean anything
			r.say(1, "hi")
			synctest.Wait()
			if n := len(only[Message](a.seen())); n != 1 {
				t.Errorf("it hears %d messages", n)
			}
		})
	})

	t.Run("a caller whose connection moves while it rings is told that it is connected", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := newTalker(named("Ann")).run(t.Context(), nil), newTalker(named("Ben"))
			left, right := newPair(4)
			replaced := make(chan struct{})
			a.links <- Link{Pipe: left, Replaced: replaced, Details: Details{Path: "relay", Verified: true}}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := Ring(ctx, right); err != nil {
				t.Fatal(err)
			}
			close(replaced)
			left, right = newPair(4)
			a.links <- Link{Pipe: left, Details: Details{Path: "host", Verified: true}}
			b.joins(right).run(t.Context(), nil)
			synctest.Wait()
			if got := only[Connected](a.seen()); len(got) != 1 || got[0].Path != "host" || !got[0].Verified || len(only[Moved](a.seen())) > 0 {
				t.Errorf("it hears %v", a.seen())
			}
			a.Leave()
			b.Leave()
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("a caller who is declined, or not answered, is told so and loses nothing", func(t *testing.T) {
		for missed, want := range map[bool]error{false: ErrDeclined, true: ErrUnanswered} {
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				say(t, a, "one")
				if err := Decline(t.Context(), r.end, missed); err != nil {
					t.Error(err)
				}
				if err := a.end(); !errors.Is(err, want) || undelivered(err) != 1 || !a.Resumable() {
					t.Errorf("it ends with %v", err)
				}
			})
		}
	})

	t.Run("keys that were stored for a declined call go, and only for that", func(t *testing.T) {
		for declines, want := range map[bool]int{true: 1, false: 0} {
			kept := &shelf{}
			synctest.Test(t, func(t *testing.T) {
				left, right := newPair(64)
				a := newTalker(named("Ann"), func(_ *talker, c *Config) { c.Keeper, c.Contact = kept, "ben" })
				a.links <- Link{Pipe: left, ContactKey: []byte("key"), Shows: "new keys", Details: Details{Verified: true}}
				a.run(t.Context(), nil)
				r := raw{right, t}
				r.write(frame{kind: kindRinging})
				if declines {
					r.write(frame{kind: kindDeclined})
				}
				_ = a.end() // how it ends is tested above
				right.hangUp()
			})
			if len(kept.declined) != want || want == 1 && kept.declined[0] != "new keys" {
				t.Errorf("declined: %v, and %q go", declines, kept.declined)
			}
		}
	})

	t.Run("a caller who hangs up is heard at once, and its keys go", func(t *testing.T) {
		kept := &shelf{}
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(64)
			a := newTalker(named("Ann"), func(_ *talker, c *Config) { c.Keeper, c.Contact = kept, "ben" })
			a.links <- Link{Pipe: left, ContactKey: []byte("key"), Shows: "new keys", Details: Details{Verified: true}}
			say(t, a, "one")
			a.run(t.Context(), nil)
			rung := make(chan error, 1)
			go func() {
				_, err := Ring(t.Context(), right)
				rung <- err
			}()
			time.Sleep(time.Minute)
			begun := time.Now()
			a.Leave()
			if err := <-rung; !errors.Is(err, ErrHungUp) {
				t.Errorf("Ring returns %v", err)
			}
			if err := Decline(t.Context(), right, true); err != nil {
				t.Error(err)
			}
			if err := a.end(); undelivered(err) != 1 || errors.Is(err, ErrUnanswered) {
				t.Errorf("the caller ends with %v", err)
			}
			within(t, begun, 0)
			right.hangUp()
		})
		if len(kept.declined) != 1 {
			t.Errorf("declined: %v", kept.declined)
		}
	})

	t.Run("a side that declines does not close the pipe before the caller knows", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			declined := make(chan error, 1)
			go func() { declined <- Decline(t.Context(), r.end, false) }()
			if err := a.end(); !errors.Is(err, ErrDeclined) {
				t.Errorf("it ends with %v", err)
			}
			if err := <-declined; err != nil {
				t.Error(err)
			}
			left, right := newPair(4) // a caller that does not react
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			go func() { _, _ = left.Recv(ctx) }()
			begun := time.Now()
			if err := Decline(ctx, right, false); err != nil || time.Since(begun) != time.Second {
				t.Errorf("after %v: %v", time.Since(begun), err)
			}
		})
	})

	t.Run("what a caller says while it rings is heard once, in order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(64)
			a, b := newTalker(named("Ann")).joins(left).run(t.Context(), nil), newTalker(named("Ben"))
			say(t, a, "one")
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, cancel)
			time.AfterFunc(30*time.Second, func() { say(t, a, "two") })
			p, err := Ring(ctx, right)
			if err != nil {
				t.Fatal(err)
			}
			b.links <- Link{Pipe: p}
			b.run(t.Context(), nil)
			say(t, a, "three")
			a.Leave()
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "heard", texts(b.seen()), []string{"one", "two", "three"})
		})
	})

	t.Run("a caller who says too much while it rings is held to a bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(64)
			for range 64 {
				_ = left.Send(t.Context(), make([]byte, mostHeld/8-heldMessage)) // there is room
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			p, err := Ring(ctx, right)
			if rung, ok := p.(*rungPipe); err != nil || !ok || len(rung.held) != 8 {
				t.Errorf("it holds %v, %v", p, err)
			}
		})
	})

	t.Run("a caller gives up when its patience ends, says goodbye, and its keys go", func(t *testing.T) {
		kept := &shelf{}
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(64)
			begun := time.Now()
			a := newTalker(named("Ann"), func(_ *talker, c *Config) { c.Keeper, c.Contact = kept, "ben" })
			a.links <- Link{Pipe: left, ContactKey: []byte("key"), Shows: "new keys", Details: Details{Verified: true}, AnswerBy: begun.Add(5 * time.Second)}
			say(t, a, "one")
			a.run(t.Context(), nil)
			if _, err := Ring(t.Context(), right); !errors.Is(err, ErrHungUp) {
				t.Errorf("Ring returns %v", err)
			}
			within(t, begun.Add(5*time.Second), 0)
			if err := Decline(t.Context(), right, true); err != nil {
				t.Error(err)
			}
			if err := a.end(); !errors.Is(err, ErrUnanswered) || undelivered(err) != 1 {
				t.Errorf("the caller ends with %v", err)
			}
			right.hangUp()
		})
		if len(kept.declined) != 1 {
			t.Errorf("declined: %v", kept.declined)
		}
	})

	t.Run("a side that rings for ever is given up", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			begun := time.Now()
			_, err := Ring(t.Context(), r.end)
			if end := a.end(); !errors.Is(end, ErrUnanswered) || err == nil {
				t.Errorf("it ends with %v, and Ring with %v", end, err)
			}
			within(t, begun, longestRing+ringInterval)
		})
	})

	t.Run("a side that stops ringing is given up", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.write(frame{kind: kindRinging})
			begun := time.Now()
			if err := a.end(); !errors.Is(err, ErrUnanswered) {
				t.Errorf("it ends with %v", err)
			}
			within(t, begun, helloTimeout)
		})
	})
}
