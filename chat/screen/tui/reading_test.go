package tui

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

func TestUnreadMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs)
	says := func(text string) { r.happens(chat.Message{From: "Ben", Text: text}) }
	titled := func(want string) {
		t.Helper()
		if got := r.title(); got != want {
			t.Errorf("the title is %q, not %q", got, want)
		}
	}
	says("seen")
	titled("Ben – p2pchat")
	r.send(tea.FocusMsg{}, tea.BlurMsg{})
	says("one")
	if got := r.writes(); !strings.Contains(got, "\x1b]0;(1) Ben – p2pchat\a") {
		t.Errorf("it writes %q", got)
	}
	says("two")
	titled("(2) Ben – p2pchat")
	r.shows(`seen\n─+ new ─+\n.*one\n.*two\n`)
	r.send(tea.FocusMsg{})
	titled("Ben – p2pchat")
	says("three")
	r.shows(`two\n.*three\n`)
	r.send(tea.BlurMsg{})
	says("four")
	r.shows(`seen\n.*one\n.*two\n.*three\n─+ new ─+\n.*four\n`)
	r.send(tea.FocusMsg{})

	for i := range 30 {
		says(fmt.Sprint("message ", i))
	}
	r.press("<pgup>")
	says("below")
	titled("(1) Ben – p2pchat")
	r.press("<esc>").shows(`message 29\n─+ new ─+\n.*below\n`)
	titled("Ben – p2pchat")

	r.happens(chat.Renamed{From: "Ben", To: "\x1b]0;evil\a" + strings.Repeat("n", 100)})
	if got := r.title(); strings.ContainsAny(got, "\x1b\a") || len(got) > 80 {
		t.Errorf("a name makes the title %q", got)
	}
}

// Where the terminal says nothing of its focus, a minute without a key counts.
func TestUnreadWithoutFocus(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs)
	r.clock = r.clock.Add(2 * time.Minute)
	r.happens(chat.Message{From: "Ben", Text: "hello?"})
	if r.title() != "(1) Ben – p2pchat" {
		t.Errorf("the title is %q", r.title())
	}
	if r.press("x"); r.title() != "Ben – p2pchat" {
		t.Errorf("after a key the title is %q", r.title())
	}
}

// The unread line may be anywhere when it moves.
func TestTheUnreadLineMoves(t *testing.T) {
	t.Parallel()
	r := newRig(t, 60, 9).happens(benIs).send(tea.FocusMsg{})
	for i := range 200 {
		r.send([]tea.Msg{tea.FocusMsg{}, tea.BlurMsg{}}[i/3%2])
		r.happens(chat.Message{From: "Ben", Text: fmt.Sprint("message ", i)})
		r.press([]string{"", "<pgup>", "<esc>", "<ctrl+home>", "<pgdown>", "<shift+up>", ""}[i%7])
		n := 0
		for _, e := range r.history.entries {
			if e.kind == unread {
				n++
			}
		}
		if n > 1 || strings.Count(r.history.transcript(), "message") != i+1 {
			t.Fatalf("there are %d unread lines, and %d messages after %d", n, strings.Count(r.history.transcript(), "message"), i+1)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	r := newRig(t, 60, 12).happens(benIs)
	for i := range 100 {
		r.happens(chat.Message{From: "Ben", Text: fmt.Sprintf("message %02d", i)})
		if i%40 == 10 {
			r.happens(chat.Message{From: "Ben", Text: fmt.Sprintf("the KÄse of day %d, and of no other", i)})
		}
	}
	r.press("a draft").press("<ctrl+r>käse").shows(`the KÄse of day 90`)
	r.shows(`^find: käse$`)
	r.shows(`↑ older, ↓ newer, Esc ends the search\.`)
	if !strings.Contains(r.View().Content, "the \x1b[7mKÄse\x1b[27m of") {
		t.Error("it is not highlighted")
	}
	r.press("<enter>").shows(`message 50\n.*KÄse of day 50`)
	r.press("<enter>").shows(`message 10\n.*KÄse of day 10`)
}

func TestSearchGoesBothWays(t *testing.T) {
	t.Parallel()
	r := newRig(t, 60, 12).happens(benIs)
	for i := range 100 {
		r.happens(chat.Message{From: "Ben", Text: fmt.Sprintf("message %02d", i)})
	}
	r.press("a draft<ctrl+r>5<backspace>3")
	for _, step := range [][2]string{{"", "message 93"}, {"<up>", "message 83"}, {"<enter>", "message 73"}, {"<down>", "message 83"}, {"<ctrl+s>", "message 93"}, {"<ctrl+s>", "No newer match"}} {
		r.press(step[0]).shows(step[1])
	}
	r.press("<esc>").shows(`message 99\n`)
	r.shows(`^> a draft$`)
	r.press("<ctrl+f>").shows(`^> a draft$`) // with a draft it moves, as in a shell
	r.press("<ctrl+u><ctrl+f>").shows(`^find:`)
	r.shows("Type what to search for")
	r.press("message 1x").shows("No match")
	r.press("<esc>/find message 0<enter>").shows(`message 09\n`)
	for range 9 {
		r.press("<up>")
	}
	r.shows(`message 00\n`)
	r.press("<up>").shows("No older match")
	r.send(tea.PasteMsg{Content: "7"}).shows(`message 07\n`)
	r.happens(chat.Message{From: "Ben", Text: "more"}, chat.Left{}).send(overMsg{}).press("<ctrl+c>").shows(`more\n`)
	if r.finding != nil || r.quits() {
		t.Error("Ctrl-C does not end the search alone")
	}
}

func TestClipboard(t *testing.T) {
	t.Parallel()
	copies := func(r *rig) string {
		for _, c := range r.asked {
			if text := fmt.Sprint(c()); text != "" {
				return text
			}
		}
		return ""
	}
	r := newRig(t, 80, 24).happens(invited).press("<ctrl+y>")
	if got := copies(r); got != invited.Link {
		t.Errorf("Ctrl-Y copies %q", got)
	}
	r.shows("Copied the link, if your terminal allows it")
	if r.press("/copy<enter>"); r.hint != "There is no message to copy yet." {
		t.Errorf("it hints %q", r.hint)
	}
	r.happens(benIs).press("one two<ctrl+w><ctrl+y>")
	if r.input.text != "one two" {
		t.Errorf("in a call Ctrl-Y makes %q", r.input.text)
	}
	r.press("<enter>/copy<enter>")
	if got := copies(r); got != "one two" {
		t.Errorf("/copy copies %q", got)
	}
	r.happens(chat.Message{From: "Ben", Text: "all:\n\tgo build\x1b[2J\u202e"}).press("mine<enter>/copy<enter>")
	if got := copies(r); got != "all:\n\tgo build␛[2J<U+202E>" {
		t.Errorf("/copy copies %q", got)
	}
	r.shows("Copied the last message")
}

func TestSendingPatterns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "c.jpg", ".hidden.txt", "odd[1].txt", "with space.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for typed, want := range map[string][]string{
		"DIR/*.txt":            {"a.txt", "b.txt", "odd[1].txt", "with space.txt"},
		"DIR/?.txt DIR/c.jpg":  {"a.txt", "b.txt", "c.jpg"},
		"DIR/[ab].txt":         {"a.txt", "b.txt"},
		"DIR/.*.txt":           {".hidden.txt"},
		"DIR/odd[1].txt":       {"odd[1].txt"},
		`DIR/odd\[1].txt`:      {"odd[1].txt"},
		`'DIR/odd[1].txt'`:     {"odd[1].txt"},
		"DIR/with space.txt":   {"with space.txt"},
		`"DIR/with space".txt`: {"with space.txt"},
		`DIR/with\ *`:          {"with space.txt"},
		"DIR/*.png":            nil,
		"DIR/a.txt DIR/*.png":  nil,
		`'DIR/*.txt'`:          {"*.txt"}, // quoted, it is a name: SendFiles says that there is none
	} {
		r := newRig(t, 200, 24).happens(benIs).press("/send " + strings.ReplaceAll(typed, "DIR", dir) + "<enter>")
		var sent []string
		for _, did := range r.talk.did {
			sent = append(sent, strings.TrimPrefix(did, "send "+dir+"/"))
		}
		if !slices.Equal(sent, want) {
			t.Errorf("/send %s sends %q", typed, sent)
		}
		if want == nil {
			r.shows(`Nothing was offered: no file matches .*/\*\.png`)
		}
	}
}

func TestUnknownCommands(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"/foo": "", "/hlep": "/help", "/accpet 4": "/accept", "/acc": "/accept", "/Quit": "/quit", "/sendfile": "", "/stast": "/stats", "/s": "", "/x": "",
		"/" + strings.Repeat("x", 50_000): "", "/qui\x1bt": "/quit", "/exit": "/quit", "/Nick": "/name",
	} {
		r := newRig(t, 80, 24).happens(benIs)
		r.input.set(typed)
		r.press("<enter>")
		name, _, _ := strings.Cut(typed, " ")
		remedy := "See /help."
		if want != "" {
			remedy = "Did you mean " + want + "?"
		}
		if r.hint != "Unknown command "+tidyLine(name)+". "+remedy+" To send it as text, start with //." {
			t.Errorf("%.20q hints %.200q", typed, r.hint)
		}
	}
}

// A draft whose first or last line begins like a command is held; a path is none.
func TestPathsAreNoCommands(t *testing.T) {
	t.Parallel()
	for _, text := range []string{" /etc/passwd", "see<alt+enter>/etc/passwd", "either/or", "look:<alt+enter>//etc"} {
		if r := newRig(t, 160, 24).happens(benIs).press(text + "<enter>"); len(r.outbox) != 1 {
			t.Errorf("%q is not sent: %q", text, r.hint)
		}
	}
}

func TestStatsAreHonest(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs, screen.Stats{RTT: 2 * time.Millisecond})
	r.clock = r.clock.Add(time.Hour)
	r.press("/stats<enter>").shows(`connected for +1 h 0 min`)
	r.happens(chat.Disconnected{})
	r.clock = r.clock.Add(7 * time.Second)
	r.press("/clear<enter>/stats<enter>").shows(`disconnected for +7 s`)
	r.shows(`last path +direct`)
	r.shows(`last round trip +2\.0 ms, lately`)
	if strings.Contains(r.seen(), "  connected for") {
		t.Error("it says that it is connected")
	}
	r.happens(chat.Reconnected{}, benIs)
	r.clock = r.clock.Add(5 * time.Second)
	r.press("/clear<enter>/stats<enter>").shows(`connected for +5 s`)
	r.happens(chat.Left{}).send(overMsg{}).press("/clear<enter>/stats<enter>").shows(`there is no connection any more`)
}

func TestHelpBreaksNoWord(t *testing.T) {
	t.Parallel()
	wide := newRig(t, 200, 60).happens(benIs, screen.Stats{RTT: 2 * time.Millisecond}).press("/help<enter>/stats<enter>").seen()
	words := strings.Fields(wide)
	for columns := 24; columns < 80; columns++ {
		r := newRig(t, columns, 200).happens(benIs, screen.Stats{RTT: 2 * time.Millisecond}).press("/help<enter>/stats<enter>")
		for row := range strings.Lines(r.seen()) {
			if !strings.HasPrefix(row, "  ") {
				continue
			}
			for _, word := range strings.Fields(row) {
				if !slices.Contains(words, word) {
					t.Errorf("on %d columns, %q is broken in %q", columns, word, row)
				}
			}
		}
	}
}

func TestNamesKeepTheirLetters(t *testing.T) {
	t.Parallel()
	newRig(t, 80, 24).happens(chat.Connected{Peer: "root", Path: "host", Verified: true}, chat.Disconnected{}, screen.StillLost{After: 30 * time.Second, Code: "417-falcon-zebra"}).shows(`root has not come back for 30 s\.`)
}

// A contact who has forgotten this side never comes, and nothing tells why.
func TestContactStaysAway(t *testing.T) {
	t.Parallel()
	for text, r := range map[string]*rig{
		`ben has not answered for 30 s, and may be away\. If ben has removed you`: newRig(t, 80, 24).happens(screen.Waiting{Contact: "ben"}, screen.StillAway{After: 30 * time.Second, Contact: "ben"}),
		`ben has not called for 30 s`:    newRig(t, 80, 24).happens(screen.Waiting{Contact: "ben", Answering: true}, screen.StillAway{After: 30 * time.Second, Contact: "ben", Answering: true}),
		`ben has not come back for 30 s`: newRig(t, 80, 24).happens(benIs, chat.Disconnected{}, screen.StillAway{After: 30 * time.Second, Contact: "ben", Lost: true}),
	} {
		r.shows(text)
		r.shows(`\(p2pchat contacts forget\s+@ben\)`)
		r.shows(`/keep`)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	if r := newRig(t, 80, 24).press("/verify no<enter>"); r.hint != "You are not connected yet." {
		t.Errorf("it hints %q", r.hint)
	}
	if r := newRig(t, 80, 24).happens(benIs).press("/verify no<enter>"); len(r.talk.did) > 0 {
		t.Error("a verified call is ended")
	}
	newRig(t, 160, 24).happens(benIs).press("/verify no<enter>").shows(`This call has no words to compare\. Both sides have proved that they know the secret\.`)
	kept := benIs
	kept.Contact = true
	newRig(t, 160, 24).happens(kept).press("/verify no<enter>").shows(`This call has no words to compare\. Both sides have proved that they kept each other\.`)
	if seen := newRig(t, 160, 24).happens(kept).press("/verify<enter>").seen(); strings.Count(seen, "Verified: you have kept each other, so nobody is listening in.") != 2 {
		t.Errorf("/verify does not say again why the call is verified:\n%s", seen)
	}
	r := newRig(t, 80, 24).happens(evesdrp).press("/verify<enter>")
	r.shows("The safety words are: oak elm fir ash")
	r.press("/verify yes<enter>").shows("● Ben · words compared")
	r.press("/verify no<enter>").shows("Someone may be listening. The call has been ended.")
	if !slices.Equal(r.talk.did, []string{"leave overheard"}) || r.quits() {
		t.Errorf("it does %q, and quits: %v", r.talk.did, r.quits())
	}
	r.shows("you ended the call: someone may be listening")
	if r.send(overMsg{}); r.quits() {
		t.Error("the warning is gone at once")
	}
	r.press("late<enter>").shows("It cannot be sent: the call is over")
	if r.press("<ctrl+u><enter>"); !r.quits() {
		t.Error("Enter does not close it")
	}
}

// Before the two connect, help can be read as a whole: the invitation gives way, and returns.
func TestHelpWhileWaiting(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {60, 18}, {40, 12}, {80, 60}} {
		for name, begins := range map[string]struct {
			event chat.Event
			head  string
		}{"calling": {invited, `417-falcon-zebra`}, "answering": {answered, `Answering`}, "asked": {screen.CodeWanted{Why: "Wrong code."}, `Wrong code\.`}} {
			r := newRig(t, size[0], size[1]).happens(begins.event)
			r.takesCodes()
			r.press("/help<enter>").shows(`^  /help `)
			var seen strings.Builder
			seen.WriteString(r.seen())
			for range 20 {
				r.press("<pgdown>")
				seen.WriteString(r.seen())
			}
			for _, c := range commands {
				if !strings.Contains(seen.String(), "  "+c.name+" ") {
					t.Errorf("%s, on %d×%d, %s cannot be read", name, size[0], size[1], c.name)
				}
			}
			r.shows(begins.head)
			for range 20 {
				r.press("<pgup>")
			}
			r.shows(`^  /help `)
			r.press("<esc>").shows(begins.head)
			r.shows(`delivered`)
			r.press("<ctrl+home>").shows(`^  /help `)
			r.press("<ctrl+end>").shows(begins.head)
		}
	}
	r := newRig(t, 80, 24).happens(invited).press("/help<enter>")
	r.shows(`Esc: back`)
	r.press("a message<enter>").shows(`417-falcon-zebra`)
	r.press("/help<enter>").happens(screen.CodeWanted{Why: "This code no longer works.", Calling: true}).shows(`^  Press Enter for a new code\.$`)
	r.happens(invited).press("<pgup>").happens(benIs).shows(`Connected with Ben`)
}

// The answer to a command is seen, also if the person still reads the answer to the one before.
func TestTheAnswerToACommandIsSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t, 40, 10).happens(benIs)
	r.press("/help<enter>").shows(`^ ▼ `)
	r.press("/keep<enter>").shows(`Noted\. You will have kept each`)
	r.press("/help<enter>").shows(`^ ▼ `)
	r.press("/send x<enter>").happens(chat.FileOffering{ID: 1, Name: "x"})
	r.shows(`You offered "x"`)
}
