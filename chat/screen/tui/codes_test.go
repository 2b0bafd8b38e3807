package tui

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
)

var answered = screen.Waiting{Code: "601-animal-oven", Command: "p2pchat call 601-animal-oven", Answering: true}

// An answerer is not shown what callers are shown, and learns that no call is open.
// Where another person has answered the call, this one waits again, and another code can be typed.
func TestACallThatAnotherHasAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(answered, screen.NoCall{Room: "601"}, screen.Connecting{}, screen.Taken{})
	r.takesCodes()
	r.shows(`Another person has answered this call\.`)
	r.press("<enter>").shows(`^code: `)
}

func TestAnswering(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {40, 10}, {20, 6}} {
		r := newRig(t, size[0], size[1]).happens(answered)
		r.shows(`^  Answering`)
		if seen := r.seen(); strings.Contains(seen, "Tell the other side") || strings.Contains(seen, "types:") || strings.Contains(seen, "copies") {
			t.Errorf("it shows the caller's screen:\n%s", seen)
		}
		r.happens(screen.NoCall{Room: "601"})
		seen := strings.Join(strings.Fields(r.seen()), " ")
		if want := "Nobody is calling in room 601 yet. If the caller is already waiting, the code is mistyped or used up: ask for a new one. If this program was started again, ask the other side to type /again."; size[1] > 6 && !strings.Contains(seen, want) {
			t.Errorf("it does not say that no call is open:\n%s", r.seen())
		}
		if strings.Contains(seen, "Press Enter") {
			t.Errorf("it asks for a code that it does not take:\n%s", r.seen())
		}
		r.happens(screen.Connecting{})
		r.shows(`connecting`)
	}
	r := newRig(t, 80, 24).happens(screen.Waiting{Code: "lobby", Answering: true, Lobby: true}, screen.NoCall{Room: "lobby", Command: "p2pchat call", Here: true})
	r.shows(`^  Answering in the lobby$`)
	if want := "Nobody is calling in the lobby yet. If the caller has a code, leave and run p2pchat answer CODE. On this machine, the other side types: p2pchat call"; !strings.Contains(strings.Join(strings.Fields(r.seen()), " "), want) {
		t.Errorf("it does not say what to do:\n%s", r.seen())
	}
}

// A doubt is the error of a code that is taken when it is entered again.
type doubt string

func (d doubt) Error() string      { return string(d) }
func (doubt) Is(target error) bool { return target == screen.ErrDoubtful }

// takesCodes returns the codes that a rig was given. It doubts the first ones.
func (r *rig) takesCodes(doubts ...string) *[]string {
	var codes []string
	r.streams.Code = func(text string) error {
		codes = append(codes, text)
		if n := len(codes); n <= len(doubts) {
			return doubt(doubts[n-1])
		}
		return nil
	}
	r.streams.Complete = func(begun string) (string, []string) {
		switch {
		case strings.HasSuffix(begun, "ov"):
			return begun + "e", []string{"oven", "over"}
		case strings.HasSuffix(begun, "ove"):
			return begun, []string{"oven", "over"}
		}
		return begun, nil
	}
	return &codes
}

func TestTypingAnotherCode(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(answered)
	codes := r.takesCodes(`"ovne" is not a code word. If it is right, press Enter again.`)
	r.press("a draft")
	r.happens(screen.CodeWanted{Why: "Wrong code."})
	r.shows(`^  Wrong code\.$`)
	r.shows(`^  Type the caller's code\.$`)
	r.shows(`^code: Tab completes its words$`)
	r.press("<esc>").shows(`^code: `) // there is no other way on
	r.press("601-animal-ov<tab>")
	r.shows(`^code: 601-animal-ove$`)
	r.press("<tab>").shows(`^oven  over$`)
	r.press("<backspace>ne<enter>")
	r.shows(`(?s)^"ovne" is not a code word\. If it is right, press Enter again\. Or correct it\s+here: Ctrl-U empties the line\.`)
	r.press("<enter>")
	r.shows(`^> a draft$`)
	if want := []string{"601-animal-ovne", "601-animal-ovne"}; !slices.Equal(*codes, want) {
		t.Errorf("the codes are %q, not %q", *codes, want)
	}

	// Where no call is open the person may type another code, and need not.
	r.happens(answered, screen.NoCall{Room: "601"})
	r.shows(`^  Press Enter to type another code\.$`)
	r.press("<ctrl+u><enter>").shows(`^code: `)
	r.press("60<esc>").shows(`^> Type ahead`)
	r.press("<enter>602-animal-oven").happens(screen.Connecting{}, benIs)
	r.shows(`^> Write a message`) // it answers a call that has come
	if (*codes)[len(*codes)-1] != "601-animal-ovne" {
		t.Errorf("a code was taken that was not entered: %q", *codes)
	}
}

// A code in the box is tried, and never sent, as long as the two have not met.
func TestACodeIsNoMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(answered, screen.NoCall{Room: "601"})
	codes := r.takesCodes("that call is on another server")
	r.streams.IsCode = func(text string) bool { return strings.HasSuffix(text, "602-animal-oven") }
	r.press("code: 602-animal-oven<enter>").shows(`^That call is on another server `)
	r.press("<enter>").shows(`^> Type ahead`)
	r.press("602 animals<enter>")
	if len(*codes) != 2 || len(r.outbox) != 1 {
		t.Errorf("the codes are %q, and %d messages wait", *codes, len(r.outbox))
	}
	r.happens(benIs).press("602-animal-oven<enter>")
	if len(*codes) != 2 || len(r.outbox) != 2 {
		t.Errorf("connected, the codes are %q, and %d messages wait", *codes, len(r.outbox))
	}
}

// A text that is no code leaves the box, so that the next one is not appended to it.
func TestARefusedCodeLeavesTheBox(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(answered)
	var codes []string
	r.streams.Code = func(text string) error {
		if codes = append(codes, text); text == "@carl" {
			return errors.New("@carl is a contact, not a code")
		}
		return nil
	}
	r.happens(screen.CodeWanted{Why: "Wrong code."})
	r.press("@carl<enter>").shows(`^@carl is a contact, not a code$`)
	r.shows(`^code: Tab completes its words$`)
	r.press("<up>").shows(`^code: @carl$`)
	r.press("<down>602-animal-oven<enter>").shows(`^> Type ahead`)
	if want := []string{"@carl", "602-animal-oven"}; !slices.Equal(codes, want) {
		t.Errorf("the codes are %q, not %q", codes, want)
	}
}

// A line that may be a code is tried as one first, and sent if the person says so.
func TestACodeOfOwnWordsIsNoMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(answered, screen.NoCall{Room: "lobby"})
	codes := r.takesCodes("press Enter again.", "press Enter again.")
	r.streams.MayBeCode = func(text string) bool { return strings.Contains(text, "-") }
	r.press("well-known<enter>").shows(`^Press Enter again\. To send it as a message: Esc, Enter\.$`)
	r.shows(`^code: well-known$`)
	r.press("<esc><enter>").shows(`^> Type ahead`)
	r.press("our-own<enter><enter>").shows(`^> Type ahead`)
	if want := []string{"well-known", "our-own", "our-own"}; !slices.Equal(*codes, want) || len(r.outbox) != 1 {
		t.Errorf("the codes are %q, not %q, and %d messages wait", *codes, want, len(r.outbox))
	}
}

// A mistyped code that the person clears or corrects is no draft: the next Enter would send it to the caller.
func TestAReplacedCodeIsNoDraft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after string
		codes []string
	}{
		"cleared, and another one": {"<ctrl+c>418-falcon-zebra<enter>", []string{"standup-corect-horse", "418-falcon-zebra"}},
		"corrected":                {"<ctrl+u>standup-correct-horse<enter>", []string{"standup-corect-horse", "standup-correct-horse"}},
		"cleared, and none":        {"<ctrl+c><esc>", []string{"standup-corect-horse"}},
		"erased, and none":         {"<ctrl+u><esc>", []string{"standup-corect-horse"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 80, 24).happens(answered, screen.NoCall{Room: "lobby"})
			codes := r.takesCodes("press Enter again.")
			r.streams.MayBeCode = func(text string) bool { return strings.Contains(text, "-") }
			r.press("standup-corect-horse<enter>").shows(`^code: standup-corect-horse$`)
			r.press(c.after).shows(`^> Type ahead`)
			r.happens(benIs).press("<enter>").shows(`^> Write a message`)
			if len(r.outbox) > 0 || !slices.Equal(*codes, c.codes) {
				t.Errorf("%d messages are sent, and the codes are %q, not %q", len(r.outbox), *codes, c.codes)
			}
			r.press("<up>").shows(`^> standup-corect-horse$`)
		})
	}
}

// Nor is one a message that the person was asked about when the caller came: the Enter that was to try it would send it.
func TestADoubtedCodeIsNoMessageOnceTheCallerComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(answered, screen.NoCall{Room: "lobby"})
	r.takesCodes("press Enter again.")
	r.streams.MayBeCode = func(text string) bool { return strings.Contains(text, "-") }
	r.press("standup-corect-horse<enter>").shows(`^code: standup-corect-horse$`)
	r.happens(benIs).press("<enter>").shows(`^> Write a message`)
	if len(r.outbox) > 0 {
		t.Error("the code is sent")
	}
	r.press("<up><enter>")
	if len(r.outbox) != 1 {
		t.Error("it cannot be sent as a message")
	}
}

// At the question for a code, commands are commands.
func TestACommandIsNoCode(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(answered)
	codes := r.takesCodes()
	r.happens(screen.CodeWanted{Why: "Wrong code."})
	r.press("/help<enter>").shows(`^ *send; start another line; begin a message with a slash|begin a message with a slash`)
	if r.press("/quit<enter>"); !r.quits() || len(*codes) > 0 {
		t.Errorf("it stays; codes: %q", *codes)
	}
}

func TestNewCode(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(invited)
	codes := r.takesCodes()
	r.happens(screen.WrongCode{}, screen.CodeWanted{Why: "Three wrong codes were tried, so this code no longer works.", Calling: true})
	r.shows(`^  Three wrong codes were tried, so this code no longer works\.$`)
	r.shows(`^  Press Enter for a new code\.$`)
	if seen := r.seen(); strings.Contains(seen, "Tell the other side") || strings.Contains(seen, "copies") {
		t.Errorf("it still shows the old code:\n%s", seen)
	}
	r.press("still here<enter>") // a message
	if len(*codes) != 0 || len(r.outbox) != 1 {
		t.Errorf("a message became a code: %q", *codes)
	}
	r.press("<enter>")
	if len(*codes) != 1 || (*codes)[0] != "" {
		t.Errorf("the codes are %q", *codes)
	}
	r.happens(invited)
	r.shows(`Tell the other side this code\.`)
}

func TestAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(benIs, chat.Disconnected{Reason: "lost"})
	asked := 0
	r.press("/again<enter>").shows(`This call cannot be opened again\.`)
	r.streams.Again = func() error {
		if asked++; asked > 1 {
			return errors.New("it was tried too often")
		}
		return nil
	}
	r.happens(screen.StillLost{After: 30 * time.Second, Code: "417-falcon-zebra"})
	if want := `Ben has not come back for 30 s\. A program that was started again knows only the code 417-falcon-zebra\. To wait with that code as well, type /again: anyone who knows the code can then answer\.`; !regexp.MustCompile(want).MatchString(strings.Join(strings.Fields(r.seen()), " ")) {
		t.Errorf("it does not say what to do:\n%s", r.seen())
	}
	r.press("/again<enter>")
	if asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
	r.press("/again<enter>").shows(`It was tried too often\.`)
}

// View asks for the QR code after each key, and makes one only for another link.
func TestQRCodeIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, 120, 40)
	r.streams.QR = true
	r.happens(invited)
	first := r.qr
	r.press("a")
	if len(first) == 0 || &r.qr[0] != &first[0] {
		t.Error("a key makes it again")
	}
	other := invited
	other.Link += "s"
	r.happens(other)
	if want := screen.QR(other.Link); !slices.Equal(r.qr, want) || slices.Equal(first, want) {
		t.Error("another link has the same code")
	}
}

// A caller cannot answer a call, and is asked before the code of one becomes a message.
func TestACallerHoldsTheCodeOfAnotherCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, 80, 24).happens(invited)
	codes := r.takesCodes()
	r.streams.AnotherCall = func(text string) string {
		return map[string]string{"601-animal-oven": "This looks like a code."}[text]
	}
	r.press("601-animal-oven<enter>").shows(`^This looks like a code\. To send it as a message: Enter again\.$`)
	r.shows(`^> 601-animal-oven$`)
	if len(r.outbox) != 0 {
		t.Error("the code was sent")
	}
	r.press("<enter>hello<enter>").shows(`^> Type ahead`)
	if len(*codes) != 0 || len(r.outbox) != 2 {
		t.Errorf("the codes are %q, and %d messages wait", *codes, len(r.outbox))
	}
}
