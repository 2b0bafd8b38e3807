package chat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// moveAndTalk gives two talkers one pipe after another, each of which takes the place of the one before. Both leave at a
// random moment, when all is said.
func moveAndTalk(t *testing.T, seed uint64, messages int, early bool) {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same every time
	random := func(most int) { time.Sleep(time.Duration(r.IntN(most)) * time.Microsecond) }
	a, b := newTalker().run(t.Context(), nil), newTalker().run(t.Context(), nil)
	say := func(c *talker, who string, pauses *rand.Rand) {
		for i := range messages {
			time.Sleep(time.Duration(pauses.IntN(200)) * time.Microsecond)
			if _, err := c.Say(t.Context(), fmt.Sprint(who, " ", i)); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		if err := c.Finish(t.Context()); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	go say(a, "there", rand.New(rand.NewPCG(seed, 1))) //nolint:gosec // the same every time
	go say(b, "back", rand.New(rand.NewPCG(seed, 2)))  //nolint:gosec // the same every time
	pipes := 0
	for over := false; !over; pipes++ {
		left, right := newPair(1 + r.IntN(5))
		here, there := make(chan struct{}), make(chan struct{})
		a.links <- Link{Pipe: left, Replaced: here, Details: Details{Path: strconv.Itoa(pipes)}}
		b.links <- Link{Pipe: right, Replaced: there, Details: Details{Path: strconv.Itoa(pipes)}}
		select {
		case <-time.After(time.Duration(r.IntN(5000)) * time.Microsecond):
			first, second := here, there
			if r.IntN(2) == 0 {
				first, second = there, here
			}
			close(first)
			random(1000)
			synctest.Wait()
			if early && !a.isParting() && !b.isParting() { // a side that is fast, or hostile, closes the old one before the other has left it
				left.hangUp()
			}
			close(second)
		case <-a.ended:
			over = true
		case <-b.ended:
			over = true
		}
	}
	if err := errors.Join(a.end(), b.end()); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	var there, back []string
	var ids []uint64
	for i := range messages {
		there, back, ids = append(there, fmt.Sprint("there ", i)), append(back, fmt.Sprint("back ", i)), append(ids, uint64(i+1))
	}
	what := fmt.Sprintf("seed %d, %d pipes", seed, pipes)
	equal(t, what+": there", texts(b.seen()), there)
	equal(t, what+": back", texts(a.seen()), back)
	equal(t, what+": delivered there", deliveries(a.seen()), ids)
	equal(t, what+": delivered back", deliveries(b.seen()), ids)
	for _, c := range []*talker{a, b} {
		if log := c.log.String(); log != "" {
			t.Errorf("%s: the log says %.500s", what, log)
		}
		if n := len(only[Disconnected](c.seen())); n > 0 && !early {
			t.Errorf("%s: it hears of %d losses", what, n)
		}
		if n := len(only[Left](c.seen())); n > 1 { // none if both leave at once, and the other side is gone before its goodbye is read
			t.Errorf("%s: the other side has left %d times", what, n)
		}
		if n := len(only[Moved](c.seen())); n == 0 && pipes > 5 {
			t.Errorf("%s: it hears of no other path", what)
		}
	}
}

func TestMoved(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 20
	}
	for name, early := range map[string]bool{"": false, ", though the other side closes the old pipe early": true} {
		t.Run("nothing is lost, doubled or reordered, nor the end"+name, func(t *testing.T) {
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) { moveAndTalk(t, seed, 30, early) })
			}
		})
	}

	t.Run("the reader is told from where to where, and of no loss", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := newTalker(named("Ann")).run(t.Context(), nil), newTalker(named("Ben")).run(t.Context(), nil)
			var replaced chan struct{}
			for _, path := range []string{"relay", "host"} {
				if replaced != nil {
					close(replaced)
				}
				replaced = make(chan struct{})
				left, right := newPair(4)
				a.links <- Link{Pipe: left, Replaced: replaced, Details: Details{Path: path, Reason: "udp"}}
				b.links <- Link{Pipe: right, Replaced: replaced, Details: Details{Path: path, Reason: "udp"}}
				synctest.Wait()
			}
			if got := only[Moved](a.seen()); len(got) != 1 || got[0] != (Moved{From: "relay", To: "host", After: got[0].After, Reason: "udp"}) {
				t.Errorf("it hears %v", got)
			}
			if lost, again, connected := only[Disconnected](a.seen()), only[Reconnected](a.seen()), only[Connected](a.seen()); len(lost)+len(again) > 0 || len(connected) != 1 {
				t.Errorf("it hears %v, %v, %v", lost, again, connected)
			}
			a.Leave()
			b.Leave()
		})
	})
}

// A path that turns out to be a relay's is told as one: with Connected, or else after it, and where the conversation moves.
func TestRelayed(t *testing.T) {
	for name, early := range map[string]bool{"before the hello": true, "after it": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newTalker(named("Ann")).run(t.Context(), nil), newTalker(named("Ben"))
				left, right := newPair(4)
				replaced, relayed := make(chan struct{}), make(chan string, 1)
				if early {
					relayed <- "host,relay,host"
				}
				a.links <- Link{Pipe: left, Replaced: replaced, Relayed: relayed, Details: Details{Path: "prflx", Route: "host,nat,host"}}
				b.links <- Link{Pipe: right, Replaced: replaced}
				synctest.Wait()
				b.run(t.Context(), nil)
				synctest.Wait()
				connected := Connected{Path: "relay", Route: "host,relay,host"}
				if !early {
					connected = Connected{Path: "prflx", Route: "host,nat,host"}
					relayed <- "host,relay,host"
					synctest.Wait()
				}
				if got := only[Connected](a.seen()); len(got) != 1 || got[0].Path != connected.Path || got[0].Route != connected.Route {
					t.Errorf("it hears %v", got)
				}
				if got := only[Relayed](a.seen()); early && len(got) > 0 || !early && (len(got) != 1 || got[0].Route != "host,relay,host") {
					t.Errorf("it hears %v", got)
				}
				close(replaced)
				left, right = newPair(4)
				a.links <- Link{Pipe: left, Details: Details{Path: "host"}}
				b.joins(right)
				synctest.Wait()
				if got := only[Moved](a.seen()); len(got) != 1 || got[0].From != "relay" || got[0].To != "host" {
					t.Errorf("it hears %v", got)
				}
				a.Leave()
				b.Leave()
			})
		})
	}
}

// A slow end gets nothing more once it is stopped: what comes is still on its way.
type slow struct {
	*end
	stopped chan struct{}
}

func (s slow) Recv(ctx context.Context) ([]byte, error) {
	if !isClosed(s.stopped) {
		if b, err := s.end.Recv(ctx); !isClosed(s.stopped) {
			return b, err
		}
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestMovedDuringGoodbye(t *testing.T) {
	for name, stops := range map[string][2]bool{
		"the goodbye": {false, true}, "its answer": {true, false}, "both": {true, true}, "neither": {},
	} {
		t.Run("the two leave at once, though "+name+" was on the old pipe", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newTalker(named("Ann")).run(t.Context(), nil), newTalker(named("Ben")).run(t.Context(), nil)
				left, right := newPair(4)
				replaced := make(chan struct{})
				ends := [2]slow{{left, make(chan struct{})}, {right, make(chan struct{})}}
				a.links <- Link{Pipe: ends[0], Replaced: replaced}
				b.links <- Link{Pipe: ends[1], Replaced: replaced}
				synctest.Wait()
				say(t, a, "the last words")
				synctest.Wait()
				for i, stop := range stops {
					if stop {
						close(ends[i].stopped)
					}
				}
				begun := time.Now()
				a.Leave()
				synctest.Wait()
				close(replaced)
				left, right = newPair(4)
				a.joins(left)
				b.joins(right)
				if err := errors.Join(a.end(), b.end()); err != nil {
					t.Error(err)
				}
				within(t, begun, 0)
				equal(t, "what was said", texts(b.seen()), []string{"the last words"})
				for _, c := range []*talker{a, b} {
					if n := len(only[Left](c.seen())); n != 1 {
						t.Errorf("the other side has left %d times", n)
					}
					if log := c.log.String(); log != "" {
						t.Errorf("the log says %.500s", log)
					}
				}
			})
		})
	}
}
