package chat

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// messages reads the messages that have come so far, each with the frames in it.
func (r raw) messages() (all [][]frame) {
	r.t.Helper()
	for synctest.Wait(); len(r.in.frames) > 0; synctest.Wait() {
		b, err := r.Recv(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		var in []frame
		for f, err := range frames(b) {
			if err != nil {
				r.t.Fatalf("%q: %v", b, err)
			}
			in = append(in, f)
		}
		all = append(all, in)
	}
	return all
}

// withSlowRaw is withRaw on a pipe that holds one message: what follows waits until the test reads it.
func withSlowRaw(t *testing.T, f func(t *testing.T, a *talker, r raw), options ...option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		left, right := newPair(1)
		a := newTalker(append(options, named("Ann"))...).joins(left).run(t.Context(), nil)
		f(t, a, raw{right, t})
		a.Leave()
		right.hangUp()
		<-a.ended
	})
}

func unbundled(_ *talker, c *Config) { c.unbundled = true }

func TestBundles(t *testing.T) {
	const lines = 500
	texts := func() (all []string) {
		for i := range lines {
			all = append(all, fmt.Sprintf("%064d", i))
		}
		return all
	}()
	// said returns the texts in their order, and the most frames of one message.
	said := func(t *testing.T, messages [][]frame) (all []string, most int) {
		t.Helper()
		for _, in := range messages {
			size := 0
			for _, f := range in {
				if f.kind == kindMessage {
					all = append(all, f.text)
				}
				size += lengthSize + 1 + seqSize + len(f.text)
			}
			if most = max(most, len(in)); len(in) > 1 && size > maxBundle {
				t.Errorf("a bundle has %d bytes", size)
			}
		}
		return all, most
	}

	t.Run("frames that wait for the pipe go out together", func(t *testing.T) {
		withSlowRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "x", First: 1, Bundles: true})
			synctest.Wait()
			say(t, a, texts...)
			messages := r.messages()
			all, _ := said(t, messages)
			equal(t, "it is sent", all, texts)
			if n := lines * (lengthSize + 1 + seqSize + 64) / maxBundle; len(messages) > n+5 {
				t.Errorf("%d messages for %d lines, want about %d", len(messages), lines, n)
			}
		})
	})

	t.Run("a line of any size goes out, and so does what follows it", func(t *testing.T) {
		withSlowRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "x", First: 1, Bundles: true})
			synctest.Wait()
			mixed := []string{"a", "b", strings.Repeat("x", MaxMessage), "c", strings.Repeat("y", maxBundle), strings.Repeat("z", maxBundle-100), "d", "e"}
			say(t, a, mixed...)
			all, _ := said(t, r.messages())
			equal(t, "it is sent", all, mixed)
		})
	})

	t.Run("a line that finds the pipe free is a message of its own", func(t *testing.T) {
		withSlowRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "x", First: 1, Bundles: true})
			r.messages()
			for _, text := range texts[:5] {
				say(t, a, text)
				if got := r.messages(); len(got) != 1 || len(got[0]) != 1 || got[0][0].text != text {
					t.Errorf("%v", got)
				}
			}
		})
	})

	for name, test := range map[string]struct {
		knows, announces bool
		options          []option
	}{
		"a side that does not know bundles gets each line alone": {false, true, nil},
		"so does every side if this one is told to":              {true, false, []option{unbundled}},
	} {
		t.Run(name, func(t *testing.T) {
			withSlowRaw(t, func(t *testing.T, a *talker, r raw) {
				r.hello(hello{Conversation: "x", First: 1, Bundles: test.knows})
				synctest.Wait()
				say(t, a, texts...)
				messages := r.messages()
				all, most := said(t, messages)
				equal(t, "it is sent", all, texts)
				if most != 1 {
					t.Errorf("%d frames came together", most)
				}
				if announces := messages[0][0].hello.Bundles; announces != test.announces {
					t.Errorf("its hello has bundles: %v", announces)
				}
			}, test.options...)
		})
	}

	t.Run("the lines of a bundle are read, and acknowledged", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			r.hello(hello{Conversation: "theirs", First: 1, Bundles: true})
			b := []byte{byte(kindBundle)}
			for i, text := range []string{"one", "two", "three"} {
				f, err := frame{kind: kindMessage, seq: uint64(i + 1), text: text}.encode()
				if err != nil {
					t.Fatal(err)
				}
				b = appendFrame(b, f)
			}
			r.send(b)
			synctest.Wait()
			var read []string
			for _, m := range only[Message](a.seen()) {
				read = append(read, m.Text)
			}
			equal(t, "this side reads", read, []string{"one", "two", "three"})
			var last frame
			for _, in := range r.messages() {
				last = in[len(in)-1]
			}
			if last.kind != kindAck || last.seq != 3 {
				t.Errorf("it answers %+v", last)
			}
		})
	})
}
