package chat

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The table has each character that compatibility decomposition makes one of the program's name.
func TestLookalikes(t *testing.T) {
	const program = "p2pchat"
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		like := strings.ToLower(strings.Map(func(r rune) rune {
			if alphanumeric(r) {
				return r
			}
			return -1
		}, norm.NFKD.String(string(r))))
		if !unicode.IsPrint(r) || like == "" || !strings.Contains(program, like) {
			continue
		}
		if !strings.ContainsRune(compat[like], r) {
			t.Errorf("%q (%U) looks like %q", r, r, like)
		}
	}
	for like, all := range homoglyphs {
		if got := skeleton(all); got != strings.Repeat(like, len([]rune(all))) {
			t.Errorf("those like %q come to %q", like, got)
		}
	}
}

// The page has the same vectors: see TestPageParts in cmd/p2pchat.
func TestName(t *testing.T) {
	file, err := os.ReadFile("testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Name, Proper string }
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	vectors = append(vectors, struct{ Name, Proper string }{"\xff", Stranger})
	for _, v := range vectors {
		name, want := v.Name, v.Proper
		t.Run(fmt.Sprintf("what calls itself %q is called %q", name, want), func(t *testing.T) {
			if err := CheckName(name); (err != nil) != (want == Stranger) {
				t.Errorf("it is checked with %v", err)
			}
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
