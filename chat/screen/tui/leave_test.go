package tui

import (
	"fmt"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

func TestLeaving(t *testing.T) {
	t.Parallel()
	for typed, interrupts := range map[string]int{"/quit<enter>": 0, "<ctrl+d>": 0, "<ctrl+c><ctrl+c>": 1, "draft<ctrl+c><ctrl+c><ctrl+c>": 1} {
		r := newRig(t, 80, 24).happens(benIs)
		n := 0
		r.streams.Interrupt = func() { n++ }
		if r.press(typed); !r.quits() || n != interrupts {
			t.Errorf("%s leaves: %v; interrupts: %d", typed, r.quits(), n)
		}
	}

	t.Run("Ctrl-C clears a draft of many lines, asks, and leaves", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs).press("one<alt+enter>two<alt+enter><ctrl+c>")
		if r.quits() || r.input.text != "" {
			t.Errorf("it keeps %q", r.input.text)
		}
		if r.press("<up>"); r.input.text != "one\ntwo\n" {
			t.Errorf("the draft comes back as %q", r.input.text)
		}
		r.press("<ctrl+c><ctrl+c>").shows("Press Ctrl-C again to leave")
		if r.press("x<backspace><ctrl+c>"); r.quits() {
			t.Error("it leaves though another key came between")
		}
	})

	t.Run("a draft hides no way out of a call that has ended", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, 80, 24).happens(benIs).press("draft").happens(chat.Left{})
		r.shows(`has left · to close: Ctrl-C, then Enter`)
		r.press("<enter>").shows(`^It cannot be sent: the call is over\. To close this screen: Ctrl-C, then Enter\.$`)
		if r.press("<ctrl+c><enter>"); !r.quits() {
			t.Error("it stays")
		}
	})

	// How each way of leaving asks.
	asks := map[string]string{"/quit<enter>": "Type /quit", "<ctrl+d>": "Press Ctrl-D", "<ctrl+c>": "Press Ctrl-C"}
	for name, test := range map[string]struct {
		play func(*rig)
		asks string
	}{
		"a file": {func(r *rig) { r.happens(benIs, chat.FileOffering{ID: 1, Name: "x"}) }, "A file is still on its way. %s again to drop it."},
		"a file that the goodbye ends": {func(r *rig) {
			r.streams.Keeps = true
			r.happens(benIs, chat.FileOffering{ID: 1, Name: "x"})
		}, "A file is still on its way. %s again to drop it."},
		"offers without an answer": {func(r *rig) {
			r.happens(benIs, chat.FileOffered{ID: 1, Name: "x"}, chat.FileOffered{ID: 2, Name: "y"})
		}, "2 offered files wait for your answer: /accept all takes them. %s again to drop them."},
		"two files": {func(r *rig) {
			r.happens(benIs, chat.FileOffering{ID: 1, Name: "x"}, chat.FileOffering{ID: 2, Name: "y"})
		}, "2 files are still on their way. %s again to drop them."},
		"a message without a reader": {func(r *rig) { r.happens(invited).press("a<enter>").speaks(1) }, "1 message has not been delivered. %s again to drop it."},
		"messages after a loss": {func(r *rig) {
			r.happens(benIs, chat.Disconnected{}).press("a<enter>b<enter>").speaks(1)
		}, "2 messages have not been delivered. %s again to drop them."},
		"a message that stays away": {func(r *rig) {
			r.happens(benIs).press("a<enter>").speaks(1)
			r.clock = r.clock.Add(3 * time.Second)
		}, "1 message has not been delivered. %s again to drop it."},
		"a message and a file": {func(r *rig) {
			r.happens(benIs, chat.FileOffering{ID: 1, Name: "x"}, chat.Disconnected{}).press("a<enter>").speaks(1)
		}, "1 message and 1 file have not been delivered. %s again to drop them."},
	} {
		for keys, how := range asks {
			t.Run(name+" "+keys, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, 80, 24)
				test.play(r)
				if r.press(keys); r.quits() || r.hint != fmt.Sprintf(test.asks, how) {
					t.Errorf("it leaves: %v; it hints %q", r.quits(), r.hint)
				}
				if r.press(keys); !r.quits() {
					t.Error("it stays though it was asked twice")
				}
			})
		}
	}

	for name, play := range map[string]func(*rig){
		"a message that is on its way": func(r *rig) { r.happens(benIs).press("a<enter>").speaks(1) },
		"a message that was read": func(r *rig) {
			r.happens(benIs).press("a<enter>").speaks(1).happens(chat.Delivered{ID: 1}, chat.Disconnected{})
		},
		"a file that an outbox keeps, before the two meet": func(r *rig) { r.streams.Keeps = true; r.happens(invited, chat.FileOffering{ID: 1, Name: "x"}) },
		"files that an outbox keeps, after a loss": func(r *rig) {
			r.streams.Keeps = true
			r.happens(benIs, chat.FileOffering{ID: 1, Name: "x"}, chat.FileProgress{ID: 1, Outgoing: true, Name: "x", Size: 9}, chat.FileOffered{ID: 1, Name: "y"}, chat.Disconnected{})
		},
		"a message that an outbox keeps": func(r *rig) { r.streams.Keeps = true; r.press("a<enter>").speaks(1) },
		"a message that was refused":     func(r *rig) { r.press("a<enter>").send(saidMsg{<-r.outbox, 0, chat.ErrOver, make(chan struct{})}) },
	} {
		r := newRig(t, 80, 24)
		play(r)
		if r.press("/quit<enter>"); !r.quits() {
			t.Errorf("it asks because of %s: %s", name, r.hint)
		}
	}

	t.Run("what comes between two askings makes the second one the first", func(t *testing.T) {
		t.Parallel()
		for _, typed := range []string{"/quit<enter><enter>/quit<enter>", "/quit<enter>/stats<enter>/quit<enter>", "/quit<enter><ctrl+d>", "<ctrl+d>x<backspace><ctrl+d>", "<ctrl+c><ctrl+d>", "<ctrl+d>/quit<enter>", "<ctrl+c>/quit<enter>"} {
			if r := newRig(t, 80, 24).happens(invited).press("a<enter>").speaks(1).press(typed); r.quits() || r.hint == "" {
				t.Errorf("%s leaves: %v; it hints %q", typed, r.quits(), r.hint)
			}
		}
	})

	if r := newRig(t, 80, 24).press("draft<ctrl+a><ctrl+d>"); r.quits() || r.input.text != "raft" {
		t.Error("Ctrl-D does not delete")
	}
}

// Whatever ends a call, the screen stays until the person closes it: what they type must not reach the shell.
func TestACallThatFailsWaitsForEnter(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(*rig){
		"while it rings":         func(r *rig) { r.happens(invited, chat.Ringing{}) },
		"while it waits":         func(r *rig) { r.happens(invited) },
		"while it answers":       func(r *rig) { r.happens(answered, screen.NoCall{}) },
		"while it connects":      func(r *rig) { r.happens(screen.Connecting{}) },
		"in the call":            func(r *rig) { r.happens(benIs) },
		"after a loss":           func(r *rig) { r.happens(benIs, chat.Disconnected{}) },
		"while it wants a code":  func(r *rig) { r.happens(answered, screen.CodeWanted{Why: "Wrong code."}) },
		"when the code is spent": func(r *rig) { r.happens(invited, screen.CodeWanted{Why: "Three wrong codes.", Calling: true}) },
		"before it waits":        func(*rig) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 80, 24).press("x<backspace>")
			play(r)
			if r.happens(screen.Failed{Message: "it broke"}).send(overMsg{}); r.quits() {
				t.Fatal("it closes by itself")
			}
			r.shows(`It broke`)
			r.shows(`the conversation is over`)
			r.shows(`^> Press Enter to close this screen`)
			if r.press("touch OOPS<enter>"); r.quits() {
				t.Error("a draft closes it")
			}
			r.shows(`^It cannot be sent: the call is over\. To close this screen: Ctrl-C, then Enter\.$`)
			if r.press("<ctrl+c><enter>"); !r.quits() {
				t.Error("it stays")
			}
		})
	}
	for name, r := range map[string]*rig{"before the call": newRig(t, 80, 24), "in the call": newRig(t, 80, 24).happens(benIs)} {
		if r.happens(screen.Failed{Message: "no server"}).send(overMsg{}); !r.quits() {
			t.Errorf("it stays %s, though no key was pressed", name)
		}
	}
	r := newRig(t, 80, 24).happens(benIs).press("a<enter>").happens(screen.Failed{Message: "it broke"})
	saved := make(chan struct{})
	if r.send(overMsg{saved}); r.saved == nil {
		t.Error("all counts as saved though a message is on its way")
	}
	r.speaks(1)
	<-saved
	if r := newRig(t, 80, 24).happens(benIs).send(overMsg{}); !r.quits() {
		t.Error("it stays though the person asked for the end, with --leave-on-eof")
	}
}
