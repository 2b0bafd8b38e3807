package chat

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestFileAnswers(t *testing.T) {
	path := create(t, "data", noise(100))
	unaccepted := func(t *testing.T, what string, end func(a, b *talker, id uint64) error, why string, options ...option) {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			meets(t, nil, append(options, into(dir)), func(t *testing.T, a, b *talker) {
				id := offers(t, a, path)
				synctest.Wait()
				if err := end(a, b, id); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				equal(t, "the sender hears", failures(a), []string{toOne(why, "sender")})
				equal(t, "the receiver hears", failures(b), []string{toOne(why, "receiver")})
				for _, err := range []error{b.Accept(id), b.Decline(id), b.Cancel(id, false), a.Cancel(id, true), a.Accept(id)} {
					if !errors.Is(err, ErrNoFile) {
						t.Errorf("afterwards it says %v", err)
					}
				}
				holds(t, dir, nil)
				offers(t, a, path) // the conversation goes on
			})
		})
	}
	nothing := func(_, _ *talker, _ uint64) error { return nil }
	unaccepted(t, "declined", func(_, b *talker, id uint64) error { return b.Decline(id) }, "declined")
	unaccepted(t, "cancelled by the sender before", func(a, _ *talker, id uint64) error { return a.Cancel(id, true) }, "cancelled by its sender")
	unaccepted(t, "cancelled by the receiver before", func(_, b *talker, id uint64) error { return b.Cancel(id, false) }, "cancelled by its receiver")
	unaccepted(t, "declined without asking the reader", nothing, "no files here", func(_ *talker, c *Config) { c.DeclineFiles = "no files here" })
	unaccepted(t, "declined when the input ends", func(_, b *talker, _ uint64) error { return b.Finish(context.Background()) }, unattended)

	t.Run("an offer that finds an ended input is declined", func(t *testing.T) {
		meets(t, nil, nil, func(t *testing.T, a, b *talker) {
			finish(t, b)
			offers(t, a, path)
			synctest.Wait()
			equal(t, "the sender hears", failures(a), []string{unattended})
		})
	})

	t.Run("a download folder that cannot be is an error, and the file can still be accepted", func(t *testing.T) {
		dir := create(t, "no-folder", nil)
		meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
			id := offers(t, a, path)
			synctest.Wait()
			if err := b.Accept(id); err == nil || errors.Is(err, ErrNoFile) {
				t.Errorf("it says %v", err)
			}
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := b.Accept(id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := only[FileReceived](b.seen()); len(got) != 1 {
				t.Errorf("it receives %v; %v", got, failures(b))
			}
		})
	})

	t.Run("accepted without asking it is an error for both", func(t *testing.T) {
		dir := create(t, "no-folder", nil)
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(16)
			a, b := newTalker().joins(left).run(t.Context(), nil), newTalker(into(dir), accepts, leavesWhenSaid).joins(right).run(t.Context(), nil)
			offers(t, a, path)
			finish(t, b)
			if i := (*Incomplete)(nil); !errors.As(b.end(), &i) || i.Files != 1 {
				t.Errorf("it ends with %v", b.err)
			}
			<-a.ended
			if why := failures(a); len(why) != 1 || !strings.Contains(why[0], "not a directory") || strings.Contains(why[0], dir) {
				t.Errorf("the sender hears %q", why)
			}
		})
	})

	t.Run("a plain WebRTC program is offered nothing", func(t *testing.T) {
		withForeign(t, 16, nil, func(t *testing.T, a *talker, r raw) {
			if _, err := a.SendFiles(t.Context(), path); !errors.Is(err, ErrNoFiles) {
				t.Errorf("it says %v", err)
			}
			equal(t, "the other side gets", r.wire(), nil)
		})
		synctest.Test(t, func(t *testing.T) {
			left, right := newPair(16)
			a := newTalker()
			offers(t, a, path) // before it is known who comes
			a.links <- Link{Pipe: left, Details: Details{Foreign: true}}
			a.run(t.Context(), nil)
			synctest.Wait()
			equal(t, "it hears", failures(a), []string{ErrNoFiles.Error()})
			equal(t, "the other side gets", (raw{right, t}).wire(), nil)
			a.Leave()
			<-a.ended
		})
	})

	t.Run("hundreds wait for each other", func(t *testing.T) {
		dir := t.TempDir()
		meets(t, nil, []option{into(dir)}, func(t *testing.T, a, b *talker) {
			ids, err := a.SendFiles(t.Context(), slices.Repeat([]string{path}, 300)...)
			if err != nil || len(ids) != maxOffers {
				t.Fatalf("%d are offered at once: %v", len(ids), err)
			}
			for accepted := 0; accepted < 300; {
				synctest.Wait()
				offered := only[FileOffered](b.seen())
				if n := len(offered) - accepted; n == 0 || n > maxOffers {
					t.Fatalf("%d wait at once, after %d", n, accepted)
				}
				for _, o := range offered[accepted:] {
					if err := b.Accept(o.ID); err != nil {
						t.Fatal(err)
					}
				}
				accepted = len(offered)
			}
			finish(t, a)
			synctest.Wait()
			if n := len(only[FileSent](a.seen())); n != 300 || len(contents(t, dir)) != 300 {
				t.Errorf("%d are sent, %d have arrived", n, len(contents(t, dir)))
			}
		})
	})

	t.Run("not too many can wait", func(t *testing.T) {
		meets(t, nil, nil, func(t *testing.T, a, b *talker) {
			if _, err := a.SendFiles(t.Context(), slices.Repeat([]string{path}, maxQueued+1)...); !errors.Is(err, ErrTooManyFiles) {
				t.Errorf("it says %v", err)
			}
			synctest.Wait()
			equal(t, "offered", only[FileOffered](b.seen()), nil)
		})
	})

	t.Run("one too many is declined", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "x", First: 1})
			for i := range uint64(maxFiles + 1) {
				r.write(frame{kind: kindOffer, seq: i + 1, text: `{"name":"a","size":1}`})
				synctest.Wait()
			}
			all := r.drain()
			if last := all[len(all)-1]; !slices.ContainsFunc(all, func(f frame) bool { return f.kind == kindCancel && strings.Contains(f.text, "too many files") }) {
				t.Errorf("it hears, last, %+v", last)
			}
			equal(t, "offers", []int{len(only[FileOffered](a.seen()))}, []int{maxFiles})
		})
	})

	for name, test := range map[string]struct {
		send   func(a *talker) error
		ends   func(a, b *talker)
		missed int
	}{
		"a file that the other side leaves without counts":          {func(a *talker) error { _, err := a.SendFiles(t.Context(), path); return err }, func(_, b *talker) { b.Leave() }, 1},
		"one that this side leaves without does not":                {func(a *talker) error { _, err := a.SendFiles(t.Context(), path); return err }, func(a, _ *talker) { a.Leave() }, 0},
		"one that the other side declines does not":                 {func(a *talker) error { _, err := a.SendFiles(t.Context(), path); return err }, func(_, b *talker) { _ = b.Decline(1); synctest.Wait(); b.Leave() }, 0},
		"files that had to be sent count, if they were not offered": {func(a *talker) error { return a.MustSend(t.Context(), slices.Repeat([]string{path}, 100)...) }, func(a, _ *talker) { a.Leave() }, 100},
		"and if they are declined":                                  {func(a *talker) error { return a.MustSend(t.Context(), path) }, func(_, b *talker) { _ = b.Decline(1); synctest.Wait(); b.Leave() }, 1},
		"all that waits counts where the other side leaves": {func(a *talker) error {
			_, err := a.SendFiles(t.Context(), slices.Repeat([]string{path}, 100)...)
			return err
		}, func(_, b *talker) { b.Leave() }, 100},
	} {
		t.Run(name, func(t *testing.T) {
			meets(t, nil, nil, func(t *testing.T, a, b *talker) {
				if err := test.send(a); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				test.ends(a, b)
				missed := 0
				if i := (*Incomplete)(nil); errors.As(a.end(), &i) {
					missed = i.Files
				}
				if missed != test.missed {
					t.Errorf("%d files are missed, not %d", missed, test.missed)
				}
			})
		})
	}
}

func TestLongReason(t *testing.T) {
	path := create(t, "data", noise(5))
	why := func(_ *talker, c *Config) { c.DeclineFiles = strings.Repeat("<", 5000) }
	meets(t, nil, []option{why}, func(t *testing.T, a, b *talker) {
		offers(t, a, path)
		synctest.Wait()
		say(t, b, "next")
		synctest.Wait()
		equal(t, "the sender hears", failures(a), []string{strings.Repeat("<", 200)})
		equal(t, "and reads", texts(a.seen()), []string{"next"})
	})
}
