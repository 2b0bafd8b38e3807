package chat

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sayPart says the part of a message that goes on.
func sayPart(t *testing.T, c *talker, text string) {
	t.Helper()
	if _, err := c.SayPart(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// whole are the messages, joined from their parts.
func whole(t *testing.T, events []Event) (all []string) {
	goesOn := false
	for _, m := range only[Message](events) {
		if m.Continues != goesOn {
			t.Errorf("message %d continues: %v, but the one before goes on: %v", m.ID, m.Continues, goesOn)
		}
		if m.Continues {
			all[len(all)-1] += m.Text
		} else {
			all = append(all, m.Text)
		}
		goesOn = m.GoesOn
	}
	return all
}

func TestParts(t *testing.T) {
	t.Run("a message of many parts is one, across the loss of a pipe", func(t *testing.T) {
		meeting(t, func(t *testing.T, a, b *talker) {
			say(t, a, "before")
			sayPart(t, a, "one ")
			sayPart(t, a, "two ")
			synctest.Wait()
			a.ends[0].cut()
			left, right := newPair(4)
			a.joins(left)
			b.joins(right)
			sayPart(t, a, "three ")
			say(t, a, "four", "after")
			synctest.Wait()
			equal(t, "the other side reads", whole(t, b.seen()), []string{"before", "one two three four", "after"})
		})
	})

	t.Run("of a message that the reader did not take, nothing more than one is missing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := newTalker().run(t.Context(), nil)
			sayPart(t, a, "one ")
			say(t, a, "two", "three")
			a.Leave()
			if err := a.end(); undelivered(err) != 2 {
				t.Errorf("it ends with %v", err)
			}
		})
	})

	for name, knows := range map[string]bool{"an earlier version is sent whole messages": false, "who knows parts is sent them": true} {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				sayPart(t, a, "one ")
				say(t, a, "two")
				if early := r.drain(); len(early) != 1 || early[0].kind != kindHello || !early[0].hello.Parts {
					t.Errorf("before it is known who the other side is, it is sent %+v", early)
				}
				r.hello(hello{Conversation: "x", First: 1, Parts: knows})
				want := map[bool]kind{true: kindPart, false: kindMessage}[knows]
				if got := r.drain(); len(got) != 2 || got[0].kind != want || got[1].kind != kindMessage || got[0].text != "one " {
					t.Errorf("it is sent %+v", got)
				}
			})
		})
	}

	t.Run("what a new program says does not continue what the old one began", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "old", First: 1, Parts: true})
			r.write(frame{kind: kindPart, seq: 1, text: "begun, and ne"})
			synctest.Wait()
			r.hangUp()
			left, right := newPair(4)
			a.joins(left)
			next := raw{right, t}
			next.hello(hello{Conversation: "new", First: 1, Parts: true})
			next.say(1, "hello")
			synctest.Wait()
			if m := only[Message](a.seen()); len(m) != 2 || !m[0].GoesOn || m[1].Continues || m[1].GoesOn {
				t.Errorf("it reads %+v", m)
			}
			next.hangUp()
		})
	})
}

// drains goes on for two seconds with input that is late.
func drains(_ *talker, c *Config) { c.Drain, c.Input = 2*time.Second, "line" }

func TestDrain(t *testing.T) {
	for name, test := range map[string]struct {
		options []option
		late    int           // lines that come a second after the other side has left
		ends    bool          // and then the input ends
		took    time.Duration // from the other side's leaving
		want    string
	}{
		"a late line is counted":                          {[]option{drains, leavesWhenSaid}, 1, true, time.Second, "1 line was not delivered"},
		"late lines are, without LeaveWhenSaid":           {[]option{drains}, 2, true, time.Second, "2 lines were not delivered"},
		"an input that never ends is not waited for":      {[]option{drains}, 0, false, 2 * time.Second, ""},
		"it was to be delivered, and has not":             {[]option{drains, leavesWhenSaid}, 0, false, 2 * time.Second, "the other side left before the input had ended"},
		"late lines of one that never ends are counted":   {[]option{drains}, 3, false, 2 * time.Second, "3 lines were not delivered"},
		"an end without more has delivered all":           {[]option{drains, leavesWhenSaid}, 0, true, time.Second, ""},
		"what a person types is refused, and not counted": {nil, 1, false, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left, right := newPair(4)
				a, b := newTalker(test.options...).joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
				say(t, a, "in time")
				synctest.Wait()
				begun := time.Now()
				b.Leave()
				if err := b.end(); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				for range test.late {
					if _, err := a.Say(t.Context(), "late"); !errors.Is(err, ErrOver) || errors.Is(err, ErrLate) != (test.options != nil) {
						t.Errorf("a late line is answered with %v", err)
					}
				}
				if test.ends {
					_ = a.Finish(t.Context()) // it is over
				}
				got := ""
				if err := a.end(); err != nil {
					got = err.Error()
				}
				if got != test.want {
					t.Errorf("it ends with %q, not %q", got, test.want)
				}
				if test.took > 0 {
					within(t, begun, test.took)
				}
				if _, err := a.Say(t.Context(), "later"); !errors.Is(err, ErrOver) || errors.Is(err, ErrLate) {
					t.Errorf("what no one counts any more is answered with %v", err)
				}
			})
		})
	}

	t.Run("Leave ends the waiting for more input", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(4)
			a, b := newTalker(drains, leavesWhenSaid).joins(left).run(t.Context(), nil), newTalker().joins(right).run(t.Context(), nil)
			say(t, a, strings.Repeat("x", 10))
			synctest.Wait()
			b.Leave()
			synctest.Wait()
			begun := time.Now()
			a.Leave()
			if err := a.end(); err != nil {
				t.Errorf("it ends with %v", err)
			}
			within(t, begun, 0)
			<-b.ended
		})
	})
}
