package chat

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"Ben":                     "Ben",
		" Ann-Lena Müller 3 ":     "Ann-Lena Müller 3",
		"🚀":                       "🚀",
		"アン":                      "アン",
		"Ben of p2pchat":          "Ben of p2pchat",
		"p2p":                     "p2p",
		"p2p\u65e5\u672c":         "p2p\u65e5\u672c", // longer than the program's in bytes alone
		"a\x1b]0;evil\x07\n":      "a]0;evil",
		"B\u200be\u202en\ufe0f":   "Ben",
		strings.Repeat("ö", 64):   strings.Repeat("ö", 64),
		strings.Repeat("ö", 1000): strings.Repeat("ö", 64),

		"":                    Stranger,
		"\xff":                Stranger,
		" \t\u00a0\u200b\r\n": Stranger,
		"\u3164":              Stranger, // a letter that is blank
		"p2pchat":             Stranger,
		"P2Pchat":             Stranger,
		" p2pchat ":           Stranger,
		"p2p\u200bchat":       Stranger,
		"p2pchat-bot":         Stranger,
		"p2pchat: verified":   Stranger,
		"\x00p2\x1bpchat":     Stranger,
		"\u0301p2pchat":       Stranger,
		"p2p\ufe0fchat":       Stranger,
		"\u2800p2pchat":       Stranger,
		"[p2pchat]":           Stranger,
	} {
		t.Run(fmt.Sprintf("what calls itself %q is called %q", name, want), func(t *testing.T) {
			if mine := New(Config{Name: name}).config.Name; mine != want {
				t.Errorf("this side calls itself %q, not %q", mine, want)
			}
			withRaw(t, func(t *testing.T, a *talker, r raw) {
				r.hello(hello{Conversation: "x", First: 1, Name: name})
				r.say(1, "verified: nobody is in the middle")
				synctest.Wait()
				want := want
				if name == "\xff" {
					want = "\ufffd" // JSON is always UTF-8
				}
				equal(t, "the other side is called", names(a), []string{want})
				equal(t, "and its message is from", senders(a), []string{want})
			})
		})
	}
}

func senders(c *talker) (ns []string) {
	for _, m := range only[Message](c.seen()) {
		ns = append(ns, m.From)
	}
	return ns
}

func TestSetName(t *testing.T) {
	meeting(t, func(t *testing.T, a, b *talker) {
		synctest.Wait()
		if got := a.SetName("Annie\n"); got != "Annie" {
			t.Errorf("she is called %q", got)
		}
		say(t, a, "hi")
		synctest.Wait()
		a.SetName("Annie") // no other one
		a.SetName("p2pchat")
		synctest.Wait()
		equal(t, "the other side is told", only[Renamed](b.seen()), []Renamed{{"Ann", "Annie"}, {"Annie", Stranger}})

		a.ends[0].cut()
		a.SetName("Anna")
		left, right := newPair(4)
		a.joins(left)
		b.joins(right)
		say(t, a, "there?")
		synctest.Wait()
		equal(t, "messages come from", senders(b), []string{"Annie", "Anna"})
		equal(t, "and who is there is", names(b), []string{"Ann", "Anna"})
	})
}
