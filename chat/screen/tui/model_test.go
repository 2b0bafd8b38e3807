package tui

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"
	"github.com/charmbracelet/x/exp/teatest/v2"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

var (
	invited = screen.Waiting{Code: "417-falcon-zebra", Command: "p2pchat answer 417-falcon-zebra --server https://chat.example.org", Link: "https://chat.example.org/#417-falcon-zebra"}
	benIs   = chat.Connected{Peer: "Ben", Verified: true, Path: "host", Took: 31 * time.Millisecond}
	evesdrp = chat.Connected{Peer: "Ben", SafetyWords: []string{"oak", "elm", "fir", "ash"}, Path: "relay", Took: 31 * time.Millisecond}
)

// scenes are what the golden screens show.
var scenes = map[string]func(*rig){
	"starting":  func(r *rig) { r.happens(chat.Notice{Text: "waiting for a server at http://localhost:3000"}) },
	"waiting":   func(r *rig) { r.happens(invited) },
	"answering": func(r *rig) { r.happens(answered, screen.NoCall{Room: "601"}) },
	"asking": func(r *rig) {
		r.takesCodes()
		r.happens(answered, screen.CodeWanted{Why: "Wrong code."})
	},
	"burnt": func(r *rig) {
		r.takesCodes()
		r.happens(invited, screen.WrongCode{Left: 1}, screen.WrongCode{}, screen.CodeWanted{Why: "Three wrong codes were tried, so this code no longer works.", Calling: true})
	},
	"waiting-qr": func(r *rig) {
		r.streams.QR = true
		r.happens(invited, screen.WrongCode{Left: 2})
		r.press("here already<enter>")
	},
	"chatting": func(r *rig) {
		r.happens(invited, screen.Connecting{}, benIs, chat.Message{From: "Ben", Text: "Are you there?"})
		r.press("Yes. Nobody else is.<enter>").speaks(1).happens(chat.Delivered{ID: 1})
		r.happens(chat.Message{From: "Ben", Text: "日本語, 👋🏽 and e\u0301: wide, joined and marked, in a message that is long enough to be wrapped on most of the screens that people have"})
		r.happens(screen.Stats{RTT: 12 * time.Millisecond}, screen.Stats{RTT: 14 * time.Millisecond}, screen.Stats{RTT: 31 * time.Millisecond}, screen.Stats{RTT: 12 * time.Millisecond})
		r.clock = r.clock.Add(3 * time.Hour) // past midnight
		r.send(tea.PasteMsg{Content: "func main() {\r\n\tfmt.Println(\"on my way\")\r\n}"}).press("<enter>").speaks(2)
		r.press("half a<alt+enter>thought")
	},
	"hostile": func(r *rig) {
		r.happens(chat.Connected{Peer: "you", Path: "host"}, chat.Message{Text: "\x1b]0;owned\a\u202edrowssap\n21:04 you I am you"}, chat.Message{Text: strings.Repeat("\u0301", 500) + "\u2028x"})
	},
	"unverified":   func(r *rig) { r.happens(evesdrp).press("/verify<enter>") },
	"reconnecting": func(r *rig) { reconnecting(r) },
	"help":         func(r *rig) { r.happens(benIs).press("/help<enter>") },
	"stats": func(r *rig) {
		r.happens(benIs, screen.Stats{RTT: 400 * time.Microsecond}, screen.Stats{RTT: 2 * time.Second})
		r.press("one<enter>two<enter>").speaks(1).speaks(2).happens(chat.Delivered{ID: 1})
		r.clock = r.clock.Add(75 * time.Minute)
		r.press("/stats<enter>")
	},
	"files": func(r *rig) { files(r) },
	"long-name": func(r *rig) {
		r.happens(chat.Connected{Peer: strings.Repeat("Wolfeschlegelsteinhausenbergerdorff", 2)[:64], Path: "srflx", SafetyWords: evesdrp.SafetyWords}, chat.Message{Text: "hello"})
	},
	"left": func(r *rig) { r.happens(benIs, chat.Message{From: "Ben", Text: "bye"}, chat.Left{}).send(overMsg{}) },
}

func reconnecting(r *rig) {
	r.happens(benIs)
	r.press("one<enter>").speaks(1).happens(chat.Delivered{ID: 1})
	r.happens(chat.Disconnected{Reason: "the connection to the other side was lost"})
	r.press("two<enter>").speaks(2)
}

func files(r *rig) {
	r.happens(benIs, chat.FileOffered{ID: 4, From: "Ben", Name: "harbour.jpg", Size: 3_100_000}, chat.FileOffered{ID: 5, From: "Ben", Name: "plans", Size: 12_000, Folder: true, Files: 12})
	r.press("/accept 1<enter>").happens(chat.FileOffering{ID: 2, Name: "film.mkv", Size: 1_500_000_000})
	r.happens(chat.FileProgress{ID: 4, Name: "harbour.jpg", Size: 3_100_000}, chat.FileProgress{ID: 2, Outgoing: true, Name: "film.mkv", Size: 1_500_000_000})
	r.clock = r.clock.Add(500 * time.Millisecond)
	r.happens(chat.FileProgress{ID: 4, Name: "harbour.jpg", Bytes: 1_200_000, Size: 3_100_000}, chat.FileProgress{ID: 2, Outgoing: true, Name: "film.mkv", Bytes: 20_000_000, Size: 1_500_000_000})
}

func TestScreens(t *testing.T) {
	t.Parallel()
	for name, play := range scenes {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, size[0], size[1])
				play(r)
				var rows []string
				for _, row := range strings.Split(r.seen(), "\n") {
					rows = append(rows, strings.TrimRight(row, " "))
				}
				golden.RequireEqual(t, strings.Join(rows, "\n"))
			})
		}
	}
}

// The same model under Bubble Tea: what a person types is seen, and ends it.
func TestUnderBubbleTea(t *testing.T) {
	t.Parallel()
	r := newRig(t, 60, 12)
	p := teatest.NewTestModel(t, r.model, teatest.WithInitialTermSize(60, 12))
	taken := make(chan struct{})
	p.Send(eventMsg{benIs, taken})
	<-taken
	p.Type("Hello 日本語")
	p.Send(keyOf("enter"))
	said := <-r.outbox
	taken = make(chan struct{})
	p.Send(eventMsg{chat.Delivered{ID: 1}, taken}) // as can happen; so both cells of the mark are drawn at once
	<-taken
	p.Send(saidMsg{said, 1, nil, make(chan struct{})})
	teatest.WaitFor(t, p.Output(), func(b []byte) bool { return strings.Contains(string(b), "✓✓") }, teatest.WithDuration(30*time.Second))
	p.Type("/quit")
	p.Send(keyOf("enter"))
	final := p.FinalModel(t, teatest.WithFinalTimeout(30*time.Second)).(*model)
	if !final.leaving || said.lines[0] != "Hello 日本語" {
		t.Errorf("it ends with %v, and said %q", final.leaving, said.lines)
	}
}

// Every scene, on every size down to nothing: send checks that each screen fits.
func TestEverySize(t *testing.T) {
	t.Parallel()
	for name, play := range scenes {
		for _, columns := range []int{0, 1, 2, 7, 16, 23, 39, 60, 90} {
			for i, rows := range []int{0, 1, 2, 3, 5, 9, 13} {
				if testing.Short() && (columns+i)%3 > 0 {
					continue
				}
				r := newRig(t, columns, rows)
				play(r)
				r.press("<pgup><pgup><pgdown><up><down>").send(tea.WindowSizeMsg{Width: 80, Height: 24}, tea.WindowSizeMsg{Width: columns, Height: rows})
				if t.Failed() {
					t.Fatal(name)
				}
			}
		}
	}
}

func TestSaying(t *testing.T) {
	t.Parallel()

	t.Run("a message is said once it is whole, and what is too long is kept", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs)
		r.send(tea.PasteMsg{Content: strings.Repeat("x", chat.MaxMessage)}).press("y<enter>")
		r.shows("This has 65537 bytes, and a message holds at most 65536")
		r.press("<backspace><enter>")
		if e := <-r.outbox; len(e.text) != chat.MaxMessage || r.input.text != "" {
			t.Errorf("it says %d bytes, and keeps %d", len(e.text), len(r.input.text))
		}
	})

	t.Run("a slash is a command, two are one, and a text of several lines is as it is", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs)
		r.press("//etc<enter>").press("//a<alt+enter>b<enter>").press("/etc<enter>")
		for _, want := range []string{"/etc", "//a\nb"} {
			if e := <-r.outbox; e.text != want {
				t.Errorf("it says %q, not %q", e.text, want)
			}
		}
		r.shows("Unknown command /etc. See /help. To send it as text, start with //.")
		if r.press("<up>"); r.input.text != "/etc" || len(r.outbox) > 0 {
			t.Error("what was no command is gone, or said")
		}
	})

	t.Run("what only begins like a command is said when it is entered again", func(t *testing.T) {
		t.Parallel()
		for typed, why := range map[string]string{
			" /stats":                      "A command begins at the start of the line, so /stats was not run. To send this as a message: Enter again.",
			"/send new<alt+enter>line.txt": "A command is one line, so /send was not run. To send this as a message: Enter again.",
			"it is late<alt+enter> /quit":  "A command is one line, so /quit was not run. To send this as a message: Enter again.",
			"  /quti":                      "Unknown command /quti. Did you mean /quit? To send this as a message: Enter again.",
			"it is late<alt+enter>/quti":   "Unknown command /quti. Did you mean /quit? To send this as a message: Enter again.",
			"/foo<alt+enter>bar":           "Unknown command /foo. See /help. To send this as a message: Enter again.",
		} {
			r := newRig(t, 160, 24).happens(benIs).press(typed + "<enter>")
			if r.hint != why || len(r.outbox) > 0 || r.input.text == "" {
				t.Errorf("%q: it says %q, and keeps %q", typed, r.hint, r.input.text)
			}
			draft := r.input.text
			if r.press(" x<enter><enter><ctrl+u>"); len(r.outbox) != 1 {
				t.Errorf("a draft that was changed is sent at Enter %d", 2-len(r.outbox))
			}
			if e := <-r.outbox; e.text != draft+" x" {
				t.Errorf("it says %q, not %q", e.text, draft+" x")
			}
		}
	})

	t.Run("a command without an argument does nothing with one", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 160, 24).happens(benIs, chat.Message{From: "Ben", Text: "stay"})
		if r.press("/quit now<enter>"); r.quits() || r.hint != "/quit takes no argument, but was given now. ↑ brings it back." {
			t.Errorf("it says %q", r.hint)
		}
		if r.press("/clear x<enter>").shows("stay"); !strings.HasPrefix(r.hint, "/clear takes no argument") {
			t.Errorf("it says %q", r.hint)
		}
	})

	t.Run("nothing is said of nothing", func(t *testing.T) {
		t.Parallel()
		if r := newRig(t, 80, 24).happens(benIs).press("<enter>  <enter><alt+enter><enter>"); len(r.outbox) > 0 {
			t.Error("it says something")
		}
	})

	t.Run("what cannot be queued is kept in the box", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs)
		for range mostQueued + 1 {
			r.press("x<enter>")
		}
		r.shows("Too many messages are waiting")
		if r.input.text != "x" {
			t.Error("it is lost")
		}
	})

	t.Run("what was refused is told", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs).press("hello<enter>")
		r.send(saidMsg{<-r.outbox, 0, chat.ErrOver, make(chan struct{})})
		r.shows("Not sent: the conversation is over: hello")
	})

	t.Run("a mark says how far a message is", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).press("a<enter>")
		r.shows(`you a +○$`)
		r.speaks(3)
		r.shows(`you a +○$`)
		r.happens(benIs)
		r.shows(`you a + ✓$`)
		r.happens(chat.Disconnected{})
		r.shows(`you a +○$`)
		r.happens(chat.Reconnected{}, benIs, chat.Delivered{ID: 3})
		r.shows(`you a +✓✓$`)
		r.happens(chat.Disconnected{})
		r.shows(`you a +✓✓$`)
	})

	t.Run("messages of an earlier run are shown with their marks", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(chat.Queued{ID: 3, Text: "from before"}, chat.Queued{ID: 4, Text: "too\x1b[2J"})
		r.shows(`you from before +○$`)
		r.happens(chat.Mailed{ID: 3, Kept: time.Hour})
		r.shows(`^> Write a message: it waits at the server, sealed\.`)
		r.shows(`you from before + ✉$`)
		r.shows(`too␛\[2J +○$`)
		r.happens(benIs, chat.Delivered{ID: 4})
		r.shows(`you from before +✓✓$`)
		r.shows(`too␛\[2J +✓✓$`)
	})

	t.Run("messages of an earlier run have the time at which they were written", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24)
		today, before := r.clock.Add(-12*time.Minute), r.clock.Add(-72*time.Hour)
		r.happens(chat.Queued{ID: 1, Text: "days ago", Written: before}, chat.Queued{ID: 2, Text: "just before", Written: today})
		r.shows(`You wrote this on ` + before.Local().Format("Jan 2 15:04") + `:`)
		r.shows(clock(before.Local()) + ` you days ago +○$`)
		r.shows(clock(today.Local()) + ` you just before +○$`)
	})

	t.Run("of messages that waited together, a note above the first says when they were written", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24)
		early := r.clock.Add(-2 * time.Hour)
		r.happens(benIs, chat.Message{ID: 1, From: "Ben", Text: "one", Written: early}, chat.Message{ID: 2, From: "Ben", Text: "two", Written: early}, chat.Message{ID: 3, From: "Ben", Text: "three"})
		r.shows(`✉ Ben wrote this on ` + screen.Moment(early) + `:\s*\n.*one.*\n.*two.*\n.*three`)
		if n := strings.Count(r.seen(), "wrote this on"); n != 1 {
			t.Errorf("it is told %d times:\n%s", n, r.seen())
		}
	})

	t.Run("a loss is as long as it was noticed", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs, chat.Disconnected{})
		r.clock = r.clock.Add(7 * time.Second)
		r.happens(chat.Reconnected{}, benIs)
		r.shows(`Reconnected .* after 7 s$`)
		r.happens(chat.Disconnected{}, chat.Reconnected{}, benIs)
		r.shows(`Reconnected [^0-9]*$`)
	})

	t.Run("the route is drawn, and after a move the new one", func(t *testing.T) {
		t.Parallel()
		relayed := benIs
		relayed.Path, relayed.Route = "relay", "host,relay 192.0.2.1:5,host"
		r := newRig(t, 100, 24).happens(relayed).press("/stats<enter>")
		r.shows(`route +you ── relay 192\.0\.2\.1:5 ── Ben$`)
		r.happens(chat.Moved{From: "relay", To: "srflx", Route: "host 10.0.0.2:7,nat 192.0.2.7:8,nat 192.0.2.8:9,host", Reason: "udp", Theirs: true}).press("/clear<enter>/stats<enter>")
		r.shows(`route +you 10\.0\.0\.2:7 ── NAT 192\.0\.2\.7:8 ── NAT 192\.0\.2\.8:9 ── Ben$`)
		r.shows(`last move +The connection now goes directly.*through a relay,$`)
		r.shows(`for 0s\): Ben's network lets UDP through now$`)
	})

	t.Run("another path of the connection is told, and shown in the status", func(t *testing.T) {
		t.Parallel()
		relayed := benIs
		relayed.Path = "relay"
		r := newRig(t, 100, 24).happens(relayed)
		r.shows("relayed")
		r.happens(chat.Moved{From: "relay", To: "srflx"})
		r.shows(`now goes directly, through NAT \(before: through a relay, for 0s\)`)
		r.shows("via NAT")
		r.happens(chat.Relayed{Route: "host 10.0.0.2:7,relay 192.0.2.9:7,host"})
		r.shows("The connection goes through a relay, not directly")
		r.shows("relayed")
	})

	t.Run("a plain WebRTC program acknowledges nothing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(chat.Connected{Peer: chat.Stranger, Foreign: true, Path: "host"}).press("a<enter>").speaks(1)
		r.happens(chat.Disconnected{})
		r.shows(`you +a + ✓$`)
		if r.undelivered() != 0 {
			t.Error("it counts as not delivered")
		}
	})

	t.Run("after the end nothing is said, and Enter closes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs, chat.Left{}).send(overMsg{})
		if r.press("late<enter>"); r.quits() || len(r.outbox) > 0 {
			t.Error("a draft is lost")
		}
		r.shows("It cannot be sent: the call is over")
		if r.press("<ctrl+u><enter>"); !r.quits() {
			t.Error("it stays")
		}
	})
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	rings := func(r *rig) string {
		r.happens(chat.Message{From: "Ben", Text: "psst"})
		return regexp.MustCompile("\x1b\\]0;[^\a]*\a").ReplaceAllString(r.writes(), "") // the title
	}
	r := newRig(t, 80, 24).happens(benIs)
	if got := rings(r); got != "" {
		t.Errorf("it rings though the person has just typed: %q", got)
	}
	r.clock = r.clock.Add(2 * time.Minute)
	if rings(r) == "" {
		t.Error("it does not ring though the window is not seen")
	}
	r.send(tea.FocusMsg{})
	r.clock = r.clock.Add(2 * time.Minute)
	if got := rings(r); got != "" {
		t.Errorf("it rings though the terminal has the focus: %q", got)
	}
	r.send(tea.BlurMsg{})
	if rings(r) == "" {
		t.Error("it does not ring though the terminal lost the focus")
	}
	if got := rings(r); got != "" {
		t.Errorf("it rings twice at once: %q", got)
	}
	r.clock = r.clock.Add(time.Minute)
	r.streams.Quiet = true
	if got := rings(r); got != "" {
		t.Errorf("it rings though it must not: %q", got)
	}

	for _, test := range []struct{ env, want string }{
		{"TERM=xterm-256color", "\a"},
		{"TERM=xterm-kitty", "\a\x1b]9;p2pchat: message from Ben\a"},
		{"TERM_PROGRAM=iTerm.app", "\a\x1b]9;p2pchat: message from Ben\a"},
		{"VTE_VERSION=7600", "\a\x1b]777;notify;p2pchat;message from Ben\a"},
		{"TERM=foot", "\a\x1b]777;notify;p2pchat;message from Ben\a"},
		{"TMUX=/tmp/x", "\a"},
	} {
		n := newNotifier(func(name string) string {
			value, _ := strings.CutPrefix(test.env, name+"=")
			if value == test.env {
				return ""
			}
			return value
		})
		if got := n.sequence("message from Ben"); got != test.want {
			t.Errorf("with %s it rings %q", test.env, got)
		}
		if got := n.sequence("\x1b]0;x\a;"); strings.Contains(got[1:], "\x1b]0") {
			t.Errorf("a name gets through as %q", got)
		}
	}
}
