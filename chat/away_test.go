package chat

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A page that its browser closes or reloads says so.
func TestAway(t *testing.T) {
	t.Run("a page that does not come back has left", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(good)
			say(t, a, "never read")
			r.write(frame{kind: kindAway, seq: 20})
			synctest.Wait()
			r.hangUp()
			synctest.Wait()
			if got := only[Disconnected](a.seen()); len(got) != 1 || !strings.HasPrefix(got[0].Reason, "the other side closed or reloaded its page. If the page is not back within 20 s,") {
				t.Errorf("of the loss it hears %v", got)
			}
			begun := time.Now()
			if err := a.end(); undelivered(err) != 1 {
				t.Errorf("it ends with %v", err)
			}
			if took := time.Since(begun); took != 20*time.Second {
				t.Errorf("it ends after %v", took)
			}
			equal(t, "of the end it hears", only[Left](a.seen()), []Left{{Closed: true}})
		})
	})

	t.Run("a page that comes back goes on", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(good)
			r.write(frame{kind: kindAway, seq: 20})
			synctest.Wait()
			r.hangUp()
			time.Sleep(19 * time.Second) // in the bubble
			left, right := newPair(64)
			a.joins(left)
			back := raw{right, t}
			back.hello(good)
			synctest.Wait()
			right.hangUp() // without a word this time: that is a loss like others
			time.Sleep(time.Hour)
			equal(t, "of the losses it hears", only[Disconnected](a.seen())[1:], []Disconnected{{Reason: errHungUp.Error()}})
			equal(t, "of the end it hears", only[Left](a.seen()), nil)
		})
	})

	t.Run("no page is waited for longer than a minute", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(good)
			r.write(frame{kind: kindAway, seq: 1 << 63})
			synctest.Wait()
			r.hangUp()
			begun := time.Now()
			_ = a.end()
			if took := time.Since(begun); took != time.Minute {
				t.Errorf("it ends after %v", took)
			}
		})
	})
}
