package chat

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/reliable"
)

// withForeign is a talker whose other side speaks plain text, and is played by the
// test.
func withForeign(t *testing.T, size int, options []option, f func(t *testing.T, a *talker, r raw)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(size)
		a := newTalker(options...)
		a.links <- Link{Pipe: left, Details: Details{Foreign: true}}
		a.run(t.Context(), nil)
		synctest.Wait()
		f(t, a, raw{right, t})
		a.Leave()
		<-a.ended
	})
}

// wire is what has come so far, as it is.
func (r raw) wire() (all []string) {
	for synctest.Wait(); len(r.in.frames) > 0; synctest.Wait() {
		all = append(all, string(<-r.in.frames))
	}
	return all
}

func TestForeign(t *testing.T) {
	t.Run("texts go both ways, and nothing else goes out", func(t *testing.T) {
		withForeign(t, 16, nil, func(t *testing.T, a *talker, r raw) {
			r.send([]byte("hello"))
			r.send([]byte("\x01{}")) // a text like any other
			r.send(nil)
			say(t, a, "one", "two", "")
			finish(t, a)
			equal(t, "the other side gets", r.wire(), []string{"one", "two", ""})
			got := only[Message](a.seen())
			equal(t, "this side reads", texts(a.seen()), []string{"hello", "\x01{}", ""})
			for i, m := range got {
				if m.ID != uint64(i+1) || m.From != Stranger {
					t.Errorf("message %d: %+v", i, m)
				}
			}
			if c := only[Connected](a.seen()); len(c) != 1 || !c[0].Foreign || c[0].Peer != Stranger {
				t.Errorf("it is connected with %+v", c)
			}
			equal(t, "delivered, which it cannot know", deliveries(a.seen()), nil)
		})
	})

	t.Run("what is not UTF-8 is dropped, with a line in the log", func(t *testing.T) {
		withForeign(t, 4, nil, func(t *testing.T, a *talker, r raw) {
			r.send([]byte{0xff, 0xfe})
			r.send([]byte("text"))
			synctest.Wait()
			equal(t, "this side reads", texts(a.seen()), []string{"text"})
			if log := a.log.String(); strings.Count(log, "dropped what the other side sent") != 1 {
				t.Errorf("the log says %q", log)
			}
		})
	})

	t.Run("its closing is its goodbye", func(t *testing.T) {
		withForeign(t, 4, nil, func(t *testing.T, a *talker, r raw) {
			r.send([]byte("bye"))
			synctest.Wait()
			r.hangUp()
			if err := a.end(); err != nil {
				t.Error(err)
			}
			equal(t, "this side is told", only[Left](a.seen()), []Left{{}})
			equal(t, "of a loss", only[Disconnected](a.seen()), nil)
		})
	})

	t.Run("its closing before anything was said is an error", func(t *testing.T) {
		withForeign(t, 4, nil, func(t *testing.T, a *talker, r raw) {
			synctest.Wait()
			r.hangUp()
			if err := a.end(); !errors.Is(err, ErrUnsaid) {
				t.Errorf("it ends with %v", err)
			}
		})
	})

	t.Run("what it never took is not delivered", func(t *testing.T) {
		withForeign(t, 1, nil, func(t *testing.T, a *talker, r raw) {
			say(t, a, "one", "two", "three")
			synctest.Wait()
			r.hangUp()
			if err := a.end(); undelivered(err) != 3 { // one may be on its way, but has not arrived
				t.Errorf("it ends with %v", err)
			}
		})
	})

	t.Run("what was sent on a channel that works is delivered when it is closed", func(t *testing.T) {
		withForeign(t, 8, nil, func(t *testing.T, a *talker, r raw) {
			r.send([]byte("hello"))
			say(t, a, "one", "two")
			synctest.Wait()
			r.hangUp()
			if err := a.end(); err != nil {
				t.Errorf("it ends with %v", err)
			}
		})
	})

	t.Run("what it has, and did not answer, is delivered", func(t *testing.T) {
		withForeign(t, 1, nil, func(t *testing.T, a *talker, r raw) {
			say(t, a, "one", "two", "three")
			for range 3 {
				if _, err := r.Recv(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			r.hangUp()
			if err := a.end(); err != nil {
				t.Errorf("this side ends with %v", err)
			}
		})
	})

	t.Run("the end of this side's input ends nothing", func(t *testing.T) {
		withForeign(t, 4, nil, func(t *testing.T, a *talker, r raw) {
			finish(t, a)
			time.Sleep(time.Hour)
			r.send([]byte("still here"))
			synctest.Wait()
			equal(t, "this side reads", texts(a.seen()), []string{"still here"})
			equal(t, "the other side gets", r.wire(), nil)
		})
	})

	for how, leave := range map[string]func(*talker){
		"LeaveWhenSaid": func(a *talker) { _ = a.Finish(context.Background()) },
		"Leave":         func(a *talker) { a.Leave() },
	} {
		t.Run("with "+how+", this side leaves once the other side has everything", func(t *testing.T) {
			withForeign(t, 1, []option{leavesWhenSaid}, func(t *testing.T, a *talker, r raw) {
				begun := time.Now()
				say(t, a, "one", "two", "three")
				leave(a)
				var got []string
				for range 3 {
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
					if isClosed(a.ended) {
						t.Error("it left too early")
					}
					b, err := r.Recv(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, string(b))
				}
				if err := a.end(); err != nil {
					t.Error(err)
				}
				within(t, begun, 300*time.Millisecond)
				equal(t, "the other side gets", got, []string{"one", "two", "three"})
				if _, err := r.Recv(t.Context()); err == nil || errors.Is(err, context.Canceled) {
					t.Errorf("then the pipe is not closed: %v", err)
				}
			})
		})
	}
}

// Files that wait for room in the outbox are offered, and refused, once a plain program has what was said before.
func TestFilesQueuedForForeign(t *testing.T) {
	path := create(t, "data", noise(5))
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(16)
		a := newTalker(leavesWhenSaid)
		for range reliable.MaxFrames {
			say(t, a, "x")
		}
		const files = maxOffers + 1
		if err := a.MustSend(t.Context(), slices.Repeat([]string{path}, files)...); err != nil {
			t.Fatal(err)
		}
		a.links <- Link{Pipe: left, Details: Details{Foreign: true}}
		a.run(t.Context(), nil)
		go func() {
			for {
				if _, err := right.Recv(t.Context()); err != nil {
					return
				}
			}
		}()
		finish(t, a)
		synctest.Wait()
		if !isClosed(a.ended) {
			t.Errorf("it does not leave; files are pending: %v", a.transfers.Pending())
			a.Leave()
		}
		missed := 0
		if i := (*Incomplete)(nil); errors.As(a.end(), &i) {
			missed = i.Files
		}
		if missed != files {
			t.Errorf("%d files are missed, not %d", missed, files)
		}
		equal(t, "the reader is told", failures(a), slices.Repeat([]string{ErrNoFiles.Error()}, files))
	})
}
