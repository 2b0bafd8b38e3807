package chat

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"p2pchat/chat/reliable"
)

// opensAt opens a letter at a conversation, which has to take it.
func (l Letter) opensAt(t *testing.T, c *Conversation) {
	t.Helper()
	if _, err := c.Open(l.Text); err != nil {
		t.Fatal(err)
	}
}

// A message in a letter is shown once, however often the letter comes, and one after a missing letter waits for a pipe.
func TestLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ann, ben := New(Config{Contact: "ben"}), New(Config{Contact: "ann"})
		var shown []string
		go func() {
			for e := range ben.Events() {
				if m, ok := e.(Message); ok {
					shown = append(shown, m.From+": "+m.Text)
					if m.Written.IsZero() {
						t.Error("a letter does not say when it was written")
					}
				}
			}
		}()
		t.Cleanup(ben.Close)
		var letters []Letter
		through := uint64(0)
		for _, text := range []string{"one", "two", "three"} {
			if _, err := ann.Say(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			l, err := ann.Letter(through, 1<<10, false)
			if err != nil || l.Text == nil || l.Held {
				t.Fatal(l, err)
			}
			through = l.Through
			letters = append(letters, l)
		}
		for _, i := range []int{0, 0, 2, 0} { // the second is withheld
			letters[i].opensAt(t, ben)
		}
		if err := ben.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		reply, err := ben.Letter(0, 1<<10, true)
		if err != nil {
			t.Fatal(err)
		}
		reply.opensAt(t, ann)
		if n := ann.Waiting(); n != 2 {
			t.Errorf("%d messages wait for their acknowledgement, want 2", n)
		}
		letters[1].opensAt(t, ben)
		letters[2].opensAt(t, ben)
		if err := ben.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(shown, ", "); got != "ann: one, ann: two, ann: three" {
			t.Error(got)
		}
	})
}

// A message that is too long for a letter holds back what follows it, so that all come in order.
func TestALongMessageWaits(t *testing.T) {
	c := New(Config{Contact: "ben"})
	for _, text := range []string{"short", strings.Repeat("x", 2<<10), "after"} {
		if _, err := c.Say(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	first, err := c.Letter(0, 1<<10, false)
	if err != nil || first.Through != 1 || first.Text == nil {
		t.Fatal(first, err)
	}
	if rest, err := c.Letter(first.Through, 1<<10, false); err != nil || rest.Text != nil || !rest.Held || rest.Through != 1 {
		t.Error(rest, err)
	}
}

// The end of the input is in no letter, and keeps no one waiting who has written nothing after it.
func TestTheEndOfTheInputIsNotHeld(t *testing.T) {
	c := New(Config{Contact: "ben"})
	if _, err := c.Say(t.Context(), "all of it"); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, 1} {
		if l, err := c.Letter(after, 1<<10, false); err != nil || l.Held || (l.Text == nil) != (after == 1) || l.Through != 1 {
			t.Error(l, err)
		}
	}
}

// Bytes that are no letter change nothing.
func TestLettersThatAreNone(t *testing.T) {
	c := New(Config{Contact: "ben"})
	for _, text := range []string{"", "{}", "null", `{"conversation":""}`, `{"conversation":"x","frames":[{"seq":-1}]}`, `{"conversation":"x","frames":[{"seq":1,"text":"` + strings.Repeat("y", MaxMessage+1) + `"}]}`} {
		if _, err := c.Open([]byte(text)); err == nil {
			t.Errorf("%.40q is opened", text)
		}
	}
	if c.stream.Peer() != "" {
		t.Error("the other side's conversation has changed")
	}
}

// Letters of an earlier program of the other side that come late are shown unless they were shown before, and change nothing else.
func TestLettersOfAnEarlierConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, ben := New(Config{Contact: "ben"}), New(Config{Contact: "ben"}), New(Config{Contact: "ann"})
		var shown []string
		go func() {
			for e := range ben.Events() {
				if m, ok := e.(Message); ok {
					shown = append(shown, m.Text)
				}
			}
		}()
		t.Cleanup(ben.Close)
		letter := func(from *Conversation, text string, after uint64) Letter {
			if _, err := from.Say(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			l, err := from.Letter(after, 1<<10, false)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		one, two, three := letter(first, "one", 0), letter(first, "two", 1), letter(second, "three", 0)
		for _, l := range []Letter{one, three, one, three, one, two, two, three} {
			l.opensAt(t, ben)
			if err := ben.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		letter(second, "four", 1).opensAt(t, ben)
		if err := ben.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(shown, ", "); got != "one, three, two, four" {
			t.Error(got)
		}
		reply, err := ben.Letter(0, 1<<10, true)
		if err != nil {
			t.Fatal(err)
		}
		reply.opensAt(t, second)
		if n := second.Waiting(); n != 0 {
			t.Errorf("%d messages wait for their acknowledgement", n)
		}
	})
}

// The end of an earlier run's input neither keeps what a later run writes from being left, nor ends that run's input, in a letter or on a pipe.
func TestTheEndOfAnEarlierInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	run := func(text string) *Conversation {
		t.Helper()
		j, err := OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		c := New(Config{Contact: "ben", Journal: j, MoreInput: true})
		if _, err := c.Say(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = j.End(true) })
		return c
	}
	first := run("one")
	if err := first.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	one, err := first.Letter(0, 1<<10, false)
	if err != nil || one.Through != 1 || one.Held {
		t.Fatal(one, err)
	}
	if err := first.config.Journal.End(true); err != nil {
		t.Fatal(err)
	}
	second := run("two")
	two, err := second.Letter(one.Through, 1<<10, false)
	if err != nil || two.Text == nil || two.Through != 3 || two.Held {
		t.Fatal(string(two.Text), two, err)
	}
	if _, frames := second.stream.Letter(0); frames[1].Kind == kindEnd {
		t.Error("the end of the first input would be sent as that of the second")
	}
	synctest.Test(t, func(t *testing.T) {
		ben, shown := New(Config{Contact: "ann"}), ""
		go func() {
			for e := range ben.Events() {
				switch e := e.(type) {
				case Message:
					shown += e.Text + " "
				default:
					t.Errorf("a letter causes %T", e)
				}
			}
		}()
		t.Cleanup(ben.Close)
		one.opensAt(t, ben)
		two.opensAt(t, ben)
		if err := ben.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at, verdict := ben.stream.Receive(4); shown != "one two " || verdict != reliable.Fresh {
			t.Error(shown, at, verdict)
		}
	})
}

// What no one would miss is not said to wait.
func TestOnlyWhatIsMissedIsHeld(t *testing.T) {
	for _, test := range []struct {
		held  bool
		kinds []kind
	}{
		{true, []kind{kindOffer}},
		{false, []kind{kindReceived}},
		{true, []kind{kindReceived, kindMessage}},
		{false, []kind{kindMessage, kindAccept}},
	} {
		c := New(Config{Contact: "ben"})
		for _, k := range test.kinds {
			if _, err := c.stream.Put(k, `{"id":1}`); err != nil {
				t.Fatal(err)
			}
		}
		if l, err := c.Letter(0, 1<<10, false); err != nil || l.Held != test.held {
			t.Error(test.kinds, l.Held, err)
		}
	}
}
