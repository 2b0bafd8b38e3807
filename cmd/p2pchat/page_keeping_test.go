package main

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// No contact comes of a call whose sides did not both agree, or whose browser stores nothing.
func TestPageKeepsOnlyWhatBothWant(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("the other side says no", func(t *testing.T) {
		server := serving(t)
		ann, ben := b.named(t, server, "Ann"), b.named(t, server, "Ben")
		ben.answer(ann.call(""))
		verified(t, ann, ben)
		ann.keeps()
		ben.sees("Ann wants to keep you as a contact")
		until[bool](ben, `!document.getElementById("keeping").hidden`)
		ben.tabBack("keep-not")
		ben.press(kb.Enter)
		if at := ben.focused(); at != "text" {
			t.Errorf("after no the focus is on %q", at)
		}
		ann.click("leave")
		ann.sees("Ben has not kept you, so there is no new contact.")
		ben.sees("has left")
		for _, p := range []*tab{ann, ben} {
			p.opens()
			if got := p.contacts(); got != "" {
				t.Errorf("the contacts are %q", got)
			}
		}
	})
	t.Run("words come first in a call without a secret", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		ann, ben := b.named(t, server, "Ann"), b.named(t, server, "Ben")
		ann.call("standup")
		ben.answer("standup")
		ann.sees("Compare these four words")
		ben.sees("Compare these four words")
		if eval[bool](ann, `!document.getElementById("keep").hidden`) {
			t.Error("an unverified caller can be kept")
		}
		ann.click("match")
		ann.keeps()
		ben.sees("First compare the four words.")
		if eval[bool](ben, `!document.getElementById("keeping").hidden || !document.getElementById("keep").hidden`) {
			t.Error("an unverified caller can be kept")
		}
		ben.click("match")
		ben.agrees()
		ann.sees("You have kept each other.")
		ben.sees("You have kept each other.")
	})
	t.Run("a program that cannot is told of", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		ann, ben := b.named(t, server, "Ann"), b.named(t, server, "Ben")
		eval[bool](ben, `(() => { // an earlier version, which says nothing of contacts
			const send = RTCDataChannel.prototype.send;
			RTCDataChannel.prototype.send = function (m) {
				if (m[0] !== 1) return send.call(this, m);
				const { contacts, ...hello } = JSON.parse(new TextDecoder().decode(m.subarray(1)));
				return send.call(this, new Uint8Array([1, ...new TextEncoder().encode(JSON.stringify(hello))]));
			};
			return true;
		})()`)
		ben.answer(ann.call(""))
		verified(t, ann, ben)
		until[bool](ann, `!document.getElementById("keep").hidden`)
		ann.tabTo("Keep")
		ann.press(kb.Enter)
		ann.sees("Ben’s program cannot keep contacts.")
	})
	t.Run("a browser that stores nothing is told of", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		ann, ben := b.named(t, server, "Ann"), b.open(t, "about:blank")
		ben.origin = server
		if _, err := chromedp.Call(ben.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `IDBFactory.prototype.open = () => { throw new DOMException("denied", "SecurityError") };`,
		}); err != nil {
			t.Fatal(err)
		}
		ben.do(chromedp.Navigate(server))
		ben.answer(ann.call(""))
		verified(t, ann, ben)
		ben.tabTo("Keep")
		ben.press(kb.Enter)
		ben.sees("This browser does not let the page store anything")
		ann.tabTo("Keep")
		ann.press(kb.Enter)
		ann.sees("guest’s program cannot keep contacts.")
	})
}

// A tab in which the two kept each other does not go back to the keys of before a call in another tab, whatever the other side repeats.
func TestPageKeptAgainAfterACall(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	ann, ben := b.named(t, server, "Ann"), b.named(t, server, "Ben")
	eval[bool](ben, `(() => {
		const send = RTCDataChannel.prototype.send;
		RTCDataChannel.prototype.send = function (m) {
			if (m[0] === 14) globalThis.repeat = () => { // what was said to keep the other one, as the third frame, and then a message
				const again = m.slice();
				again[8] = 3;
				send.call(this, again);
				send.call(this, new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 4, ...new TextEncoder().encode("again")]));
			};
			return send.call(this, m);
		};
		return true;
	})()`)
	ben.answer(ann.call(""))
	verified(t, ann, ben)
	ann.keeps()
	ben.agrees()
	ann.sees("You have kept each other.")
	ben.sees("You have kept each other.")
	annToo, benToo := ann.beside(b), ben.beside(b)
	annToo.contact("Call Ben")
	benToo.contact("Answer Ann")
	verified(t, annToo, benToo)
	hangUp(annToo, benToo)
	was := eval[[]string](annToo, storedContacts)
	eval[bool](ben, `(repeat(), true)`)
	ann.hears("again")
	if now := eval[[]string](annToo, storedContacts); len(now) != 1 || now[0] != was[0] {
		t.Errorf("the keys of the contact change from %q to %q", was, now)
	}
	annToo.contact("Call Ben")
	benToo.contact("Answer Ann")
	verified(t, annToo, benToo)
}

// A tab that is killed while the two keep each other, or while keys are stored, leaves both sides with a contact that works, or
// tells that it may not.
func TestPageKilledWhileKeeping(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	for name, at := range map[string]struct{ moment, list string }{
		"before it has stored":            {`IDBObjectStore.prototype.put = () => new Promise(() => {});`, "none"},
		"before it has shown what it has": {`drop = (m) => m[0] === 15;`, "unconfirmed"},
		"when its word is lost":           {`drop = (m) => m[0] === 14 || m[0] === 15;`, "unconfirmed"},
		"once it has said what it has":    {``, "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			server := serving(t)
			ann, ben := b.named(t, server, "Ann"), b.named(t, server, "Ben")
			ben.answer(ann.call(""))
			verified(t, ann, ben)
			eval[bool](ann, `(() => {
				let drop = () => false;
				`+at.moment+`
				const send = RTCDataChannel.prototype.send;
				RTCDataChannel.prototype.send = function (m) {
					if (drop(m)) document.body.dataset.dropped = m[0];
					else send.call(this, m);
				};
				return true;
			})()`)
			ben.keeps()
			ann.agrees()
			switch at.list {
			case "kept":
				ben.sees("You have kept each other.")
			case "unconfirmed":
				until[bool](ann, `document.body.dataset.dropped === "15"`) // it has stored then
			}
			ann.killed()
			ben.killed()
			ben.opens()
			ann.opens()
			got, theirs := ann.contacts(), ben.contacts()
			t.Logf("Ann has %q, Ben has %q", got, theirs)
			if at.list == "kept" && (got != "Ben" || theirs != "Ann") || at.list == "none" && got != "" || at.list == "unconfirmed" && got != "Ben" {
				t.Errorf("Ann's contacts are %q, and Ben's %q", got, theirs)
			}
			if got == "Ben" && theirs == "Ann" {
				ann.contact("Call Ben")
				ben.contact("Answer Ann")
				verified(t, ann, ben)
				return
			}
			for _, p := range []*tab{ann, ben} {
				if p.contacts() != "" {
					p.sees("Not confirmed: they may not have kept you")
				}
			}
		})
	}
}

// killed ends the page as if its process had been killed: it says and stores nothing more.
func (p *tab) killed() {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](`onbeforeunload = onpagehide = null; RTCDataChannel.prototype.send = () => {}; fetch = () => new Promise(() => {}); 0`), chromedp.Navigate("about:blank"))
}

// Wherever a tab is killed while it stores the keys of a call, the two meet again.
func TestPageKilledWhileRolling(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	ann, ben := friends(t, b, serving(t))
	for n, moment := range []string{
		`const put = IDBObjectStore.prototype.put; IDBObjectStore.prototype.put = function (c) { this.transaction.abort(); put.call(this, c); };`, // nothing is stored
		`drop = (m) => m[0] === 1;`, // stored, and not shown
		`drop = (m) => m[0] !== 1;`, // shown, and no more
		`IDBObjectStore.prototype.put = ((put, rolled) => function (c) { const two = c.keys.generations.length > 1; rolled ||= two; return two || !rolled ? put.call(this, c) : get.call(this, c.id); })(IDBObjectStore.prototype.put, false);`, // what the other side shows is not noted
	} {
		for i, p := range []*tab{ann, ben} {
			eval[bool](p, `(() => {
				let drop = () => false;
				const get = IDBObjectStore.prototype.get;
				`+moment+`
				const send = RTCDataChannel.prototype.send;
				RTCDataChannel.prototype.send = function (m) {
					if (drop(m)) document.body.dataset.dropped = "yes";
					else send.call(this, m);
				};
				return true;
			})()`)
			names := []string{"Call Ben", "Answer Ann"}
			if n%2 == 1 {
				names = []string{"Answer Ben", "Call Ann"}
			}
			ann.contact(names[0])
			ben.contact(names[1])
			other := []*tab{ben, ann}[i]
			if strings.Contains(moment, "=== 1") { // the other side hears nothing
				until[string](p, `document.body.dataset.dropped`)
			} else {
				verified(t, other)
			}
			for _, q := range []*tab{p, other} {
				q.killed()
				q.opens()
			}
			ann.contact("Call Ben")
			ben.contact("Answer Ann")
			verified(t, ann, ben)
			ben.say("met again")
			ann.hears("met again")
			ben.delivered(1)
			hangUp(ann, ben)
		}
	}
}
