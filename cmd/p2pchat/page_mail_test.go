package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"p2pchat/signaling"
)

// correspondents returns a page and a program that have kept each other at a server, and what starts the program again.
func correspondents(t *testing.T, b chromium, server string) (ann *tab, ben func(command string) *process) {
	t.Helper()
	ann = b.named(t, server, "Ann")
	dir := t.TempDir()
	run := func(args ...string) *process {
		t.Helper()
		env := []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NAME=Ben", "P2PCHAT_NO_OUTBOX=false"}
		return launchWith(t, dir, env, append(args, "--ui", "json")...)
	}
	program := run("answer", ann.call(""), "--keep", "ann", "--server", server)
	ann.sees("Ben wants to keep you as a contact")
	ann.agrees()
	ann.sees("You have kept each other.")
	program.prints(t, `"name":"ann","type":"kept"`)
	ann.click("leave")
	program.finish(t)
	ann.opens()
	return ann, func(command string) *process {
		t.Helper()
		if command == "listen" {
			return run(command)
		}
		return run(command, "@ann", "--server", server)
	}
}

// mails lets a program leave messages for the contact whom it calls, each in a letter of its own, and kills it.
func (p *process) mails(t *testing.T, messages ...string) {
	t.Helper()
	for n, m := range messages {
		p.say(t, `{"type":"message","text":"`+m+`"}`)
		p.prints(t, fmt.Sprintf(`"id":%d,"kept_s":\d+,"type":"mailed"`, n+1))
	}
	p.kill()
}

// theirs returns what the other side has written, as the page shows it.
func (p *tab) theirs() []string {
	p.t.Helper()
	return eval[[]string](p, `[...document.querySelectorAll("#log > .theirs .text")].map((e) => e.textContent)`)
}

// A page reads what a program has left at the server, and tells it so.
func TestPageReadsLetters(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("of a program that has gone, which is told", func(t *testing.T) {
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		ben("call").mails(t, "one", "two")
		ann.contact("Answer Ben")
		ann.hears("two")
		ann.sees("✉ Ben wrote this on ")
		ann.sees("Waiting for Ben to call. Ben left this at the server, sealed. You can write: Ben gets it when the two of you connect, or before that from the server.")
		ann.owesNothing(2)
		if got := ann.theirs(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("the page shows %q", got)
		}
		ann.opens() // the page has gone when the program comes back
		program := ben("call")
		program.prints(t, `"id":2,"type":"delivered"`)
		program.say(t, `{"type":"message","text":"three"}`)
		program.prints(t, `"id":3,"kept_s":\d+,"type":"mailed"`)

		ann.contact("Answer Ben") // both ways at once
		verified(t, ann)
		ann.hears("three")
		program.prints(t, `"id":3,"type":"delivered"`)
		program.say(t, `{"type":"message","text":"four"}`)
		ann.hears("four")
		ann.say("at last")
		ann.delivered(1)
		if got := ann.theirs(); !slices.Equal(got, []string{"three", "four"}) {
			t.Errorf("the page shows %q", got)
		}
		eval[bool](ann, `(addEventListener("pagehide", () => { localStorage.setItem("left", JSON.stringify({ ...sessionStorage })); }), true)`)
		ann.reload(true)
		ann.sees("Connected again.")
		if left := eval[string](ann, `localStorage.getItem("left")`); !strings.Contains(left, "conversation") || strings.Contains(left, "three") {
			t.Errorf("the page stores the messages of letters: %s", left)
		}
		program.say(t, `{"type":"message","text":"five"}`)
		ann.hears("five")
		ann.click("leave")
		program.finish(t)
	})
	t.Run("and goes on from there after the tab was killed", func(t *testing.T) {
		inFull(t)
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		ben("call").mails(t, "one", "two")
		ann.contact("Call Ben")
		ann.hears("two")
		ann.sees("Calling Ben. Ben left this at the server, sealed.")
		ann.owesNothing(2)
		program := ben("answer")
		verified(t, ann)
		program.say(t, `{"type":"message","text":"three"}`)
		ann.hears("three")
		program.prints(t, `"id":3,"type":"delivered"`)
		next := ann.beside(b)
		ann.killed()
		next.contact("Call Ben") // what it has stored of reading is older than what the killed tab has read
		next.sees("Connected with Ben")
		program.say(t, `{"type":"message","text":"four"}`)
		next.hears("four")
		if got := next.theirs(); !slices.Equal(got, []string{"four"}) {
			t.Errorf("the next tab shows %q", got)
		}
	})
	t.Run("once a person looks at it", func(t *testing.T) {
		inFull(t)
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		ben("call").mails(t, "one")
		eval[bool](ann, `(Object.defineProperty(document, "hidden", { value: true, configurable: true }), true)`)
		ann.contact("Answer Ben")
		until[bool](ann, `document.title === "(1) Ben – p2pchat"`)
		if got := ann.theirs(); len(got) > 0 {
			t.Errorf("a hidden page opens %q", got)
		}
		eval[bool](ann, `(delete document.hidden, document.dispatchEvent(new Event("visibilitychange")))`)
		ann.hears("one")
		ann.owesNothing(1)
	})
	t.Run("and does not lose a receipt in a call that is declined", func(t *testing.T) {
		inFull(t)
		ann, ben := correspondents(t, b, serving(t, "--mail"))
		ben("call").mails(t, "one")
		eval[bool](ann, `(fetch = ((was) => (to, o) => o.method === "POST" && to.includes("/mail/") ?
			new Promise((_, reject) => { document.body.dataset.stopped = "yes"; o.signal.addEventListener("abort", () => reject(o.signal.reason)); }) : was(to, o))(fetch), true)`)
		ann.contact("Call Ben")
		ann.hears("one")
		until[bool](ann, `document.body.dataset.stopped === "yes"`)
		listen := ben("listen")
		listen.prints(t, `"contact":"ann","type":"call"`)
		listen.say(t, `{"type":"decline"}`)
		ann.sees("declined the call")
		listen.kill()
		ann.opens()
		ann.contact("Answer Ben")
		ann.owesNothing(1)
		ann.opens()
		program := ben("call")
		program.prints(t, `"id":1,"type":"delivered"`)
		if out := program.out.String(); strings.Contains(out, "missing") {
			t.Errorf("Ben is told of a missing letter: %s", out)
		}
	})
	t.Run("of a server that keeps none without a word", func(t *testing.T) {
		inFull(t)
		ann, ben := correspondents(t, b, serving(t))
		ann.contact("Answer Ben")
		ann.sees("Waiting for Ben")
		program := ben("call")
		verified(t, ann)
		program.say(t, `{"type":"message","text":"hello"}`)
		ann.hears("hello")
		if notes := eval[string](ann, `document.getElementById("wait-notes").textContent`); notes != "" {
			t.Errorf("the page says %q", notes)
		}
	})
}

// owesNothing waits until the page has stored that its person has read up to that message, and that the server has all receipts.
func (p *tab) owesNothing(read int) {
	p.t.Helper()
	p.stores(fmt.Sprintf(`c.heard?.through === %d && c.due === false && c.sealed?.length === 0`, read))
}

// stores waits until an expression holds for the page's only contact c, as it is stored.
func (p *tab) stores(expression string) {
	p.t.Helper()
	eval[bool](p, `new Promise((resolve) => {
		const look = () => `+storedMail+`.then((c) => `+expression+` ? resolve(true) : setTimeout(look, 20));
		look();
	})`)
}

// Wherever a tab is killed while it reads a letter, the letter is shown, once unless the kill came before that was stored, and its sender is told.
func TestPageKilledWhileReading(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	ann, ben := correspondents(t, b, serving(t, "--mail"))
	for n, kill := range []struct {
		moment string
		again  bool // the letter is shown by the next tab, too
	}{
		{`IDBObjectStore.prototype.put = function () { stop(); throw new Error("killed"); };`, true},
		{fmt.Sprintf(stopPut, `c.due`), false}, // how far the person has read is stored, and the key is not
		{stoppedDeletion, false},
		{`fetch = ((was) => (to, o) => o.method === "POST" && to.includes("/mail/") ? new Promise(stop) : was(to, o))(fetch);`, false},
		{fmt.Sprintf(stopPut, `c.sealed?.length > 0`), false},
	} {
		text := fmt.Sprint("letter ", n+1)
		program := ben("call")
		program.say(t, `{"type":"message","text":"`+text+`"}`)
		program.prints(t, fmt.Sprintf(`"id":%d,"kept_s":\d+,"type":"mailed"`, n+1))
		program.kill()

		ann.do(chromedp.Evaluate[chromedp.Void](`globalThis.stop = () => { document.body.dataset.stopped = "yes"; }; ` + kill.moment + ` 0`))
		ann.contact("Answer Ben")
		ann.hears(text)
		until[bool](ann, `document.body.dataset.stopped === "yes"`)
		if !kill.again {
			ann.stores(fmt.Sprintf(`c.heard?.through === %d`, n+1))
		}
		ann.killed()
		ann.opens()
		ann.contact("Answer Ben")
		if kill.again {
			ann.hears(text)
		}
		ann.stores(fmt.Sprintf(`c.keys.generations[0].boxes[c.keys.side === "first" ? 1 : 0].number === %d`, n+1)) // the key after the letter
		ann.owesNothing(n + 1)
		if got := len(ann.theirs()); got > 1 || (got == 1) != kill.again {
			t.Errorf("killed at moment %d: the next tab shows %d messages", n, got)
		}
		ann.opens()
		program = ben("call")
		program.prints(t, fmt.Sprintf(`"id":%d,"type":"delivered"`, n+1))
		program.kill()
	}
}

// stopPut makes a page stop where it stores a contact c for which an expression holds.
const stopPut = `IDBObjectStore.prototype.put = ((put) => function (c) { if (!(%s)) return put.call(this, c); stop(); throw new Error("killed"); })(IDBObjectStore.prototype.put);`

// stoppedDeletion makes a page stop where it deletes letters.
const stoppedDeletion = `fetch = ((was) => (to, o) => o.method === "DELETE" && to.includes("/mail/") ? new Promise(stop) : was(to, o))(fetch);`

// What a tab had read when it was closed before its deletion came, the next tab deletes at the server, and does not show.
func TestPageDeletesWhatAClosedTabHadRead(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	ann, ben := correspondents(t, b, serving(t, "--mail"))
	ben("call").mails(t, "one", "two")
	ann.do(chromedp.Evaluate[chromedp.Void](`globalThis.stop = () => { document.body.dataset.stopped = "yes"; }; ` + stoppedDeletion + ` 0`))
	ann.contact("Answer Ben")
	ann.hears("two")
	until[bool](ann, `document.body.dataset.stopped === "yes"`)
	ann.owesNothing(2)
	if got := ann.inBox(); got != 2 {
		t.Fatalf("%d letters are in the box when the tab is closed, want 2", got)
	}
	next := ann.beside(b)
	ann.killed()
	eval[bool](next, `(fetch = ((was) => async (to, o) => { const r = await was(to, o); if (o.method === "DELETE" && to.includes("/mail/")) document.body.dataset.deleted = r.status; return r; })(fetch), true)`)
	next.contact("Answer Ben")
	until[bool](next, `document.body.dataset.deleted === "204"`)
	if got := next.inBox(); got != 0 {
		t.Errorf("%d letters that were read are still in the box", got)
	}
	program := ben("call")
	verified(t, next)
	program.say(t, `{"type":"message","text":"three"}`)
	next.hears("three")
	if got := next.theirs(); !slices.Equal(got, []string{"three"}) {
		t.Errorf("the next tab shows %q", got)
	}
}

// inBox returns how many blocks the server has in the boxes from which the page's only contact is read.
func (p *tab) inBox() int {
	p.t.Helper()
	return eval[int](p, storedMail+`.then(async (c) => {
		`+pageScript(p.t, "parts")+`
		let all = 0;
		for (const g of c.keys.generations) {
			const { name, taker } = parts.mail.address(parts.contact.boxOf(c.keys, parts.contact.id(g), "theirs"));
			all += (await (await fetch("mail/" + name + "?after=0", { headers: { Authorization: "Bearer " + taker } })).json()).length;
		}
		return all;
	})`)
}

// storedMail evaluates to the page's only contact, as it is stored.
const storedMail = `new Promise((resolve, reject) => {
	const open = indexedDB.open("p2pchat at " + location.origin);
	open.onerror = () => reject(open.error);
	open.onsuccess = () => {
		const all = open.result.transaction("contacts").objectStore("contacts").getAll();
		all.onsuccess = () => {
			open.result.close();
			resolve(all.result[0]);
		};
	};
})`

// A receipt that the server loses is no missing letter: what was written before the next message is there.
func TestPageTellsOfNoLostReceipt(t *testing.T) {
	t.Parallel()
	m := &postman{lie: func(list, _ []signaling.Block) []signaling.Block {
		return slices.DeleteFunc(list, func(b signaling.Block) bool { return b.Number == 1 })
	}}
	ann, ben := correspondents(t, sharedBrowser(t), m.atDoor(t))
	ann.writesTo("Call Ben", "one")
	ann.marked(leftThere)
	ann.click("leave")
	ann.opens()
	program := ben("answer")
	program.prints(t, `"text":"one"`)
	program.say(t, `{"type":"leave"}`)
	program.finish(t) // it has left the receipt
	ben("call").mails(t, "two")
	m.lying.Store(true)
	ann.contact("Answer Ben")
	ann.hears("two")
	ann.owesNothing(1)
	if m.reads.Load() == 0 {
		t.Error("the server has not lied")
	}
	if text := eval[string](ann, `document.getElementById("log").textContent`); strings.Contains(text, "missing") {
		t.Errorf("the page says %q", text)
	}
}

// A server that lies about letters makes the page show nothing that was not written, nothing twice and nothing in another order, and the
// person is told. What it held back comes when the two meet.
func TestPageAtAServerThatLiesAboutLetters(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	truth := func(list, _ []signaling.Block) []signaling.Block { return list }
	for name, lie := range map[string]struct {
		tell  func(list, seen []signaling.Block) []signaling.Block
		told  string // by the page; empty: nothing was lost
		shown bool   // all letters, before the two meet
		empty string // what it sends for an empty list
		jam   int    // with which it answers to what is left or deleted
	}{
		"repeats": {func(list, seen []signaling.Block) []signaling.Block { return slices.Concat(seen, list, list) },
			"is shown once.", true, "", 0},
		"reorders": {func(list, _ []signaling.Block) []signaling.Block { slices.Reverse(list); return list }, "", true, "", 0},
		"withholds": {func(list, _ []signaling.Block) []signaling.Block { return list[min(1, len(list)):] },
			"1 letter is missing: it expired, or the server withholds it. Its sender still has it.", false, "", 0},
		"invents": {func(list, _ []signaling.Block) []signaling.Block {
			for _, b := range list[:len(list):len(list)] {
				noise := make([]byte, 512)
				_, _ = rand.Read(noise)
				list = append([]signaling.Block{{Number: b.Number, Bytes: noise}, {Number: b.Number + 4000, Bytes: noise}}, list...)
			}
			return list
		}, "that your contact did not write", true, "", 0},
		"truncates": {func(list, _ []signaling.Block) []signaling.Block {
			for i := range list {
				list[i].Bytes = list[i].Bytes[:100]
			}
			return list
		}, "The page cannot look for letters: ", false, "", 0},
		"says nothing in two tokens": {truth, "", true, "[ ]", 0},
		"says null":                  {truth, "The page cannot look for letters: ", true, "null", 0},
		"takes no receipt":           {oneByOne, "", true, "", http.StatusServiceUnavailable},
		"deletes no letter":          {oneByOne, "The server did not delete the letters that you have read: ", true, "", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "invents" {
				inFull(t)
			}
			m := &postman{lie: lie.tell, empty: lie.empty, jam: lie.jam}
			ann, ben := correspondents(t, b, m.atDoor(t))
			ben("call").mails(t, "one", "two", "three")
			m.lying.Store(true)
			ann.contact("Answer Ben")
			if lie.shown {
				ann.hears("three")
			}
			if lie.told != "" {
				ann.sees(lie.told)
			} else if lie.empty != "" {
				m.isReadSlowly(t)
			}
			program := ben("call")
			verified(t, ann)
			program.say(t, `{"type":"message","text":"last"}`)
			ann.hears("last")
			if got := ann.theirs(); !slices.Equal(got, []string{"one", "two", "three", "last"}) {
				t.Errorf("the page shows %q", got)
			}
			if reads := m.reads.Load(); reads == 0 || reads > 20 {
				t.Errorf("the page and the program read %d times from a server that lies", reads)
			}
		})
	}
}
