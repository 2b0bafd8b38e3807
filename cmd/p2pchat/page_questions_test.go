package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// clicksTwice clicks twice on an element, as people do who are used to a double click.
func (p *tab) clicksTwice(id string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById(` + js(id) + `).scrollIntoView({ block: "center" }); 0`))
	p.clicksTwiceAt(p.middle(id))
}

func (p *tab) clicksTwiceAt(x, y float64) {
	p.t.Helper()
	p.do(func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		for n := range int64(2) {
			for _, kind := range []input.DispatchMouseEventType{"mousePressed", "mouseReleased"} {
				if _, err = chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: "left", ClickCount: n + 1}); err != nil {
					return none, err
				}
			}
		}
		return none, nil
	})
}

// holdsEnter holds the Enter key for as long as it takes to repeat a few times.
func (p *tab) holdsEnter() {
	p.t.Helper()
	down := input.DispatchKeyEventParams{Type: "keyDown", Key: "Enter", Code: "Enter", Text: "\r", UnmodifiedText: "\r", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13}
	up := down
	up.Type, up.Text, up.UnmodifiedText = "keyUp", "", ""
	again := down
	again.AutoRepeat = new(true)
	for _, e := range []input.DispatchKeyEventParams{down, again, again, again, up} {
		if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, e); err != nil {
			p.t.Fatal(err)
		}
	}
}

// offers offers a new file of a few bytes.
func (p *tab) offers(name string) {
	p.t.Helper()
	path, _ := random(p.t, name, 10)
	p.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
	p.sees(name)
}

func (p *tab) textError() string {
	p.t.Helper()
	return eval[string](p, `document.getElementById("text-error").textContent`)
}

// Leave drops files that are not transferred yet only once the person knows.
func TestPageAsksBeforeLeaveDropsFiles(t *testing.T) {
	t.Parallel()
	const asks = "One file is still on its way, or waits for an answer. To drop it, press Leave again."
	caller, callee := inCall(t, sharedBrowser(t))
	caller.offers("offered.bin")
	for _, p := range []*tab{callee, caller} {
		p.sees("offered.bin")
		p.clicksTwice("leave") // too fast for the question to be read
		p.sees(asks)
	}
	caller.say("this takes the place of the question")
	callee.hears("this takes the place of the question")
	caller.click("leave")
	caller.sees(asks)
	caller.offers("later.bin")
	caller.click("leave")
	caller.sees("2 files are still on their way, or wait for an answer. To drop them, press Leave again.")
	callee.choose("offered.bin", "Decline")
	caller.sees(asks)
	if got := callee.textError(); got != "" {
		t.Errorf("with the last file that it asked about the page asks %q", got)
	}
	callee.click("leave")
	callee.sees(asks)
	caller.offers("last.bin") // the other side cannot ask for ever
	callee.sees("last.bin")
	callee.click("leave")
	callee.sees("You have left.")
	caller.sees("has left.")
}

// What asks before it does harm takes no second half of a double click, and no key that is held, for the answer.
func TestPageTakesNoSlipForAnAnswer(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("about a code", func(t *testing.T) {
		page := b.open(t, serving(t))
		page.write("code", "foo bar")
		page.holdsEnter()
		page.sees("If the caller chose it, press Answer again.")
		page.press(kb.Enter)
		page.sees("Answering foo-bar")
	})
	t.Run("about safety words", func(t *testing.T) {
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		caller.call("standup")
		callee.answer("standup")
		callee.sees("Compare these four words")
		callee.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("differ").focus(); 0`))
		callee.holdsEnter()
		callee.sees("one word heard wrong is enough")
		if got := callee.connected(); got != "Unverified" || callee.focused() != "compare-again" {
			t.Errorf("after a long press of “They differ” the page says %q, and the focus is on %q", got, callee.focused())
		}
		callee.press(kb.Enter)
		until[bool](callee, `document.getElementById("differing").hidden`)
	})
	t.Run("about files that are not saved", func(t *testing.T) {
		caller, callee := inCall(t, b)
		receivesUnsaved(t, caller, callee, "a.txt")
		caller.click("leave")
		callee.sees("has left.")
		callee.looks(360, 640, "light")
		callee.drawn()
		const x = 160 // where the one button is before, and the other one after the first click
		_, y := callee.middle("again")
		callee.clicksTwiceAt(x, y)
		callee.sees("Drop it and go back")
		if at := eval[string](callee, fmt.Sprintf(`document.elementFromPoint(%d, %v).id`, x, y)); at != "drop-unsaved" {
			t.Errorf("the second click was on %q", at)
		}
		callee.click("drop-unsaved")
		callee.sees("Start a call")
	})
	t.Run("about a contact", func(t *testing.T) {
		ann, _ := correspondents(t, b, serving(t))
		ann.contact("Rename or forget")
		eval[bool](ann, `[...document.querySelectorAll("#contacts button")].some((b) => b.textContent.startsWith("Forget") && (b.id = "forget"))`)
		ann.clicksTwice("forget")
		ann.sees("press Forget again.")
		ann.drawn()
		if got := ann.contacts(); got != "Ben" {
			t.Errorf("of the contacts %q are left", got)
		}
	})
}
