package chat

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/reliable"
)

func TestBackpressure(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		least int
		most  int // with what is on its way: the pipe and the events
	}{
		"of many":  {"x", reliable.MaxFrames, reliable.MaxFrames},
		"of large": {strings.Repeat("x", MaxMessage), reliable.MaxBytes / MaxMessage, reliable.MaxBytes / MaxMessage},
	} {
		t.Run(name+" messages: Say waits for a reader that never reads, until its context ends", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left, right := newPair(4)
				free := make(chan struct{})
				a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right)
				b.run(t.Context(), func(Event) bool {
					<-free
					return true
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				n := 0
				for {
					_, err := a.Say(ctx, test.text)
					if err != nil {
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Error(err)
						}
						break
					}
					n++
				}
				if n < test.least || n > test.most {
					t.Errorf("%d messages were taken, not %d to %d", n, test.least, test.most)
				}
				close(free) // the reader reads after all
				say(t, a, test.text)
				finish(t, a, b)
				if err := errors.Join(a.end(), b.end()); err != nil {
					t.Error(err)
				}
				if got := len(texts(b.seen())); got != n+1 {
					t.Errorf("%d of %d messages were read", got, n+1)
				}
			})
		})
	}

	t.Run("Leave ends a Say that waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newTalker()
			for range reliable.MaxFrames {
				say(t, a, "x")
			}
			waiting := make(chan error)
			for range 3 {
				go func() {
					_, err := a.Say(t.Context(), "one more")
					waiting <- err
				}()
			}
			synctest.Wait()
			a.Leave()
			for range 3 {
				if err := <-waiting; !errors.Is(err, ErrOver) {
					t.Error(err)
				}
			}
		})
	})
}

func TestManyAtOnce(t *testing.T) {
	t.Run("ten thousand messages each way over a pipe that holds two", func(t *testing.T) {
		const messages = 10000
		left, right := newPair(2)
		a, b := newTalker().joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
		for _, c := range []*talker{a, b} {
			go func() {
				for range messages {
					if _, err := c.Say(t.Context(), "x"); err != nil {
						t.Error(err)
						return
					}
				}
				if err := c.Finish(t.Context()); err != nil {
					t.Error(err)
				}
			}()
		}
		if err := errors.Join(a.end(), b.end()); err != nil {
			t.Error(err)
		}
		for _, c := range []*talker{a, b} {
			for i, m := range only[Message](c.seen()) {
				if m.ID != uint64(i+1) {
					t.Fatalf("message %d comes after %d others", m.ID, i)
				}
			}
			if read, told := len(texts(c.seen())), len(deliveries(c.seen())); read != messages || told != messages {
				t.Errorf("%d read, %d delivered", read, told)
			}
		}
	})
}
