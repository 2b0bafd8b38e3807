package main

import (
	"strings"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Modifier keys, as the DevTools protocol numbers them.
const (
	ctrl  = 2
	shift = 8
)

// press presses and releases one key after the other. Each letter is in its keyDown, as from a
// keyboard: if the page cancels that event, no text appears. chromedp's own SendKeys sends the
// letter as a separate event, which appears in any case.
func (p *tab) press(keys string) {
	p.t.Helper()
	for _, r := range keys {
		if r == '\n' {
			r = '\r'
		}
		k, known := kb.Keys[r]
		switch {
		case !known: // a letter of another keyboard
			p.strike(kb.Key{Key: string(r), Text: string(r), Unmodified: string(r), Print: true}, 0)
		case k.Shift:
			p.strike(*k, shift)
		default:
			p.strike(*k, 0)
		}
	}
}

// chord presses a key while modifiers are held, such as ctrl for a shortcut.
func (p *tab) chord(modifiers int64, r rune) {
	p.t.Helper()
	k := *kb.Keys[r]
	if modifiers&ctrl != 0 {
		k.Text = ""
	}
	p.strike(k, modifiers)
}

func (p *tab) strike(k kb.Key, modifiers int64) {
	p.t.Helper()
	down := input.DispatchKeyEventParams{
		Type: "keyDown", Key: k.Key, Code: k.Code, Modifiers: modifiers, Text: k.Text, UnmodifiedText: k.Unmodified,
		WindowsVirtualKeyCode: k.Windows, NativeVirtualKeyCode: k.Native,
	}
	if k.Text == "" || !k.Print {
		down.Type, down.Text, down.UnmodifiedText = "rawKeyDown", "", ""
	}
	up := down
	up.Type, up.Text, up.UnmodifiedText = "keyUp", "", ""
	for _, e := range []input.DispatchKeyEventParams{down, up} {
		if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, e); err != nil {
			p.t.Fatalf("pressing %q: %v", k.Key, err)
		}
	}
}

// write clicks into a field, clears it with keys, and types a text of one or more lines.
func (p *tab) write(id, text string) {
	p.t.Helper()
	p.click(id)
	if p.value(id) != "" {
		p.chord(ctrl, 'a')
		p.press(kb.Backspace)
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			p.chord(shift, '\r')
		}
		p.press(line)
	}
}

// value returns the text of a field.
func (p *tab) value(id string) string {
	p.t.Helper()
	return eval[string](p, `document.getElementById(`+js(id)+`).value`)
}
