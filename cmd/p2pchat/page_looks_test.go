package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// drops drops files and folders on the page.
func (p *tab) drops(paths ...string) {
	p.t.Helper()
	data := &input.DragData{Files: paths, Items: []*input.DragDataItem{}, DragOperationsMask: 1}
	p.do(func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		for _, kind := range []input.DispatchDragEventType{"dragEnter", "dragOver", "drop"} {
			if _, err = chromedp.Call(ctx, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: 200, Y: 300, Data: data}); err != nil {
				return none, err
			}
		}
		return none, nil
	})
}

// pastesIn pastes a text into a field and presses Enter.
func (p *tab) pastesIn(id, text string) {
	p.t.Helper()
	p.click(id)
	p.pastes(text)
	p.press(kb.Enter)
}

// What the page shows in a small window, of long names, and at the end of a call.
func TestPageLooks(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	caller, callee := b.open(t, server), b.open(t, server)
	name := strings.Repeat("Maximiliane ", 5)
	const lines = `((e) => e.getBoundingClientRect().height / parseFloat(getComputedStyle(e).lineHeight))`
	callee.looks(360, 640, "light")
	callee.answer("601-animal-zebra")
	callee.sees("someone has used it")
	if lines := eval[float64](callee, lines+`(document.querySelector("#wait-title span"))`); lines > 1.5 {
		t.Errorf("the code in the title has %v lines", lines)
	}
	callee.click("cancel")
	callee.looks(360, 640, "light")
	caller.looks(360, 640, "light")
	caller.write("name", name)
	code := caller.call("")
	if lines := eval[float64](caller, lines+`(document.getElementById("the-code"))`); lines > 1.5 {
		t.Errorf("the code has %v lines", lines)
	}
	callee.answer(code)
	verified(t, caller, callee)
	t.Run("a long name", func(t *testing.T) {
		if high := eval[float64](callee, `document.querySelector(".peer").getBoundingClientRect().height`); high > 130 {
			t.Errorf("the header of a call with %q has %v pixels", name, high)
		}
		if title := eval[string](callee, `document.getElementById("peer-name").title`); title != strings.TrimSpace(name) {
			t.Errorf("the whole name is %q", title)
		}
	})
	t.Run("the question whether to keep a contact, above a keyboard", func(t *testing.T) {
		callee.looks(360, 330, "light")
		callee.click("keep")
		callee.sees("Your name for this contact")
		callee.drawn()
		got := eval[string](callee, `["keep-name", "keep-yes", "keep-not", "text", "peer"].filter((id) => {
			const { top, bottom } = document.getElementById(id).getBoundingClientRect();
			return top < 0 || bottom > innerHeight;
		}).join(" ")`)
		if got != "" {
			t.Errorf("out of sight: %s", got)
		}
		callee.press("Max")
		if got := callee.value("keep-name"); got != "Max" {
			t.Errorf("after typing the name is %q", got)
		}
		callee.press(kb.Escape)
		callee.looks(1280, 800, "light")
	})
	t.Run("files and a folder that are dropped together", func(t *testing.T) {
		path, _ := random(t, "report\u202efdp.exe", 10)
		folder := filepath.Join(t.TempDir(), "folder")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		callee.drops(path, folder)
		callee.sees("report<U+202E>fdp.exe")
		callee.sees("A web page cannot send a folder.")
	})
	t.Run("what a reload has cancelled", func(t *testing.T) {
		path, _ := random(t, "map.png", 10)
		caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
		callee.sees("map.png")
		caller.reload(true)
		callee.sees("Not transferred: the other side’s page was closed or loaded again")
		caller.sees("map.png")
		caller.sees("Connected again.")
		if log := caller.log(); strings.Contains(log, "Messages that were waiting") {
			t.Errorf("no message was waiting:\n%s", log)
		}
	})
	t.Run("a long message", func(t *testing.T) {
		caller.pastesIn("text", strings.Repeat("line\n", 299)+"the last")
		callee.sees("Show the whole message")
		callee.do(chromedp.Click(chromedp.CSS("#log .text + button")))
		until[bool](callee, `((e) => e.scrollHeight === e.clientHeight && !e.parentElement.querySelector("button"))(document.querySelector("#log .text.whole"))`)
		if at := callee.focused(); at != "log" {
			t.Errorf("after that the focus is on %q, not on the log, whose keys scroll", at)
		}
	})
	t.Run("the name of a contact", func(t *testing.T) {
		caller.click("keep")
		until[bool](caller, `document.activeElement.id === "keep-name"`)
		caller.press("Max\r")
		callee.agrees()
		caller.sees("You have kept each other. From now on you can call Max")
		if got := eval[string](caller, `document.getElementById("peer-name").textContent + ", " + document.title`); got != "Max, Max – p2pchat" {
			t.Errorf("the header and the title name %q", got)
		}
		callee.say("hello")
		until[bool](caller, `document.getElementById("log").textContent.includes("Max: hello")`)
	})
	t.Run("the end of a call", func(t *testing.T) {
		caller.click("leave")
		callee.sees("has left.")
		for _, p := range []*tab{caller, callee} {
			until[bool](p, `document.getElementById("trust").textContent === "Was verified"`)
		}
		if log := callee.log(); strings.Contains(log, "has left.") {
			t.Errorf("the log says once more what is below it:\n%s", log)
		}
	})
}
