package chat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat/reliable"
)

// keeps opens the journal in a file.
func keeps(t *testing.T, path string) option {
	t.Helper()
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *talker, c *Config) { c.Journal = j }
}

func TestJournal(t *testing.T) {
	t.Run("a restarted program goes on where it was", func(t *testing.T) {
		const messages = 200
		seeds := uint64(20)
		if testing.Short() {
			seeds = 4
		}
		for seed := range seeds {
			synctest.Test(t, func(t *testing.T) { killAndTalk(t, seed, messages) })
		}
	})

	t.Run("it is gone with a goodbye, and kept without", func(t *testing.T) {
		for _, goodbye := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "box")
				ctx, cancel := context.WithCancel(t.Context())
				left, right := newPair(4)
				a, b := newTalker(keeps(t, path)).joins(left).run(ctx, nil), newTalker().joins(right).run(t.Context(), nil)
				synctest.Wait()
				if !goodbye {
					cancel()
					_ = a.end() // the context's
				}
				b.Leave()
				_, _ = a.end(), b.end() // either may have something to say
				if a.Resumable() == goodbye {
					t.Errorf("goodbye: %v; kept: %v", goodbye, a.Resumable())
				}
				if err := a.config.Journal.End(a.Resumable()); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) != goodbye {
					t.Errorf("goodbye: %v; its file: %v", goodbye, err)
				}
				cancel()
			})
		}
	})

	t.Run("the next run is told first what was not delivered, and when it was written", func(t *testing.T) {
		began := time.Now()
		path := filepath.Join(t.TempDir(), "box")
		first := newTalker(keeps(t, path))
		sayPart(t, first, "in two ")
		for _, text := range []string{"parts", "and another"} {
			if _, err := first.Say(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if err := first.config.Journal.End(true); err != nil {
			t.Fatal(err)
		}
		next := newTalker(keeps(t, path))
		defer func() { _ = next.config.Journal.End(false) }()
		next.Tell(Notice{Text: "from the program"})
		if _, err := next.Say(t.Context(), "of this run"); err != nil {
			t.Fatal(err)
		}
		next.Close()
		var got []Event
		for e := range next.Events() {
			if q, ok := e.(Queued); ok {
				if q.Written.Before(began.Truncate(time.Second)) || q.Written.After(time.Now()) {
					t.Errorf("message %d was written at %v", q.ID, q.Written)
				}
				q.Written = time.Time{}
				e = q
			}
			got = append(got, e)
		}
		want := []Event{Queued{ID: 1, Text: "in two ", GoesOn: true}, Queued{ID: 2, Text: "parts"}, Queued{ID: 3, Text: "and another"}, Notice{Text: "from the program"}}
		if !slices.Equal(got, want) {
			t.Errorf("it tells %v", got)
		}
	})

	t.Run("it says how the two meet again, and whether the other side can know", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		for i, want := range []struct {
			again     string
			confirmed bool
		}{{"", false}, {"there", false}, {"there", true}} {
			j, err := OpenJournal(path)
			if err != nil {
				t.Fatal(err)
			}
			if again, confirmed := j.Resumption(); again != want.again || confirmed != want.confirmed {
				t.Errorf("%d: it says %q, %v", i, again, confirmed)
			}
			if want.confirmed && j.Peer() != "Ben" {
				t.Errorf("the other side is called %q", j.Peer())
			}
			c := New(Config{Journal: j})
			if i > 0 {
				c.handleHello(hello{Conversation: "theirs", Name: "Ben"}, Link{Resumption: "there", path: &shownPath{}})
			} else {
				c.keepLink("there")
			}
			if err := j.End(true); err != nil {
				t.Fatal(err)
			}
		}
	})

	t.Run("what was committed is there after a crash, and a disk that fails is told", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		c := newTalker(keeps(t, path))
		c.Keep("there")
		if err := c.Commit("there, and one guess was wrong"); err != nil {
			t.Fatal(err)
		}
		crashed := filepath.Join(t.TempDir(), "box") // the file as it is, while the program has it
		b, err := os.ReadFile(path)                  //nolint:gosec // a file of the test
		if err == nil {
			err = os.WriteFile(crashed, b, 0o600) //nolint:gosec // a file of the test
		}
		if err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(crashed)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := j.Resumption(); again != "there, and one guess was wrong" {
			t.Errorf("it says %q", again)
		}
		if err := errors.Join(j.End(false), c.config.Journal.End(true)); err != nil {
			t.Fatal(err)
		}
		if err := c.Commit("elsewhere"); !errors.Is(err, ErrUnkept) {
			t.Errorf("a file that cannot be written says %v", err)
		}
	})

	t.Run("it does not grow for ever", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		c := newTalker(keeps(t, path))
		c.stopEvents() // there is no reader
		for i := range uint64(1000) {
			say(t, c, strings.Repeat("x", 10_000))
			c.delivered(i)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if limit := int64(2<<20 + 100_000); info.Size() > limit {
			t.Errorf("it has %d bytes", info.Size())
		}
		if err := c.config.Journal.End(true); err != nil {
			t.Fatal(err)
		}
		again := newTalker(keeps(t, path))
		if id, err := again.Say(t.Context(), "the next"); id != 1001 || err != nil || again.config.Journal.Waiting() != 1 {
			t.Errorf("the next message is %d, %v; %d wait", id, err, again.config.Journal.Waiting())
		}
	})

	t.Run("what is being written when the program is killed is not there", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		c := newTalker(keeps(t, path))
		say(t, c, "one", "two")
		if err := c.config.Journal.End(true); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path) //nolint:gosec // the test's own
		if err == nil {
			err = os.WriteFile(path, b[:len(b)-3], 0o600) //nolint:gosec // the test's own
		}
		if err != nil {
			t.Fatal(err)
		}
		again := newTalker(keeps(t, path))
		if n := again.config.Journal.Waiting(); n != 1 {
			t.Errorf("it has %d messages", n)
		}
		if id, err := again.Say(t.Context(), "two"); id != 2 || err != nil {
			t.Errorf("the next is %d, %v", id, err)
		}
	})

	t.Run("that either input has ended is kept, however often", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "box")
		c := newTalker(keeps(t, path))
		c.stopEvents() // there is no reader
		c.handleHello(hello{Conversation: "theirs"}, Link{path: &shownPath{}})
		c.done(InputEnded{at: reliable.Place{Of: "theirs", Seq: 1}})
		finish(t, c)
		c.delivered(1)
		for range 3 {
			if err := c.config.Journal.End(true); err != nil {
				t.Fatal(err)
			}
			c = newTalker(keeps(t, path))
			if _, err := c.Say(t.Context(), "more"); !errors.Is(err, ErrOver) || !c.life.is(theirs, inputEnded) {
				t.Errorf("Say is told %v; the other side's input has ended: %v", err, c.life.is(theirs, inputEnded))
			}
		}
	})

	t.Run("a run may have input again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			path, theirPath := filepath.Join(t.TempDir(), "box"), filepath.Join(t.TempDir(), "box")
			c := newTalker(keeps(t, path))
			say(t, c, "one")
			finish(t, c)
			for _, text := range []string{"two", "three"} {
				if err := c.config.Journal.End(true); err != nil {
					t.Fatal(err)
				}
				c = newTalker(keeps(t, path), func(_ *talker, c *Config) { c.MoreInput = true })
				say(t, c, text)
			}
			a, b := c.run(t.Context(), nil), newTalker(keeps(t, theirPath)).run(t.Context(), nil)
			left, right := newPair(4)
			a.joins(left)
			b.joins(right)
			synctest.Wait()
			equal(t, "what the other side hears", texts(b.seen()), []string{"one", "two", "three"})
			if b.life.is(theirs, inputEnded) || b.config.Journal.memory.Quiet {
				t.Error("the other side takes the input for ended")
			}
			finish(t, a)
			finish(t, b)
			for _, side := range []*talker{a, b} {
				if err := errors.Join(side.end(), side.config.Journal.End(false)); err != nil {
					t.Error(err)
				}
			}
		})
	})

	t.Run("what is no journal is not touched", func(t *testing.T) {
		for _, text := range []string{"nonsense\n", "{}\n", `{"said":{"seq":1}}` + "\n", `{"conversation":"a"}` + "\n" + `{"said":{"seq":2}}` + "\n", `{"conversation":"a"}` + "\n" + strings.Repeat("x", 512<<10) + "\n"} {
			path := filepath.Join(t.TempDir(), "box")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenJournal(path); !errors.Is(err, ErrJournalDamaged) {
				t.Errorf("%.40q: %v", text, err)
			}
			if b, err := os.ReadFile(path); string(b) != text || err != nil { //nolint:gosec // the test's own
				t.Errorf("it is %.40q now, %v", b, err)
			}
		}
		if _, err := OpenJournal(t.TempDir()); err == nil {
			t.Error("a folder is taken")
		}
	})

	t.Run("a message that cannot be kept is not said", func(t *testing.T) {
		c := newTalker(keeps(t, filepath.Join(t.TempDir(), "box")))
		if err := c.config.Journal.End(true); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Say(t.Context(), "hello"); !errors.Is(err, ErrUnkept) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("Say is told %v", err)
		}
	})
}

// killAndTalk lets two talk, each of which is restarted at random, until all is said.
// What was being read when it was killed may come again; no more than that.
func killAndTalk(t *testing.T, seed uint64, messages int) {
	type life struct {
		*talker
		kill context.CancelFunc
	}
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same every time
	dir := t.TempDir()
	begin := func(name string) life {
		ctx, kill := context.WithCancel(t.Context())
		c := newTalker(keeps(t, filepath.Join(dir, name)))
		return life{c.run(ctx, nil), kill}
	}
	said := map[string]int{}
	sides := map[string]life{"a": begin("a"), "b": begin("b")}
	heard := map[string][]string{}
	join := func() {
		left, right := newPair(r.IntN(5))
		sides["a"].joins(left)
		sides["b"].joins(right)
	}
	join()
	for range 30 {
		for name, side := range sides {
			for range r.IntN(messages / 10) {
				if said[name] < messages {
					say(t, side.talker, strconv.Itoa(said[name]))
					said[name]++
				}
			}
		}
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		if r.IntN(2) == 0 {
			synctest.Wait()
		}
		name := []string{"a", "b"}[r.IntN(2)]
		old := sides[name]
		old.kill()
		_ = old.end() // the context's
		if err := old.config.Journal.End(true); err != nil {
			t.Fatal(err)
		}
		heard[name] = append(heard[name], texts(old.seen())...)
		sides[name] = begin(name)
		join()
	}
	for _, side := range sides {
		synctest.Wait()
		finish(t, side.talker)
	}
	for name, side := range sides {
		if err := side.end(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		heard[name] = append(heard[name], texts(side.seen())...)
		side.kill()
		if side.Resumable() {
			t.Errorf("seed %d: after a goodbye there is something to go on with", seed)
		}
	}
	for name, other := range map[string]string{"a": "b", "b": "a"} {
		var want []string
		for i := range said[other] {
			want = append(want, strconv.Itoa(i))
		}
		equal(t, fmt.Sprintf("seed %d: what %s heard", seed, name), heard[name], want)
	}
}
