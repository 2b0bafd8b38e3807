package chat

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSilent(t *testing.T) {
	t.Run("a side that never says hello ends the conversation after ten seconds", func(t *testing.T) {
		for what, send := range map[string]func(r raw){
			"nothing":     func(raw) {},
			"plain text":  func(r raw) { r.send([]byte("hello")) },
			"other kinds": func(r raw) { r.say(1, "hello") },
		} {
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				begun := time.Now()
				send(r)
				time.Sleep(helloTimeout - 1)
				synctest.Wait()
				if isClosed(a.ended) {
					t.Errorf("%s: it ends too early", what)
				}
				if err := a.end(); err != ErrSilent { //nolint:errorlint // nothing is to be wrapped around it
					t.Errorf("%s: it ends with %v", what, err)
				}
				within(t, begun, 10*time.Second)
				equal(t, what+": of a loss it hears", only[Disconnected](a.seen()), nil)
			})
		}
	})

	t.Run("however much it sends instead", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			begun := time.Now()
			for r.Send(t.Context(), []byte{0}) == nil {
				time.Sleep(time.Millisecond)
			}
			if err := a.end(); !errors.Is(err, ErrSilent) {
				t.Errorf("it ends with %v", err)
			}
			within(t, begun, helloTimeout+time.Millisecond)
		})
	})

	t.Run("what was said to it is counted beside it", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, _ raw) {
			say(t, a, "one", "two")
			if err := a.end(); !errors.Is(err, ErrSilent) || undelivered(err) != 2 {
				t.Errorf("it ends with %v", err)
			}
		})
	})

	t.Run("a hello just in time is enough, for as long as the pipe holds", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			time.Sleep(helloTimeout - 1)
			r.hello(good)
			time.Sleep(time.Hour)
			r.say(1, "still here")
			synctest.Wait()
			equal(t, "this side reads", texts(a.seen()), []string{"still here"})
		})
	})

	t.Run("leaving does not wait for a hello", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, _ raw) {
			begun := time.Now()
			a.Leave()
			if err := a.end(); err != nil {
				t.Errorf("it ends with %v", err)
			}
			within(t, begun, goodbyeTimeout)
		})
	})

	t.Run("a side whose reader is stuck says hello, and hears one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stuck := make(chan struct{})
			left, right := newPair(4)
			a, b := newTalker(named("Ann")).joins(left).run(t.Context(), nil), newTalker(named("Ben")).joins(right)
			b.run(t.Context(), func(Event) bool {
				<-stuck
				return true
			})
			synctest.Wait()
			for range cap(b.Conversation.events) - 1 {
				b.Tell(Notice{})
			}
			left.cut() // the loss is told, and then there is no room for the next pipe
			left, right = newPair(4)
			a.joins(left)
			b.joins(right)
			time.Sleep(time.Hour)
			close(stuck)
			finish(t, a, b)
			if err := errors.Join(a.end(), b.end()); err != nil {
				t.Error(err)
			}
			equal(t, "it hears", names(b), []string{"Ann", "Ann"})
			equal(t, "the other side hears", names(a), []string{"Ben", "Ben"})
		})
	})
}
