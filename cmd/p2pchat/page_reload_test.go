package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// reload loads the page again as a person does, who is asked first, and answers so.
func (p *tab) reload(sure bool) {
	p.t.Helper()
	p.leaves(`location.reload()`, sure, sure)
}

// leaves lets a script leave the page, answers the browser's question, and waits for the next page, if there is one.
func (p *tab) leaves(script string, sure, loads bool) {
	p.t.Helper()
	asked, loaded := make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default: // of a later reload
		}
	}
	err := chromedp.Listen(p.ctx, func(event any) {
		switch event.(type) {
		case *page.EventJavascriptDialogOpening:
			tell(asked)
		case *page.EventLoadEventFired:
			tell(loaded)
		}
	})
	if err == nil {
		_, err = chromedp.Call(p.ctx, page.Enable, page.EnableParams{})
	}
	if err == nil {
		err = chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void](`setTimeout(() => { `+script+` }); 0`))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	wait := func(c chan struct{}, what string) {
		p.t.Helper()
		select {
		case <-c:
		case <-time.After(pagePatience):
			p.t.Fatalf("the page %s", what)
		}
	}
	wait(asked, "is left without a question")
	if _, err := chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: sure}); err != nil {
		p.t.Fatal(err)
	}
	if loads {
		wait(loaded, "is not loaded again")
	}
}

// A page that is loaded again is still in its call.
func TestPageReload(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	stored := `JSON.stringify([{ ...localStorage }, { ...sessionStorage }])`
	t.Run("asks first while it waits, and a person who stays is still waiting", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller := b.open(t, server)
		code := caller.call("")
		caller.reload(false)
		program := launch(t, "answer", code, "--server", server)
		verified(t, caller)
		converseWith(t, caller, program)
	})
	t.Run("says that a call which waited is closed, and goes on to answer one", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		callee.answer("417-falcon-zebra")
		callee.sees("No call is open in room 417 yet.")
		callee.reload(true)
		callee.sees("Answering 417-falcon-zebra")
		caller.call("417-falcon-almanac")
		callee.sees("Wrong code.")
		caller.reload(true)
		caller.sees("Your call was closed, because this page was left before the other person came.")
		if kept := eval[string](caller, stored); strings.Contains(kept, "waited") {
			t.Errorf("it stores %s", kept)
		}
		code := caller.call("")
		callee.answer(code)
		verified(t, caller, callee)
		callee.click("leave")
		callee.click("again")
		caller.click("again")
		for _, p := range []*tab{caller, callee} {
			if left := eval[string](p, `document.getElementById("code").value + document.getElementById("own-code").value`); left != "" {
				t.Errorf("after the call the page still has the code %s", left)
			}
		}
	})
	t.Run("and with a contact", func(t *testing.T) {
		ann, ben := correspondents(t, b, serving(t))
		ann.contact("Call Ben")
		ann.sees("Waiting for Ben")
		ann.reload(true)
		ann.sees("Your call to Ben was closed, because this page was left before Ben answered. To go on, press Call again.")
		ann.writesTo("Call Ben", "one")
		ann.reload(true)
		ann.sees("Your call to Ben was closed, because this page was left before Ben answered. To go on, press Call again.")
		ann.contact("Answer Ben")
		ann.sees("Waiting for Ben to call")
		ann.reload(true)
		program := ben("call")
		verified(t, ann)
		program.prints(t, `"text":"one"`)
		ann.click("leave")
		program.finish(t)
		ann.do(chromedp.Evaluate[chromedp.Void](`onbeforeunload = null`), chromedp.Reload())
		ann.sees("Start a call")
		if text := eval[string](ann, `document.getElementById("start-error").textContent`); text != "" {
			t.Errorf("after a call that was left the page says %q", text)
		}
	})
	t.Run("keeps what the person has begun to write to a contact who is away", func(t *testing.T) {
		ann, ben := correspondents(t, b, serving(t))
		has := func(draft string) {
			t.Helper()
			until[bool](ann, `document.getElementById("text").checkVisibility() && document.getElementById("text").value === `+js(draft))
		}
		ann.writesTo("Call Ben")
		ann.press("half a")
		ann.reload(true)
		ann.sees("Your call to Ben was closed")
		ann.do(chromedp.Reload()) // at the start the browser does not ask
		ann.sees("Your call to Ben was closed")
		ann.contact("Answer Ben")
		has("half a")
		ann.press(" sentence")
		ann.reload(true)
		has("half a sentence")
		ann.press(kb.Enter)
		program := ben("call")
		program.prints(t, `"text":"half a sentence"`)
		ann.click("leave")
		program.finish(t)
		if kept := eval[string](ann, stored); strings.Contains(kept, "half") {
			t.Errorf("it stores %s", kept)
		}
	})
	t.Run("goes on between two pages, on either side", func(t *testing.T) {
		caller, callee := inCall(t, b)
		caller.say("before")
		callee.hears("before")
		caller.delivered(1)
		for n, p := range []*tab{caller, callee, caller} {
			other := []*tab{callee, caller, callee}[n]
			p.write("text", "after a ")
			p.reload(true)
			p.sees("Connected again.")
			verified(t, p, other)
			p.do(chromedp.SendKeys(chromedp.ID("text"), "reload\r"))
			other.hears("after a reload")
			p.delivered(1)
			other.say("answered")
			p.hears("answered")
			if kept := eval[string](p, stored); strings.Contains(kept, "conversation") {
				t.Errorf("in the call the browser stores %s", kept)
			}
		}
		if n := eval[int](caller, `[...document.querySelectorAll("#log > .theirs")].length`); n != 1 {
			t.Errorf("after the last reload one message arrived as %d", n)
		}
		caller.click("leave")
		callee.sees("has left")
		caller.sees("All your messages were delivered.")
		caller.do(chromedp.Evaluate[chromedp.Void](`onbeforeunload = null`), chromedp.Reload())
		caller.sees("Start a call")
	})
	t.Run("delivers what was not delivered, to a program", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		page := b.open(t, server)
		program := launch(t, "answer", page.call(""), "--server", server)
		verified(t, page)
		converseWith(t, page, program)
		eval[bool](page, `(() => { // what this page sends from now on is lost
			RTCDataChannel.prototype.send = () => {};
			return true;
		})()`)
		page.say("https://example.org/ is kept")
		path, _ := random(t, "dropped.bin", 10)
		page.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
		page.sees("dropped.bin")
		page.reload(true)
		page.sees("That has cancelled a file, which can be offered again: dropped.bin")
		page.sees("Connected again.")
		program.hears(t, "https://example.org/ is kept")
		page.delivered(1)
		program.say(t, "all of it")
		page.hears("all of it")
		page.click("leave")
		program.finish(t)
	})
	t.Run("keeps what the person has compared", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		caller.call("standup")
		callee.answer("standup")
		caller.sees("Compare these four words")
		caller.click("match")
		words := `document.getElementById("safety-words").textContent`
		before := eval[string](callee, words)
		caller.reload(true)
		caller.sees("Connected again.")
		if got := caller.connected(); got != "✓ Compared" {
			t.Errorf("after a reload the page says %q", got)
		}
		callee.reload(true)
		callee.sees("Connected again.")
		if after := eval[string](callee, words); after != before || callee.connected() != "Unverified" {
			t.Errorf("the safety words were %q and are %q", before, after)
		}
	})
}
