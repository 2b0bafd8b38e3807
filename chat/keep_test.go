package chat

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A shelf is a Keeper that notes what it stores.
type shelf struct {
	stored   []Agreement
	ids      []string
	shown    []string
	declined []string
	taken    string
	err      error
}

func (s *shelf) Check(name string) error {
	if name == "../ben" {
		return errors.New("no such name")
	}
	return nil
}

func (s *shelf) Store(a Agreement) (Stored, error) {
	if s.err != nil {
		return Stored{}, s.err
	}
	pair := [][]byte{a.Ours, a.Theirs}
	if bytes.Compare(pair[0], pair[1]) > 0 { // the same for both sides
		pair[0], pair[1] = pair[1], pair[0]
	}
	id := hex.EncodeToString(bytes.Join(append(pair, a.Key), nil))
	s.stored, s.ids = append(s.stored, a), append(s.ids, id)
	return Stored{Name: "my " + a.Peer, Taken: s.taken, ID: id}, nil
}

func (s *shelf) Shown(id string) bool {
	s.shown = append(s.shown, id)
	return len(s.ids) > 0 && s.ids[len(s.ids)-1] == id
}

func (s *shelf) Declined(id string) { s.declined = append(s.declined, id) }

func keepsOn(s *shelf) option { return func(_ *talker, c *Config) { c.Keeper = s } }

// joinBoth gives both talkers the two ends of a new pipe, whose contacts would have that key.
func joinBoth(a, b *talker, key string, verified bool) (left *end) {
	left, right := newPair(10)
	for t, e := range map[*talker]*end{a: left, b: right} {
		t.links <- Link{Pipe: e, ContactKey: []byte(key), Details: Details{Verified: verified}}
	}
	synctest.Wait()
	return left
}

// A fragile pipe breaks at the message for which rest is 0, which is lost.
type fragile struct {
	*end
	rest *atomic.Int32 // of both ends
}

func (f fragile) Send(ctx context.Context, message []byte) error {
	if f.rest.Add(-1) == -1 {
		f.cut()
		return errCut
	}
	return f.end.Send(ctx, message)
}

// keepers runs f with two who can keep each other.
func keepers(t *testing.T, f func(t *testing.T, a, b *talker, of [2]*shelf)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		of := [2]*shelf{{}, {}}
		a := newTalker(named("Ann"), keepsOn(of[0])).run(t.Context(), nil)
		b := newTalker(named("Ben"), keepsOn(of[1])).run(t.Context(), nil)
		f(t, a, b, of)
		a.Leave()
		b.Leave()
		_, _ = a.end(), b.end()
	})
}

// agreed checks that both sides have stored the same, once, and were told.
func agreed(t *testing.T, a, b *talker, of [2]*shelf) {
	t.Helper()
	synctest.Wait()
	if x, y := of[0].ids, of[1].ids; len(x) == 0 || len(y) == 0 || x[len(x)-1] != y[len(y)-1] {
		t.Errorf("they have stored %q and %q", x, y)
	}
	for _, c := range []*talker{a, b} {
		if n := len(only[Kept](c.seen())); n != 1 {
			t.Errorf("%s is told %d times that they have kept each other", c.config.Name, n)
		}
	}
}

func TestKeeping(t *testing.T) {
	t.Run("who has another contact of that name is told", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
			joinBoth(a, b, "key", true)
			of[0].taken = "ben"
			if err := errors.Join(a.KeepPeer("", false), b.KeepPeer("", false)); err != nil {
				t.Fatal(err)
			}
			agreed(t, a, b, of)
			if told, others := only[Kept](a.seen())[0], only[Kept](b.seen())[0]; told.Taken != "ben" || others.Taken != "" {
				t.Errorf("Ann is told %+v, Ben %+v", told, others)
			}
		})
	})
	t.Run("both have to say so", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
			joinBoth(a, b, "key", true)
			if err := a.KeepPeer("", false); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if asked := only[KeepAsked](b.seen()); len(asked) != 1 || asked[0] != (KeepAsked{From: "Ann", Verified: true}) {
				t.Errorf("Ben is asked %v", asked)
			}
			if len(of[0].ids)+len(of[1].ids) > 0 {
				t.Error("one side has stored the other, which has not agreed")
			}
			if err := b.KeepPeer("Annie", false); err != nil {
				t.Fatal(err)
			}
			agreed(t, a, b, of)
			if got := of[1].stored[0]; got.Name != "Annie" || got.Peer != "Ann" || string(got.Key) != "key" {
				t.Errorf("Ben stores %+v", got)
			}
		})
	})

	t.Run("a cut at any message leaves both or none", func(t *testing.T) {
		cuts := 0
		for nth := range int32(20) {
			keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
				left, right := newPair(10)
				rest := new(atomic.Int32)
				rest.Store(nth)
				for side, e := range map[*talker]*end{a: left, b: right} {
					side.links <- Link{Pipe: fragile{e, rest}, ContactKey: []byte("key"), Details: Details{Verified: true}}
				}
				joinBoth(a, b, "key", true) // after the cut
				for _, side := range []*talker{a, b} {
					if err := side.KeepPeer("", false); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				if rest.Load() < 0 {
					cuts++
				}
				agreed(t, a, b, of)
			})
		}
		if cuts < 6 {
			t.Errorf("only %d pipes broke", cuts)
		}
	})

	t.Run("a call that is not verified needs the safety words", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
			joinBoth(a, b, "key", false)
			if err := a.KeepPeer("", false); !errors.Is(err, ErrKeepUnproven) {
				t.Error(err)
			}
			if err := a.KeepPeer("", true); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if asked := only[KeepAsked](b.seen()); len(asked) != 1 || asked[0].Verified {
				t.Errorf("Ben is asked %v", asked)
			}
			if err := b.KeepPeer("", true); err != nil {
				t.Error(err)
			}
			agreed(t, a, b, of)
		})
	})

	t.Run("what was said in one call does not hold in another", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
			left := joinBoth(a, b, "key", true)
			if err := a.KeepPeer("", false); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			left.cut()
			joinBoth(a, b, "key of a stranger with the same code", true)
			if err := b.KeepPeer("", false); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(of[0].ids)+len(of[1].ids) > 0 {
				t.Error("they have stored keys of which only one has agreed")
			}
			if err := a.KeepPeer("", false); err != nil {
				t.Fatal(err)
			}
			agreed(t, a, b, of)
		})
	})

	t.Run("a disk that is full keeps none, and is told", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
			joinBoth(a, b, "key", true)
			of[0].err = errors.New("no space")
			_ = a.KeepPeer("", false)
			synctest.Wait()
			_ = b.KeepPeer("", false)
			synctest.Wait()
			if len(only[Kept](a.seen()))+len(only[Kept](b.seen())) > 0 {
				t.Error("one side takes the other for kept")
			}
			if n := only[Notice](a.seen()); len(n) != 1 || n[0].Text != "The contact was not kept: no space" {
				t.Errorf("Ann is told %v", n)
			}
		})
	})

	t.Run("once the disk has space, another try keeps, and both are told", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
			joinBoth(a, b, "key", true)
			of[0].err = errors.New("no space")
			_ = a.KeepPeer("", false)
			synctest.Wait()
			_ = b.KeepPeer("", false)
			synctest.Wait()
			of[0].err = nil
			if err := a.KeepPeer("", false); err != nil {
				t.Fatal(err)
			}
			agreed(t, a, b, of)
		})
	})

	t.Run("a further keep gives another name, and says so", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, of [2]*shelf) {
			joinBoth(a, b, "key", true)
			_ = a.KeepPeer("", false)
			_ = b.KeepPeer("", false)
			agreed(t, a, b, of)
			if err := a.KeepPeer("Benny", false); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if told := only[Kept](a.seen()); len(told) != 2 || of[0].stored[len(of[0].stored)-1].Name != "Benny" {
				t.Errorf("Ann is told %v, and has stored %v", told, of[0].stored)
			}
		})
	})

	t.Run("refusals say why", func(t *testing.T) {
		keepers(t, func(t *testing.T, a, b *talker, _ [2]*shelf) {
			if err := a.KeepPeer("", false); !errors.Is(err, ErrKeepNoPeer) {
				t.Error(err)
			}
			joinBoth(a, b, "key", true)
			if err := a.KeepPeer("../ben", false); err == nil {
				t.Error("a name that no contact can have is taken")
			}
		})
	})
}

// An earlier version would take a frame that it does not know for a hole in the numbers: it is not sent one, even if what
// came before it knew contacts.
func TestKeepingWithAnEarlierVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(64)
		a := newTalker(keepsOn(&shelf{})).run(t.Context(), nil)
		a.links <- Link{Pipe: left, ContactKey: []byte("key"), Details: Details{Verified: true}}
		r := raw{right, t}
		r.hello(hello{Conversation: "x", First: 1, Contacts: true})
		synctest.Wait()
		if err := a.KeepPeer("", false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		left.cut()

		left, right = newPair(64)
		a.links <- Link{Pipe: left, ContactKey: []byte("key"), Details: Details{Verified: true}}
		r = raw{right, t}
		r.hello(hello{Conversation: "x", First: 1})
		synctest.Wait()
		if err := a.KeepPeer("", false); !errors.Is(err, ErrKeepsNone) {
			t.Error(err)
		}
		for _, in := range r.messages() {
			for _, f := range in {
				if f.kind > kindBundle {
					t.Errorf("it is sent a frame of kind %d", f.kind)
				}
			}
		}
		a.Leave()
		right.hangUp()
		<-a.ended
	})
}

// A contact is called what the person calls it, whatever name it gives itself.
func TestAContactHasOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := &shelf{}
		a := newTalker(named("Ann"), keepsOn(of), func(_ *talker, c *Config) { c.Contact = "ben" }).run(t.Context(), nil)
		b := newTalker(named("the bank")).run(t.Context(), nil)
		joinBoth(a, b, "key", true)
		b.SetName("carl")
		synctest.Wait()
		if c := only[Connected](a.seen()); len(c) != 1 || c[0].Peer != "ben" || !c[0].Contact {
			t.Errorf("Ann is told %+v", c)
		}
		if r := only[Renamed](a.seen()); len(r) > 0 {
			t.Errorf("Ann is told %+v", r)
		}
		if err := a.KeepPeer("", false); !errors.Is(err, ErrIsContact) {
			t.Error(err)
		}
		a.Leave()
		_, _ = a.end(), b.end()
	})
}

// A contact shows in its hello that it has stored the keys of this call. In a call with a code there are none.
func TestKeysAreShown(t *testing.T) {
	for name, want := range map[string][]string{"ben": {"id of the keys"}, "": nil} {
		of := &shelf{}
		withRawOf(t, []option{keepsOn(of), func(_ *talker, c *Config) { c.Contact = name }}, func(t *testing.T, _ *talker, r raw) {
			r.hello(hello{Conversation: "x", First: 1, Holds: "id of the keys"})
			synctest.Wait()
			if !slices.Equal(of.shown, want) {
				t.Errorf("in a call with %q, the keeper was shown %q", name, of.shown)
			}
		})
	}
}
