package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// writesTo calls a contact who is away, and types messages.
func (p *tab) writesTo(to string, messages ...string) {
	p.t.Helper()
	p.contact(to)
	until[bool](p, `document.getElementById("talk").checkVisibility() || document.getElementById("write").checkVisibility()`)
	// A letter may come at that moment: then the button has gone, and the message box has the focus.
	if eval[bool](p, `(() => { const b = document.getElementById("write"); b.focus(); return b === document.activeElement; })()`) {
		p.press(kb.Enter)
	}
	until[bool](p, `document.getElementById("talk").checkVisibility()`)
	for _, m := range messages {
		p.say(m)
	}
}

// marked waits until the marks of this side's messages are these, in order.
func (p *tab) marked(marks ...string) {
	p.t.Helper()
	until[bool](p, `[...document.querySelectorAll("#log > .mine .mark")].map((e) => e.textContent).join() === `+js(strings.Join(marks, ",")))
}

// ours returns what this side has written, as the page shows it.
func (p *tab) ours() []string {
	p.t.Helper()
	return eval[[]string](p, `[...document.querySelectorAll("#log > .mine .text")].map((e) => e.textContent)`)
}

const (
	delivered = "✓ delivered"
	leftThere = "✉ left at the server"
	waits     = "waiting"
)

// A page leaves what its person writes to a contact who is away at the server, and it arrives once, whichever way it goes.
func TestPageLeavesLetters(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("for a program, and shows the receipt", func(t *testing.T) {
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		ann.writesTo("Call Ben", "one", "two")
		ann.marked(leftThere, leftThere)
		ann.sees("✉ Left at the server, sealed. It is kept there for up to 7 days, and here until it is read.")
		ann.click("leave")
		ann.sees("2 messages wait for Ben at the server, sealed.")
		ann.opens()
		ann.sees("2 messages were left at the server. No receipt yet") // Ben may have read them
		ann.contact("Rename or forget")
		ann.tabTo("Forget")
		ann.press(kb.Enter)
		ann.sees("What Ben may have left for you at the server could not be read any more. To forget the contact, its keys, and your messages that have no receipt yet, press Forget again.")
		program := ben("answer")
		for _, text := range []string{"one", "two"} {
			program.prints(t, `"text":"`+text+`","type":"message","written":`)
		}
		program.say(t, `{"type":"leave"}`)
		program.finish(t)
		ann.contact("Call Ben")
		ann.sees("You wrote these 2 messages before this call.")
		ann.marked(delivered, delivered)
		if eval[bool](ann, `document.getElementById("log").textContent.includes("Left at the server")`) {
			t.Error("the page says of messages that were read that they are at the server")
		}
		program = ben("answer")
		verified(t, ann)
		ann.say("three")
		program.prints(t, `"text":"three","type":"message"`)
		ann.marked(delivered, delivered, delivered)
		for _, text := range []string{"one", "two", "three"} {
			if n := strings.Count(program.out.String(), `"text":"`+text+`"`); n != map[string]int{"three": 1}[text] {
				t.Errorf("the next program prints %q %d times", text, n)
			}
		}
		ann.click("leave")
		program.finish(t)
		ann.opens()
		if left := eval[bool](ann, storedMail+`.then((c) => c.undelivered.frames.length > 0)`); left {
			t.Error("the page keeps messages that were delivered, after the call")
		}
	})
	t.Run("for a page, both at once, while they connect", func(t *testing.T) {
		inFull(t)
		ann, ben := friends(t, b, serving(t, "--mail"))
		ann.writesTo("Call Ben", "a1", "a2")
		ann.marked(leftThere, leftThere)
		ann.opens()
		ben.writesTo("Call Ann", "b1")
		ben.hears("a2")
		ben.marked(leftThere)
		ben.owesNothing(2)
		ann.contact("Answer Ben") // to whom a letter, the receipt and a call come together
		verified(t, ann, ben)
		ann.hears("b1")
		ben.marked(delivered)
		ann.marked(delivered, delivered)
		ann.say("a3")
		ben.hears("a3")
		ben.say("b2")
		ann.hears("b2")
		if got := ben.theirs(); !slices.Equal(got, []string{"a1", "a2", "a3"}) {
			t.Errorf("Ben sees %q", got)
		}
		if got := ann.theirs(); !slices.Equal(got, []string{"b1", "b2"}) {
			t.Errorf("Ann sees %q", got)
		}
		hangUp(ann, ben)
	})
	t.Run("when a call rings unanswered or is declined", func(t *testing.T) {
		inFull(t)
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		listen := ben("listen")
		listen.prints(t, `"type":"listening"`)
		ann.contact("Call Ben")
		listen.prints(t, `"contact":"ann","type":"call"`)
		ann.sees("It is ringing")
		ann.tabTo("Write a message")
		ann.press(kb.Enter)
		ann.say("call me back")
		listen.say(t, `{"type":"decline"}`)
		ann.sees("One message waits for Ben at the server, sealed.")
		ann.marked(leftThere)
		listen.prints(t, `"text":"call me back","type":"message","written":`)
		ann.opens()
		ann.contact("Answer Ben")
		ann.marked(delivered)
	})
	t.Run("in one tab at a time", func(t *testing.T) {
		inFull(t)
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		ann.writesTo("Call Ben", "one")
		ann.marked(leftThere)
		next := ann.beside(b)
		next.contact("Call Ben")
		next.sees("Another tab is in a call with Ben")
		program := ben("answer")
		verified(t, ann)
		program.prints(t, `"text":"one"`)
		ann.marked(delivered)
		eval[bool](ann, `(Storage.prototype.setItem = ((set) => function (k, v) { set.call(this, k, v.replace(/"ms":\d+/, '"ms":600000')); })(Storage.prototype.setItem), true)`)
		ann.do(chromedp.Evaluate[chromedp.Void](`onbeforeunload = null; 0`), chromedp.Navigate("about:blank"))
		next.contact("Call Ben") // while the first tab is away, and could go on
		verified(t, next)
		next.say("two")
		program.prints(t, `"text":"two"`)
		next.click("leave")
		program.finish(t)
		next.sees("All your messages were delivered.")
		ann.do(chromedp.Navigate(ann.origin))
		ann.sees("The call with Ben is over: another tab has gone on with it. All your messages were delivered.")
	})
	t.Run("once more after a reload, and by a call if that comes first", func(t *testing.T) {
		ann, ben := correspondents(t, b, serving(t)) // which keeps no mail
		ann.writesTo("Call Ben", "one")
		ann.sees("What you write is kept in this browser, and goes out when you and Ben connect. It cannot be left at the server before that: this server keeps no messages for people who are away.")
		ann.marked(waits)
		ann.reload(true)
		ann.sees("One message is not delivered yet")
		ann.writesTo("Call Ben", "two")
		if got := ann.ours(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("after a reload the page shows %q", got)
		}
		program := ben("answer")
		verified(t, ann)
		program.prints(t, `(?s)"text":"one".*"text":"two"`)
		ann.marked(delivered, delivered)
		ann.click("leave")
		ann.sees("All your messages were delivered.")
	})
}

// A page tells why nothing can be left, and what to do. The message stays in the browser.
func TestPageLeavesNothing(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	for name, c := range map[string]struct {
		status int
		kind   string
		told   string
	}{
		"a full mailbox":         {409, "box-full", "Ben’s mailbox is full."},
		"full mailboxes":         {507, "mail-full", "the server’s mailboxes are full."},
		"too much of an address": {429, "client-mail", "your network address has left as much as this server allows."},
		"an access key":          {401, "access-key", "this server keeps messages only for those who have its access key. To leave them, type the key on the start page, and call again."},
	} {
		t.Run("for "+name, func(t *testing.T) {
			if c.kind != "box-full" {
				inFull(t)
			}
			ann, _ := correspondents(t, b, serving(t, "--mail"))
			eval[bool](ann, fmt.Sprintf(`(fetch = ((was) => (to, o) => o.method === "POST" && to.includes("/mail/") ?
				Promise.resolve(new Response(JSON.stringify({ type: "urn:p2pchat:%s", detail: "no" }), { status: %d })) : was(to, o))(fetch), true)`, c.kind, c.status))
			ann.writesTo("Answer Ben", "one")
			ann.sees("What you write is kept in this browser, and goes out when you and Ben connect. It cannot be left at the server before that: " + c.told)
			ann.marked(waits)
			ann.click("leave")
			ann.sees("One message not delivered yet is kept in this browser, for your next call with Ben.")
			ann.opens()
			ann.writesTo("Answer Ben")
			ann.marked(leftThere)
		})
	}
	t.Run("that the browser does not store", func(t *testing.T) {
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		eval[bool](ann, `(IDBObjectStore.prototype.put = ((put) => function (c) { if (c.undelivered?.frames.length) this.transaction.abort(); return put.call(this, c); })(IDBObjectStore.prototype.put), true)`)
		ann.writesTo("Answer Ben", "one")
		ann.sees("What you write to Ben is not sent until the browser stores it: free some space, or use the terminal program.")
		program := ben("call")
		verified(t, ann)
		program.say(t, `{"type":"message","text":"are you there"}`)
		ann.hears("are you there")
		if out := program.out.String(); strings.Contains(out, `"text":"one"`) {
			t.Errorf("the page sends what it has not stored: %s", out)
		}
	})
}

// What has expired at the server, and cannot be left again because the browser stores nothing, is not said to be left again.
func TestPageCannotStoreThatLettersExpired(t *testing.T) {
	t.Parallel()
	ann, _ := correspondents(t, sharedBrowser(t), serving(t, "--mail", "--mail-ttl", "4s"))
	ann.writesTo("Call Ben", "one")
	ann.marked(leftThere)
	eval[bool](ann, `(IDBObjectStore.prototype.put = function () { throw new DOMException("full", "QuotaExceededError"); }, true)`)
	ann.sees("What you left for Ben at the server has expired there, and cannot be left again: ")
	if eval[bool](ann, `document.body.innerText.includes("left again.")`) {
		t.Error("it says that it is left again")
	}
}

// Wherever a tab is killed while it leaves a message, the message arrives once, and so does the next one.
func TestPageKilledWhileLeaving(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	ann, ben := correspondents(t, b, serving(t, "--mail"))
	for n, kill := range []struct {
		moment string
		lost   bool // the tab had not stored the message
	}{
		{fmt.Sprintf(stopPut, `c.undelivered?.frames.length > 0`), true},
		{fmt.Sprintf(stopPut, `c.sealed?.length > 0`), false},                                                                                                                                     // stored, and not sealed
		{`fetch = ((was) => (to, o) => o.method === "POST" && to.includes("/mail/") ? new Promise(stop) : was(to, o))(fetch);`, false},                                                            // sealed, and not at the server
		{`fetch = ((was) => async (to, o) => { const r = await was(to, o); if (o.method !== "POST" || !to.includes("/mail/")) return r; stop(); return new Promise(() => {}); })(fetch);`, false}, // there, and not noted
	} {
		text, next := fmt.Sprint("letter ", n+1), fmt.Sprint("next ", n+1)
		ann.do(chromedp.Evaluate[chromedp.Void](`globalThis.stop = () => { document.body.dataset.stopped = "yes"; }; ` + kill.moment + ` 0`))
		ann.writesTo("Call Ben", text)
		until[bool](ann, `document.body.dataset.stopped === "yes"`)
		ann.killed()
		ann.opens()
		ann.writesTo("Call Ben", next)
		want := []string{text, next}
		if kill.lost {
			want = want[1:]
		}
		if got := ann.ours(); !slices.Equal(got, want) {
			t.Errorf("killed at moment %d: the next tab shows %q, want %q", n, got, want)
		}
		ann.marked(slices.Repeat([]string{leftThere}, len(want))...)
		ann.killed()
		ann.opens()
		program := ben("answer")
		for _, text := range want {
			program.prints(t, `"text":"`+text+`","type":"message"`)
		}
		ann.contact("Call Ben")
		ann.marked(slices.Repeat([]string{delivered}, len(want))...)
		verified(t, ann)
		ann.say("over")
		program.prints(t, `"text":"over"`)
		for _, text := range want {
			if got := strings.Count(program.out.String(), `"text":"`+text+`"`); got != 1 {
				t.Errorf("killed at moment %d: %q arrives %d times", n, text, got)
			}
		}
		ann.click("leave")
		program.finish(t)
		ann.opens()
	}
}
