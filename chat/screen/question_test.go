package screen

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat"
)

// A desk is Line with a person before it, whom it asks.
type desk struct {
	*chat.Conversation
	feed  *io.PipeWriter
	notes *safeBuffer
	codes []string // that it was given
	err   error    // why it takes none
	again int      // how often the typed code was opened again
	given func()   // called when it is given a code; may be nil
}

// sitDown runs Line in a bubble of synctest until the test ends.
func sitDown(t *testing.T) *desk {
	t.Helper()
	in, feed := io.Pipe()
	d := &desk{Conversation: chat.New(chat.Config{}), feed: feed, notes: &safeBuffer{}}
	shown := make(chan error)
	go func() {
		shown <- Line(t.Context(), d.Conversation, Streams{
			In: in, Out: io.Discard, Notes: d.notes, Typed: true,
			Code: func(text string) error {
				d.codes = append(d.codes, text)
				if d.given != nil {
					d.given()
				}
				return d.err
			},
			IsCode: func(text string) bool { return strings.HasPrefix(text, "code: ") },
			Again:  func() error { d.again++; return d.err },
		})
	}()
	t.Cleanup(func() {
		d.Close()
		if err := <-shown; err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *desk) happens(events ...chat.Event) {
	for _, e := range events {
		d.Tell(e)
	}
	synctest.Wait()
}

func (d *desk) types(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(d.feed, text); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

func TestQuestions(t *testing.T) {
	t.Run("a code that is wanted is the next line, and no message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			d.types(t, "a message\n")
			d.happens(CodeWanted{Why: "Wrong code."})
			d.err = errors.New(`"ovne" is not a code word`)
			d.types(t, "601-animal-ovne\n")
			d.err = nil
			d.types(t, "\n")
			d.types(t, "another message\n")
			equal(t, "the codes are", d.codes, []string{"601-animal-ovne", "601-animal-ovne"})
			want := "p2pchat: Wrong code.\np2pchat: Type the caller's code:\np2pchat: \"ovne\" is not a code word\n"
			if got := d.notes.String(); got != want {
				t.Errorf("noted %q, not %q", got, want)
			}
		})
	})

	t.Run("a code that turns out to be wrong at once is asked for again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			d.happens(CodeWanted{Why: "Wrong code."})
			d.given = func() { // before the screen knows that it was taken
				d.given = nil
				d.Tell(CodeWanted{Why: "Wrong code again."})
				time.Sleep(time.Second) // until it is shown
			}
			d.types(t, "601-animal-oven\n")
			d.types(t, "602-animal-oven\n")
			d.types(t, "a message\n")
			equal(t, "the codes are", d.codes, []string{"601-animal-oven", "602-animal-oven"})
		})
	})

	t.Run("a line that is a code is no message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			d.types(t, "a message\ncode: 601-animal-oven\n")
			equal(t, "the codes are", d.codes, []string{"code: 601-animal-oven"})
		})
	})

	t.Run("a caller gets a new code with Enter, and other lines are messages", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			d.happens(CodeWanted{Why: "Burnt.", Calling: true})
			d.types(t, "are you there\n\n")
			equal(t, "the codes are", d.codes, []string{""})
			if got, want := d.notes.String(), "p2pchat: Burnt.\np2pchat: Press Enter for a new code.\n"; got != want {
				t.Errorf("noted %q, not %q", got, want)
			}
		})
	})

	t.Run("/again is a command while the connection is lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			d.types(t, "/again\n") // a message
			d.happens(chat.Disconnected{Reason: "lost"}, StillLost{After: 30 * time.Second, Code: "417-a-b"})
			d.types(t, "/again\n")
			d.happens(chat.Connected{Peer: "Ben", Path: "host", Verified: true})
			d.types(t, "/again\n")
			if d.again != 1 {
				t.Errorf("it was opened %d times", d.again)
			}
			if want := "p2pchat: The other side has not come back for 30 s. A program that was started again knows only the code 417-a-b. To wait with that code as well, type /again: anyone who knows the code can then answer.\n"; !strings.Contains(d.notes.String(), want) {
				t.Errorf("%q is not among the notes: %s", want, d.notes)
			}
		})
	})

	t.Run("/keep is a command before the other side has asked, too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			d.types(t, "/keep ben\n")
			if want := "p2pchat: This program has no place for contacts\n"; !strings.Contains(d.notes.String(), want) {
				t.Errorf("%q is not among the notes: %s", want, d.notes)
			}
			if n := d.Waiting(); n > 0 {
				t.Errorf("%d messages were said", n)
			}
		})
	})

	t.Run("in a call without a secret, /keep is for the full screen", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			d.happens(chat.KeepAsked{From: "Ben"})
			if want := "first compare the safety words, then type /keep on the full screen (--ui tui)."; !strings.Contains(d.notes.String(), want) {
				t.Errorf("%q is not among the notes: %s", want, d.notes)
			}
		})
	})

	t.Run("the end of a typed input is told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := sitDown(t)
			_ = d.feed.Close() // it never fails
			synctest.Wait()
			d.happens(chat.InputEnded{}, chat.Left{Reply: true})
			for _, want := range []string{"p2pchat: Your input has ended. What the other side writes is still shown; Ctrl-C leaves.\n", "p2pchat: Both sides have finished: the call is over.\n"} {
				if !strings.Contains(d.notes.String(), want) {
					t.Errorf("%q is not among the notes: %s", want, d.notes)
				}
			}
		})
	})

	t.Run("a person who leaves is not told that the other side has finished, nor that the input has ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var d *desk
			t.Cleanup(func() { // once Line has closed the input
				if want := "p2pchat: You have left: the call is over.\n"; !strings.Contains(d.notes.String(), want) || strings.Contains(d.notes.String(), "Both") || strings.Contains(d.notes.String(), "input") {
					t.Errorf("%q is not among the notes: %s", want, d.notes)
				}
			})
			d = sitDown(t)
			d.happens(chat.Left{Reply: true})
		})
	})

	for name, happens := range map[string]func(*testing.T, *desk){
		"before": func(t *testing.T, d *desk) {
			t.Helper()
			_ = d.feed.Close() // it never fails
			synctest.Wait()
			d.happens(CodeWanted{Why: "Wrong code."})
		},
		"after": func(t *testing.T, d *desk) {
			t.Helper()
			d.happens(CodeWanted{Why: "Wrong code."})
			_ = d.feed.Close() // it never fails
			synctest.Wait()
		},
	} {
		t.Run("an input that ended "+name+" a code was wanted ends the conversation", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := sitDown(t)
				happens(t, d)
				if _, err := d.Say(t.Context(), "too late"); !errors.Is(err, chat.ErrOver) {
					t.Errorf("it goes on: %v", err)
				}
			})
		})
	}
}

func TestJSONAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, feed := io.Pipe()
		c, asked := chat.New(chat.Config{}), 0
		var out safeBuffer
		shown := make(chan error)
		go func() {
			shown <- JSON(t.Context(), c, Streams{In: in, Out: &out, Again: func() error {
				if asked++; asked > 1 {
					return errors.New("burnt")
				}
				return nil
			}})
		}()
		if _, err := io.WriteString(feed, `{"type":"again"}`+"\n"+`{"type":"again"}`+"\n"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		c.Close()
		if err := <-shown; err != nil || asked != 2 {
			t.Errorf("it asked %d times, and ends with %v", asked, err)
		}
		if all := objectsOf(t, out.String()); len(all) != 1 || all[0]["code"] != "not-again" || all[0]["message"] != "input line 2: burnt" {
			t.Errorf("it says %v", all)
		}
	})
}
