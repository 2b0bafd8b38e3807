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
			go func() { rung <- Ring(ctx, r.end) }()
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

	t.Run("a side that rings for ever is given up", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			begun := time.Now()
			err := Ring(t.Context(), r.end)
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
