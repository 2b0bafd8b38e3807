package main

import (
	"crypto/rand"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"p2pchat/peer/mail"
	"p2pchat/signaling"
)

// letterWith returns a letter of a conversation with one message, as a contact seals it.
func letterWith(conversation string, seq int, text string) string {
	return fmt.Sprintf(`{"conversation":"%032s","first":1,"written":"2026-11-29T12:00:00Z","frames":[{"seq":%d,"text":%s}]}`, conversation, seq, js(text))
}

// listenFaces are the faces of listen that show letters, with how they show one.
var listenFaces = map[string]struct {
	dialect func(stdio) listenDialect
	letter  string // with the text in place of %s
}{
	"in lines":   {func(std stdio) listenDialect { return lineListen{std} }, "\n%s\n"},
	"as objects": {func(std stdio) listenDialect { return jsonListen{std.out} }, `"text":"%s","type":"message"`},
}

// showsIn makes listen show all in one of listenFaces. What it shows is in the transcript.
func (s *switchboard) showsIn(face string) *transcript {
	shown := newTranscript()
	_, _ = shown.Write([]byte("\n")) // each line begins after another
	std := stdio{in: strings.NewReader(""), out: shown, err: shown}
	s.face = newStreamFace(s, std, listenFaces[face].dialect(std))
	return shown
}

// showsText waits until a transcript has a text.
func (t *transcript) showsText(text string) error {
	_, err := t.wait(regexp.MustCompile(regexp.QuoteMeta(text)))
	return err
}

// looked waits until listen has looked into as many more of the boxes of n contacts and of their decoys as a round does.
func (p *postman) looked(t *testing.T, rounds int) {
	t.Helper()
	want := p.reads.Load() + int64(16*rounds)
	eventually(t, func() bool { return p.reads.Load() >= want }, func() string {
		return fmt.Sprintf("listen has looked only %d times, not %d", p.reads.Load(), want)
	})
}

// letterLies are what a server does to letters, of which three are in a box.
var letterLies = map[string]struct {
	tell  func(list, seen []signaling.Block) []signaling.Block
	told  string
	shown int // how many of three letters
}{
	"repeats": {func(list, seen []signaling.Block) []signaling.Block {
		if len(list) > 0 {
			return append(list, list...)
		}
		return append(list, seen[:min(3, len(seen))]...)
	}, "The server sent 3 letters again; each is shown once.", 3},
	"reorders":  {func(list, _ []signaling.Block) []signaling.Block { slices.Reverse(list); return list }, "", 3},
	"withholds": {func(list, _ []signaling.Block) []signaling.Block { return list[min(1, len(list)):] }, "1 letter is missing: it expired, or the server withholds it. Its sender still has it.", 0},
	"invents": {func(list, seen []signaling.Block) []signaling.Block {
		if len(seen) == 0 && len(list) == 0 { // the box of no one
			return list
		}
		noise := make([]byte, 512)
		_, _ = rand.Read(noise)
		return append(list, signaling.Block{Number: 9, Bytes: noise})
	}, "The server sent 1 letter that your contact did not write; it is not shown.", 3},
	"truncates": {func(list, _ []signaling.Block) []signaling.Block {
		for i := range list {
			list[i].Bytes = list[i].Bytes[:100]
		}
		return list
	}, "that is not a p2pchat server", 0},
}

// A server that repeats, reorders, withholds, invents or truncates letters makes listen show none twice and none in another order,
// and its reader is told once.
func TestListenAtServersThatLie(t *testing.T) {
	for _, face := range slices.Sorted(maps.Keys(listenFaces)) {
		for _, name := range slices.Sorted(maps.Keys(letterLies)) {
			t.Run(name+", "+face, func(t *testing.T) {
				lie, shows := letterLies[name], listenFaces[face]
				m := &postman{lie: lie.tell}
				server := m.atDoor(t, "--rate", "client=0")
				at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
				for n := range 3 {
					letterOf(t, at, &from, letterWith("a", n+1, fmt.Sprint("letter ", n)))
				}
				m.lying.Store(true)
				var shown *transcript
				listensFor(t, server, 1, func(s *switchboard) { shown = s.showsIn(face) })
				if lie.told != "" {
					if err := shown.showsText(lie.told); err != nil {
						t.Fatal(err)
					}
				}
				if lie.shown > 0 {
					if err := shown.showsText(fmt.Sprintf(shows.letter, "letter 2")); err != nil {
						t.Fatal(err)
					}
				}
				m.looked(t, 5)
				last := -1
				for n := range 3 {
					text := fmt.Sprintf(shows.letter, fmt.Sprint("letter ", n))
					if times := strings.Count(shown.String(), text); times != map[bool]int{true: 1}[n < lie.shown] {
						t.Errorf("letter %d is shown %d times", n, times)
					}
					if at := strings.Index(shown.String(), text); at >= 0 && at < last {
						t.Errorf("letter %d is shown before the one before it", n)
					} else {
						last = at
					}
				}
				if lie.told != "" && strings.Count(shown.String(), lie.told) != 1 {
					t.Errorf("the lie is told %d times", strings.Count(shown.String(), lie.told))
				}
				if t.Failed() || lie.told == "" && strings.Contains(shown.String(), "server") {
					t.Errorf("listen shows:\n%s", shown)
				}
			})
		}
	}
}

// Where listen does not show letters itself, it tells once that they wait, and once what the server does to them.
func TestListenTellsLiesOfLettersThatWait(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(letterLies)) {
		t.Run(name, func(t *testing.T) {
			lie := letterLies[name]
			m := &postman{lie: lie.tell}
			server := m.atDoor(t, "--rate", "client=0")
			at, from := clientOf(t, server), mail.Outgoing{Box: boxOfContact(0)}
			for n := range 3 {
				letterOf(t, at, &from, letterWith("a", n+1, fmt.Sprint("letter ", n)))
			}
			m.lying.Store(true)
			_, f := listensFor(t, server, 1, func(s *switchboard) { s.o.full = true })
			want := []string{"@c0: messages wait for you at the server. To read them: p2pchat answer @c0"}
			switch {
			case name == "truncates":
				want = []string{"The program cannot look for letters at " + server + ": " + lie.told}
			case lie.told != "":
				want = append([]string{"@c0: " + lie.told}, want...)
			}
			for _, w := range want {
				if told := next(t, f.notes); !strings.HasPrefix(told, w) {
					t.Errorf("told %q, want %q", told, w)
				}
			}
			m.looked(t, 5)
			if len(f.notes) > 0 {
				t.Errorf("told as well: %q", <-f.notes)
			}
		})
	}
}

// A receipt that is lost is no missing letter: all that was written is in the next one.
func TestListenTellsOfNoLostReceipt(t *testing.T) {
	server := new(postman).atDoor(t, "--rate", "client=0")
	lost, err := mail.Outgoing{Box: boxOfContact(0)}.Seal([]byte(`{"conversation":"a","first":1}`))
	if err != nil {
		t.Fatal(err)
	}
	from := mail.Outgoing{Box: lost.Box}
	letterOf(t, clientOf(t, server), &from, letterWith("a", 1, "yo"))
	_, f := listensFor(t, server, 1, func(s *switchboard) { s.o.full = true })
	if told, want := next(t, f.notes), "@c0: messages wait for you at the server."; !strings.HasPrefix(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
