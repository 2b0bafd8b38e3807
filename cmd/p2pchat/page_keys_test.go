package main

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The page takes every key of a keyboard.
func TestPageTakesKeys(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("alone, from the first page to a message", func(t *testing.T) {
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		caller.press(kb.Tab + kb.Enter) // the button that starts a call
		caller.sees("Waiting for the other person")
		callee.press(kb.Tab + kb.Tab + kb.Tab + "lobby" + kb.Enter) // past that button and the options
		callee.connected()
		caller.connected()
		callee.press("typed at once" + kb.Enter)
		caller.hears("typed at once")
		callee.delivered(1)
	})
	t.Run("in every field", func(t *testing.T) {
		page := b.open(t, serving(t))
		page.do(chromedp.Click(chromedp.CSS("#call-options summary")))
		for _, id := range []string{"own-code", "code", "name"} {
			page.write(id, "Ab c-D1?")
			page.press(kb.Backspace + "!")
			if got := page.value(id); got != "Ab c-D1!" {
				t.Errorf("the field %s holds %q", id, got)
			}
			page.chord(ctrl, 'z')
			if got := page.value(id); got == "Ab c-D1!" {
				t.Errorf("undo does nothing in the field %s", id)
			}
		}
	})
	t.Run("in the message box", func(t *testing.T) {
		usesClipboard(t)
		caller, callee := inCall(t, b)
		caller.write("text", "Hello, Wörld!")
		if got := caller.value("text"); got != "Hello, Wörld!" {
			t.Fatalf("the box holds %q", got)
		}
		caller.press(kb.Backspace + "?")
		caller.chord(shift, '\r')
		caller.press("Line TWO")
		caller.press(kb.Enter)
		callee.hears("Hello, Wörld?\nLine TWO")
		if got := caller.value("text"); got != "" {
			t.Errorf("after Enter the box holds %q", got)
		}
		caller.press("again, without a click" + kb.Enter)
		callee.hears("again, without a click")
		caller.press(kb.Enter + " " + kb.Enter) // nothing to send
		caller.chord(ctrl, 'a')
		caller.press("taken" + kb.Backspace)
		caller.chord(ctrl, 'a')
		caller.chord(ctrl, 'x')
		caller.chord(ctrl, 'v')
		caller.chord(ctrl, 'v')
		caller.press(kb.Enter)
		callee.hears("taketake")
		caller.delivered(3)
	})
	t.Run("as the call ends", func(t *testing.T) {
		caller, callee := inCall(t, b)
		caller.press("half a sent")
		callee.click("leave")
		until[bool](caller, `!document.getElementById("over").hidden`)
		caller.press("ence" + kb.Enter)
		if !eval[bool](caller, `document.getElementById("talk").checkVisibility()`) {
			t.Error("Enter, typed for a message, closes the log of the call")
		}
		caller.sees("Not sent, because the call had ended: half a sent")
		caller.press(kb.Tab + kb.Enter)
		until[bool](caller, `document.activeElement.id === "start-title"`)
	})
	t.Run("of an input method", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		caller.click("text")
		compose := func(text string) {
			t.Helper()
			end := int64(len([]rune(text)))
			if _, err := chromedp.Call(caller.ctx, input.ImeSetComposition, input.ImeSetCompositionParams{Text: text, SelectionStart: end, SelectionEnd: end}); err != nil {
				t.Fatal(err)
			}
		}
		compose("に")
		compose("にほん")
		caller.strike(kb.Key{Key: "Process", Code: "Enter", Windows: 229}, 0) // Enter, which the input method takes
		if got := caller.value("text"); got != "にほん" {
			t.Errorf("in the middle of a composition the box holds %q", got)
		}
		if _, err := chromedp.Call(caller.ctx, input.InsertText, input.InsertTextParams{Text: "日本"}); err != nil {
			t.Fatal(err)
		}
		caller.press(kb.Enter)
		callee.hears("日本")
		caller.delivered(1)
	})
	t.Run("and Tab reaches everything that can be used, both ways", func(t *testing.T) {
		inFull(t)
		caller, _ := inCall(t, b)
		for range 2 { // Shift-Tab from the message box, and back
			caller.click("text")
			there := walk(caller, 0)
			back := walk(caller, shift)
			all := eval[[]string](caller, `[...document.querySelectorAll("#talk :is(a, button, input, textarea, [tabindex='0'])")].filter((e) => e.checkVisibility() && !e.disabled).map((e) => e.id)`)
			for _, id := range all {
				if !strings.Contains(there, " "+id+" ") || !strings.Contains(back, " "+id+" ") {
					t.Errorf("Tab reaches%s, Shift-Tab%s, and not both reach %q", there, back, id)
				}
			}
		}
	})
}

// inCall returns two tabs in a verified call.
func inCall(t *testing.T, b chromium) (caller, callee *tab) {
	t.Helper()
	server := serving(t)
	caller, callee = b.open(t, server), b.open(t, server)
	callee.answer(caller.call(""))
	verified(t, caller, callee)
	return caller, callee
}

// walk presses Tab a few times, and returns the IDs that had the focus.
func walk(p *tab, modifiers int64) string {
	p.t.Helper()
	var found []string
	for range 12 {
		found = append(found, eval[string](p, `document.activeElement.id`))
		p.chord(modifiers, '\t')
	}
	return " " + strings.Join(found, " ") + " "
}
