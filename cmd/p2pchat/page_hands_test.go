package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pastes puts text where the focus is, all at once.
func (p *tab) pastes(text string) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		p.t.Fatal(err)
	}
}

// tabTo presses Tab until the focus is on an element whose text begins with label.
func (p *tab) tabTo(label string) {
	p.t.Helper()
	var passed []string
	for range 20 {
		at := eval[string](p, `document.activeElement.textContent.trim() || document.activeElement.id`)
		if strings.HasPrefix(at, label) {
			return
		}
		passed = append(passed, at)
		p.press(kb.Tab)
	}
	p.t.Fatalf("Tab never reaches %q: %q", label, passed)
}

func (p *tab) focused() string {
	p.t.Helper()
	return eval[string](p, `document.activeElement.id`)
}

// What people do with their hands at a page, besides typing.
func TestPageInHands(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("paste a link or a command in place of the code", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		text := func(p *tab, id string) string {
			return eval[string](p, `document.getElementById(`+js(id)+`).textContent`)
		}
		for _, pasted := range []func(caller *tab) string{
			func(p *tab) string { return text(p, "the-link") },
			func(p *tab) string { return text(p, "the-command") },
			func(p *tab) string { return "p2pchat answer " + text(p, "the-code") + "; rm -rf x" }, // with what a shell runs next
		} {
			caller, callee := b.open(t, server), b.open(t, server)
			caller.call("")
			callee.click("code")
			callee.pastes(pasted(caller))
			callee.press(kb.Enter)
			verified(t, caller, callee)
		}
		page := b.open(t, server)
		page.click("code")
		page.pastes("http://elsewhere.example/chat/#417-falcon-zebra")
		page.press(kb.Enter)
		page.sees("That call is on another server. To answer it, open http://elsewhere.example/chat/")
		if at := page.focused(); at != "code" {
			t.Errorf("the focus is on %q", at)
		}
	})
	t.Run("paste a picture into the message box", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		caller.click("text")
		paste := func(add string) {
			t.Helper()
			eval[bool](caller, `(() => {
				const clipboardData = new DataTransfer();
				clipboardData.items.add(new File([new Uint8Array(100)], "image.png", { type: "image/png" }));
				`+add+`
				return document.getElementById("text").dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
			})() || true`)
		}
		paste("")
		callee.sees("image.png")
		paste(`clipboardData.setData("text/plain", "a table");`) // which has a picture of itself with it
		caller.say("still here")
		callee.hears("still here")
		if n := eval[int](callee, `document.querySelectorAll("#log .file").length`); n != 1 {
			t.Errorf("%d files were offered", n)
		}
	})
	t.Run("drop a link beside a field", func(t *testing.T) {
		alone := b.open(t, serving(t))
		alone.call("")
		if !eval[bool](alone, `(() => {
			const dataTransfer = new DataTransfer();
			dataTransfer.setData("text/uri-list", "https://example.org/");
			const over = new DragEvent("dragover", { dataTransfer, bubbles: true, cancelable: true });
			document.body.dispatchEvent(over);
			return over.defaultPrevented;
		})()`) {
			t.Error("a link that is dropped beside a field is opened in place of the page")
		}
	})
	t.Run("drag text into the message box", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		at := eval[[]float64](caller, `(({ x, y, width, height }) => [x + width / 2, y + height / 2])(document.getElementById("text").getBoundingClientRect())`)
		data := &input.DragData{Items: []*input.DragDataItem{{MimeType: "text/plain", Data: "dragged"}}, DragOperationsMask: 1}
		for _, kind := range []input.DispatchDragEventType{"dragEnter", "dragOver", "drop"} {
			if _, err := chromedp.Call(caller.ctx, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: at[0], Y: at[1], Data: data}); err != nil {
				t.Fatal(err)
			}
		}
		until[bool](caller, `new Promise(requestAnimationFrame) && document.getElementById("text").value === "dragged"`)
		caller.click("text")
		caller.press(kb.Enter)
		callee.hears("dragged")
	})
	t.Run("use each button by Enter, and never lose the focus", func(t *testing.T) {
		usesClipboard(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		caller.looks(390, 800, "light")
		code := caller.call("")
		for _, what := range []string{"code", "link", "command"} {
			caller.tabTo("Copy the " + what)
			caller.press(kb.Enter)
			until[bool](caller, `document.getElementById("copied").textContent === "Copied the `+what+`" && document.activeElement.textContent === "Copied"`)
			until[bool](caller, `document.getElementById("copied").textContent === ""`)
		}
		callee.answer(code)
		verified(t, caller, callee)
		callee.picksNothing()
		for n, row := range []struct {
			who    *tab
			button string
			sees   string
		}{{callee, "Decline", "you declined it"}, {caller, "Cancel", "you cancelled it"}, {callee, "Accept", "received"}} {
			name := fmt.Sprintf("%d.bin", n)
			path, _ := random(t, name, 10)
			caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
			caller.sees(name)
			callee.sees(name)
			row.who.tabTo(row.button + " " + name)
			row.who.press(kb.Enter)
			row.who.sees(row.sees)
			if at := row.who.focused(); row.button != "Accept" && at != "text" {
				t.Errorf("after %s the focus is on %q", row.button, at)
			}
		}
		callee.whole("2.bin")
		if eval[bool](callee, `document.activeElement === document.body`) {
			t.Error("after Accept the focus is lost")
		}
		caller.tabTo("more")
		caller.press(kb.Enter)
		caller.press(kb.Tab + kb.Escape)
		if at := caller.focused(); at != "more" || eval[bool](caller, `document.getElementById("menu").matches(":popover-open")`) {
			t.Errorf("Escape leaves the menu open, or the focus on %q", at)
		}
		caller.tabTo("Leave")
		caller.press(kb.Enter)
		caller.sees("You have left.")
		until[bool](caller, `document.activeElement.id === "again"`)
		caller.press(kb.Enter)
		until[bool](caller, `document.activeElement.id === "start-title"`)
	})
	t.Run("hear each message once", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		eval[bool](callee, `(() => {
			globalThis.heard = [];
			const live = "[role=log], [role=status], [role=alert], [aria-live]";
			const shown = new Set([...document.querySelectorAll(live)].filter((e) => e.checkVisibility()));
			new MutationObserver((all) => {
				for (const { target, addedNodes } of all) for (const node of addedNodes) {
					const region = (target.nodeType === 1 ? target : target.parentElement).closest(live);
					if (region && region.ariaLive !== "off" && shown.has(region)) heard.push(node.textContent);
				}
			}).observe(document, { subtree: true, childList: true });
			return true;
		})()`)
		caller.say("just once")
		callee.hears("just once")
		path, _ := random(t, "spoken.bin", 10)
		caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
		callee.picksNothing()
		callee.accepts("spoken.bin")
		callee.whole("spoken.bin")
		for _, text := range []string{"just once", "✓ received", "spoken.bin"} {
			if n := eval[int](callee, `heard.filter((h) => h.includes(`+js(text)+`)).length`); n != 1 && text != "spoken.bin" || n == 0 {
				t.Errorf("%q is announced %d times: %s", text, n, callee.try("heard"))
			}
		}
	})
	t.Run("write at a window of any size, or at 400 %", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		caller.call("standup")
		callee.answer("standup")
		callee.connected()
		caller.sees("Compare these four words")
		for _, size := range [][2]int64{{640, 360}, {390, 400}, {320, 256}} {
			caller.looks(size[0], size[1], "light")
			got := eval[string](caller, `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
				const box = document.getElementById("text");
				box.scrollIntoView({ block: "end" });
				const { top, bottom } = box.getBoundingClientRect(), log = document.getElementById("log").getBoundingClientRect();
				resolve([top > -1 && bottom < innerHeight + 1 ? "" : "the box is out of reach, from " + top + " to " + bottom, log.height >= 60 ? "" : "the log has " + log.height + " pixels",
					document.documentElement.scrollWidth <= innerWidth ? "" : "it is too wide"].filter(Boolean).join(", "));
			})))`)
			if got != "" {
				t.Errorf("at %d×%d %s", size[0], size[1], got)
			}
		}
	})
	t.Run("touch everything on a phone", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		check := func(state string, pages ...*tab) {
			t.Helper()
			for _, p := range pages {
				p.looks(390, 844, "light")
				small := eval[[]string](p, `[...document.querySelectorAll("button, summary, textarea, a, label.check, input:not([type=checkbox], [type=file])")]
					.filter((e) => e.checkVisibility() && !e.closest(".text"))
					.map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width < 44 || r.height < 43.9)
					.map(([e, r]) => (e.id || e.textContent) + " " + Math.round(r.width) + "×" + Math.round(r.height))`)
				if len(small) > 0 {
					t.Errorf("%s: too small to touch: %q", state, small)
				}
			}
		}
		caller.do(chromedp.Click(chromedp.CSS("#call-options summary")))
		check("start", caller)
		callee.answer("601-animal-zebra")
		callee.sees("No call is open in room 601 yet.")
		check("no call", callee)
		callee.click("cancel")
		caller.call("standup")
		check("waiting", caller)
		callee.answer("standup")
		caller.sees("Compare these four words")
		callee.sees("Compare these four words")
		path, _ := random(t, "touched.bin", 10)
		caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
		callee.sees("touched.bin")
		caller.click("more")
		check("talking", caller, callee)
		caller.press(kb.Escape) // the menu is over the words
		for _, p := range []*tab{caller, callee} {
			p.click("match")
			p.click("keep")
		}
		caller.sees("Your name for this contact")
		callee.sees("Your name for this contact")
		check("keeping", caller, callee)
		caller.click("keep-yes")
		callee.click("keep-yes")
		caller.sees("You have kept each other.")
		callee.sees("You have kept each other.")
		callee.click("leave")
		callee.sees("To drop it, press Leave again.")
		callee.click("leave")
		caller.sees("has left.")
		check("over", caller, callee)
		caller.click("again")
		caller.sees("Rename or forget")
		caller.do(chromedp.Click(chromedp.CSS("#contacts summary")))
		check("contacts", caller)
	})
	t.Run("type a code on a phone", func(t *testing.T) {
		inFull(t)
		page := b.open(t, serving(t))
		for _, id := range []string{"code", "own-code"} {
			got := eval[string](page, `((e) => [e.autocapitalize, e.getAttribute("autocorrect"), e.spellcheck, e.autocomplete, e.enterKeyHint].join(" "))(document.getElementById(`+js(id)+`))`)
			if got != "none off false off go" {
				t.Errorf("the keyboard of %s is told %q", id, got)
			}
		}
	})
}
