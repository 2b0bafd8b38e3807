package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// scrolledAway says what of the conversation has scrolled out of the window, or is empty.
const scrolledAway = `(() => {
	const { scrollHeight } = document.documentElement, { top, bottom } = document.querySelector(".peer").getBoundingClientRect();
	const text = document.getElementById("text").getBoundingClientRect();
	return [scrollHeight > innerHeight && "the document has " + scrollHeight + " pixels in a window of " + innerHeight, scrollY !== 0 && "the page is scrolled by " + scrollY,
		(top < 0 || bottom > innerHeight) && "the header is from " + top + " to " + bottom, text.bottom > innerHeight && "the message box ends at " + text.bottom].filter(Boolean).join(", ");
})()`

// Only the messages scroll: the header and the message box stay where they are.
func TestPageScrollsOnlyTheMessages(t *testing.T) {
	inFull(t)
	t.Parallel()
	caller, callee := inCall(t, sharedBrowser(t))
	const messages = 20
	for n := range messages {
		caller.say(fmt.Sprintf("line %d", n))
	}
	caller.delivered(messages)
	callee.hears(fmt.Sprintf("line %d", messages-1))
	for _, size := range [][2]int64{{1280, 800}, {360, 640}} {
		for _, p := range []*tab{caller, callee} {
			p.looks(size[0], size[1], "light")
			for _, id := range []string{"log", "peer", "text"} {
				p.scrolls(id, "mouse", 1200)
				p.scrolls(id, "touch", 400)
				if away := eval[string](p, scrolledAway); away != "" {
					t.Errorf("at %d×%d, after a wheel and a swipe over %s: %s", size[0], size[1], id, away)
				}
			}
			p.scrolls("log", "mouse", -1500)
			until[bool](p, `new Promise(requestAnimationFrame) && document.getElementById("log").scrollTop === 0`)
		}
	}
}

// middle returns the middle of an element.
func (p *tab) middle(id string) (x, y float64) {
	p.t.Helper()
	at := eval[[]float64](p, `(({ x, y, width, height }) => [x + width / 2, y + height / 2])(document.getElementById(`+js(id)+`).getBoundingClientRect())`)
	return at[0], at[1]
}

// scrolls turns a mouse's wheel over an element or swipes a finger upward from there, and waits until the page has handled that.
func (p *tab) scrolls(id string, with input.GestureSourceType, down float64) {
	p.t.Helper()
	x, y := p.middle(id)
	p.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, input.SynthesizeScrollGesture, input.SynthesizeScrollGestureParams{X: x, Y: y, YDistance: -down, Speed: 8000, GestureSourceType: with})
		return chromedp.Void{}, err
	})
	p.drawn()
}

// drawn waits for two frames.
func (p *tab) drawn() {
	p.t.Helper()
	eval[bool](p, `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))))`)
}

// scrollsOnlyTheMessages checks what the wheel does in the page of a call.
func (p firefoxTab) scrollsOnlyTheMessages() {
	p.t.Helper()
	const messages = 40
	for n := range messages {
		p.say(fmt.Sprintf("line %d", n))
	}
	for _, id := range []string{"log", "peer", "text"} {
		p.command(p.t, "input.performActions", map[string]any{"context": p.context, "actions": []any{map[string]any{"type": "wheel", "id": "wheel", "actions": []any{map[string]any{
			"type": "scroll", "x": 0, "y": 0, "deltaX": 0, "deltaY": 3000, "origin": map[string]any{"type": "element", "element": p.node(id)},
		}}}}}, nil)
		if away := p.js(`new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(` + scrolledAway + `))))`); away != "" {
			p.t.Errorf("in Firefox, after a wheel over %s: %s", id, away)
		}
	}
}

// node returns a reference to an element.
func (p firefoxTab) node(id string) map[string]any {
	p.t.Helper()
	var got struct{ Result map[string]any }
	p.command(p.t, "script.evaluate", map[string]any{"expression": `document.getElementById(` + js(id) + `)`, "target": map[string]any{"context": p.context}, "awaitPromise": false}, &got)
	return map[string]any{"sharedId": got.Result["sharedId"]}
}
