package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// named opens the page in a profile of its own, for a person of that name.
func (b chromium) named(t *testing.T, server, name string) *tab {
	t.Helper()
	p := b.open(t, server)
	p.do(chromedp.SetValue(chromedp.ID("name"), name))
	return p
}

// beside opens the page once more in the profile of p.
func (p *tab) beside(b chromium) *tab {
	p.t.Helper()
	return b.tab(p.t, p.origin, chromedp.WithExistingBrowserContext(chromedp.FromContext(p.ctx).BrowserContextID))
}

// keeps presses the button, and then Enter in the form.
func (p *tab) keeps() {
	p.t.Helper()
	until[bool](p, `!document.getElementById("keep").hidden`)
	p.tabTo("Keep")
	p.press(kb.Enter)
	until[bool](p, `document.activeElement.id === "keep-name"`)
	p.press(kb.Enter)
	p.sees("Noted. You will have kept each other once")
}

// agrees answers the other side's question with the keyboard: from the message box, back to the form.
func (p *tab) agrees() {
	p.t.Helper()
	until[bool](p, `!document.getElementById("keeping").hidden`)
	p.tabBack("keep-yes")
	p.press(kb.Enter)
}

// tabBack presses Shift-Tab until the element with that ID has the focus.
func (p *tab) tabBack(id string) {
	p.t.Helper()
	for range 20 {
		if p.focused() == id {
			return
		}
		p.chord(shift, '\t')
	}
	p.t.Fatalf("Shift-Tab never reaches #%s", id)
}

// friends returns two pages at their start that have kept each other.
func friends(t *testing.T, b chromium, server string) (ann, ben *tab) {
	t.Helper()
	ann, ben = b.named(t, server, "Ann"), b.named(t, server, "Ben")
	ben.answer(ann.call(""))
	verified(t, ann, ben)
	ann.keeps()
	ben.agrees()
	ann.sees("You have kept each other. From now on you can call Ben")
	ben.sees("You have kept each other. From now on you can call Ann")
	hangUp(ann, ben)
	return ann, ben
}

// hangUp ends a call, and loads both pages again.
func hangUp(one, other *tab) {
	one.t.Helper()
	one.click("leave")
	other.sees("has left")
	one.sees("All your messages were delivered.")
	for _, p := range []*tab{one, other} {
		p.opens()
	}
}

// opens loads the page as in a new tab.
func (p *tab) opens() {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](`onbeforeunload = null; addEventListener("pagehide", () => { sessionStorage.removeItem("p2pchat waited at " + location.origin); }); 0`),
		chromedp.Navigate("about:blank"), chromedp.Navigate(p.origin))
	p.sees("Start a call")
}

// contact presses a button of a contact.
func (p *tab) contact(label string) {
	p.t.Helper()
	until[bool](p, `!document.getElementById("contacts").hidden`)
	p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("start-title").focus()`))
	p.tabTo(label)
	p.press(kb.Enter)
}

// contacts returns the names of the contacts that the browser stores.
func (p *tab) contacts() string {
	p.t.Helper()
	return eval[string](p, storedContacts+`.then((all) => all.map((c) => c.split(" ")[0]).join())`)
}

// storedContacts evaluates to what the browser stores of contacts: their names, sides, IDs of generations, and whether each was shown.
const storedContacts = allContacts + `.then((all) => all.map((c) => c.name + " " + c.keys.side + " " + c.keys.generations.map((g) => String(g.root)).join(" or ") + " " + c.keys.shown))`

// allContacts evaluates to all that the browser stores of contacts.
const allContacts = `new Promise((resolve, reject) => {
	const open = indexedDB.open("p2pchat at " + location.origin);
	open.onerror = () => reject(open.error);
	open.onsuccess = () => {
		const all = open.result.transaction("contacts").objectStore("contacts").getAll();
		all.onsuccess = () => {
			open.result.close();
			resolve(all.result);
		};
	};
})`

// stored waits until the browser has stored that many messages that the one contact does not have: a tab that ends before that loses them.
func (p *tab) stored(messages int) {
	p.t.Helper()
	has := 0
	eventually(p.t, func() bool {
		has = eval[int](p, allContacts+`.then(([c]) => c.undelivered?.frames.length ?? 0)`)
		return has == messages
	}, func() string { return fmt.Sprint("the browser has stored ", has, " messages") })
}

// Two who have kept each other call without a code.
func TestPageContacts(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("call in either direction, and each call changes the keys", func(t *testing.T) {
		inFull(t)
		ann, ben := friends(t, b, serving(t))
		var seen []string
		for n, c := range []struct {
			caller, callee *tab
			name           string
		}{{ann, ben, "Ben"}, {ben, ann, "Ann"}, {ann, ben, "Ben"}} {
			other := map[string]string{"Ann": "Ben", "Ben": "Ann"}[c.name]
			if n == 1 { // the callee comes first
				c.callee.contact("Answer " + other)
				c.callee.sees("Waiting for " + other + " to call")
			}
			c.caller.contact("Call " + c.name)
			c.caller.sees("Calling " + c.name)
			if c.caller.try(`document.getElementById("share").hidden`) != "true" {
				t.Error("a call to a contact shows a code")
			}
			if n != 1 {
				c.callee.contact("Answer " + other)
			}
			verified(t, ann, ben)
			if title := eval[string](ann, `document.getElementById("trust").title`); title != "You have kept each other, so no one is listening in." {
				t.Errorf("the badge says %q", title)
			}
			if eval[bool](ann, `!document.getElementById("keep").hidden`) {
				t.Error("a contact can be kept again")
			}
			c.caller.say("no code")
			c.callee.hears("no code")
			c.caller.delivered(1)
			a, b := eval[[]string](ann, storedContacts), eval[[]string](ben, storedContacts)
			if len(a) != 1 || len(b) != 1 || strings.ReplaceAll(a[0], "Ben first", "Ann second") != b[0] || strings.Contains(a[0], " or ") {
				t.Errorf("in call %d the two store %.60q and %.60q", n, a, b)
			}
			for _, was := range seen {
				if was == a[0] {
					t.Errorf("call %d has the keys of an earlier one", n)
				}
			}
			seen = append(seen, a[0])
			hangUp(c.caller, c.callee)
		}
	})
	t.Run("call each other at once", func(t *testing.T) {
		inFull(t)
		ann, ben := friends(t, b, serving(t))
		for n := range 3 {
			both := []*tab{ann, ben}
			names := []string{"Ben", "Ann"}
			for i := range both {
				both[(i+n)%2].contact("Call " + names[(i+n)%2])
			}
			verified(t, ann, ben)
			ben.say("at once")
			ann.hears("at once")
			ben.delivered(1)
			hangUp(ann, ben)
		}
	})
	t.Run("go on after a reload on either side", func(t *testing.T) {
		inFull(t)
		ann, ben := friends(t, b, serving(t))
		ann.contact("Call Ben")
		ben.contact("Answer Ann")
		verified(t, ann, ben)
		for _, p := range []*tab{ben, ann} {
			other := map[*tab]*tab{ann: ben, ben: ann}[p]
			p.reload(true)
			p.sees("Connected again.")
			other.say("after a reload")
			p.hears("after a reload")
		}
	})
	t.Run("meet a program, in either direction", func(t *testing.T) {
		server := serving(t)
		ann, dir := b.named(t, server, "Ann"), t.TempDir()
		ben := func(args ...string) *process {
			t.Helper()
			return launchWith(t, dir, []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NAME=Ben"}, append(args, "--server", server, "--ui", "json")...)
		}
		program := ben("answer", ann.call(""))
		verified(t, ann)
		program.say(t, `{"type":"keep"}`)
		ann.sees("Ben wants to keep you as a contact")
		ann.agrees()
		ann.sees("You have kept each other.")
		program.prints(t, `"name":"Ann","type":"kept"`)
		leave := func() {
			t.Helper()
			ann.click("leave")
			program.finish(t)
			ann.opens()
		}
		leave()
		for n, command := range []string{"answer", "call", "call", "answer"} {
			if command == "call" && n == 1 {
				ann.contact("Answer Ben")
			} else {
				ann.contact("Call Ben") // twice while the program calls, too
			}
			program = ben(command, "@ann")
			verified(t, ann)
			program.say(t, `{"type":"message","text":"no code"}`)
			ann.hears("no code")
			ann.say("indeed")
			ann.delivered(1)
			if n == 2 {
				ann.reload(true)
				ann.sees("Connected again.")
				program.say(t, `{"type":"message","text":"after a reload"}`)
				ann.hears("after a reload")
			}
			leave()
		}
		program = ben("call", "417-falcon-zebra")
		program.prints(t, `"type":"waiting"`)
		ann.answer("417-falcon-zebra")
		verified(t, ann)
		ann.keeps()
		program.prints(t, `"type":"keep-asked","verified":true`)
		program.say(t, `{"type":"keep"}`)
		ann.sees("You have kept each other. You already have a contact called Ben, so this one is called Ben 2. From now on you can call Ben 2")
		leave()
	})
	t.Run("ring a program that listens", func(t *testing.T) {
		server := serving(t)
		ann, dir := b.named(t, server, "Ann"), t.TempDir()
		env := []string{"XDG_STATE_HOME=" + dir, "P2PCHAT_NAME=Ben"}
		program := launchWith(t, dir, env, "answer", ann.call(""), "--server", server, "--ui", "json", "--keep", "ann")
		ann.sees("Ben wants to keep you as a contact")
		ann.agrees()
		program.prints(t, `"name":"ann","type":"kept"`)
		ann.click("leave")
		program.finish(t)
		ann.opens()

		listen := launchWith(t, dir, env, "listen", "--ui", "json")
		listen.prints(t, `"type":"listening"`)
		ann.contact("Call Ben")
		ann.sees("It is ringing. Waiting for Ben to answer")
		listen.prints(t, `"contact":"ann","type":"call"`)
		listen.say(t, `{"type":"decline"}`)
		ann.sees("Ben declined the call. Call again later.")
		if eval[bool](ann, `document.getElementById("start-error").classList.contains("error")`) {
			t.Error("that the contact declined is shown as an error")
		}
		ann.opens()
		if stored := eval[[]string](ann, storedContacts); len(stored) != 1 || strings.Contains(stored[0], " or ") {
			t.Errorf("a declined call changes the keys: %d contacts, %s", len(stored), strings.Join(stored, "; "))
		}
		ann.contact("Call Ben")
		ann.sees("It is ringing.")
		listen.prints(t, `(?s)"how":"declined".*"contact":"ann","type":"call"`)
		listen.say(t, `{"type":"answer"}`)
		verified(t, ann)
		ann.say("are you there?")
		listen.prints(t, `"text":"are you there\?"`)
		ann.delivered(1)
	})
	t.Run("are renamed and forgotten", func(t *testing.T) {
		inFull(t)
		ann, ben := friends(t, b, serving(t))
		ann.tabTo("Rename or forget Ben")
		ann.press(kb.Enter + kb.Tab)
		ann.chord(ctrl, 'a')
		ann.press("Benjamin" + kb.Enter)
		ann.sees("Renamed.")
		ann.contact("Call Benjamin")
		ben.contact("Answer Ann")
		verified(t, ann, ben)
		if got := eval[string](ann, `document.getElementById("peer-name").textContent`); got != "Benjamin" {
			t.Errorf("the contact is called %q", got)
		}
		second := ann.beside(b)
		second.contact("Call Benjamin")
		second.sees("Another tab is in a call with Benjamin")
		second.tabTo("Rename or forget")
		second.press(kb.Enter)
		second.tabTo("Forget")
		second.press(kb.Enter + kb.Enter)
		second.sees("Another tab is in a call with Benjamin")
		hangUp(ann, ben)
		ann.contact("Rename or forget")
		ann.tabTo("Forget")
		ann.press(kb.Enter)
		ann.sees("press Forget again.")
		ann.press(kb.Enter)
		until[bool](ann, `document.getElementById("contacts").hidden`)
		if left := eval[[]string](ann, storedContacts); len(left) > 0 {
			t.Errorf("of a forgotten contact %q is left", left)
		}
		second.contact("Call Benjamin")
		second.sees("Another tab has forgotten Benjamin.")
	})
}

// testPageContactVectors checks the page's keys of contacts against the vectors of peer/contact.
func testPageContactVectors(t *testing.T, p *tab) {
	vectors, err := os.ReadFile("../../peer/contact/testdata/contact.json")
	if err != nil {
		t.Fatal(err)
	}
	if wrong := eval[[]string](p, `((v) => {
		const { keep, roll, unroll, show, newest, id, place, places } = parts.contact, wrong = [];
		const bytes = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
		const plain = (g) => JSON.stringify({ root: parts.base64(g.root), boxes: g.boxes.map((b) => ({ put: parts.base64(b.put), take: parts.base64(b.take), chain: parts.base64(b.chain), number: b.number })) });
		const same = (what, got, want) => { if (got !== want) wrong.push(what + " is " + got + ", want " + want); };
		const kept = keep("first", bytes(v.Key), bytes(v.Firsts), bytes(v.Seconds)), rolled = roll(kept, v.IDs[0], bytes(v.Call));
		same("the first generation", plain(kept.generations[0]), JSON.stringify(v.Kept));
		same("the next one", plain(rolled.generations[0]), JSON.stringify(v.Rolled));
		same("the IDs", [id(kept.generations[0]), newest(rolled)].join(), v.IDs.join());
		for (const [name, g] of [["kept", kept.generations[0]], ["rolled", rolled.generations[0]]]) {
			for (const side of ["first", "second"]) {
				const { room, secret } = place(g, side, v.Epoch);
				same("the place of " + name + " " + side, room + secret, v.Places[name + " " + side].Room + v.Places[name + " " + side].Secret);
			}
		}
		same("the generations until the other side has shown", rolled.generations.length, 2);
		same("those after another ID", show(rolled, v.IDs[0]).generations.length, 2);
		same("those after the newest", show(rolled, v.IDs[1]).generations.length + " " + show(rolled, v.IDs[1]).shown, "1 true");
		same("those of a call that was declined", newest(unroll(rolled, v.IDs[1])) + " " + newest(unroll(rolled, v.IDs[0])), v.IDs.join(" "));
		same("a roll of a generation that is not kept", roll(kept, v.IDs[1], bytes(v.Call)), undefined);
		const at = places(rolled, false, v.Epoch * 3600e3 + 5);
		same("the places", at.length, 6);
		same("the first of them", at[0].room, v.Places["rolled second"].Room);
		return wrong;
	})(`+string(vectors)+`)`); len(wrong) > 0 {
		t.Errorf("%q", wrong)
	}
}

// What the person is typing in the list of contacts stays when they look at another tab.
func TestPageKeepsANameThatIsTyped(t *testing.T) {
	t.Parallel()
	ann, _ := correspondents(t, sharedBrowser(t), serving(t))
	ann.contact("Rename or forget")
	ann.press("\t")
	ann.press("Benny")
	ann.do(chromedp.Evaluate[chromedp.Void](`document.dispatchEvent(new Event("visibilitychange")); 0`))
	ann.drawn()
	ann.press("\r")
	ann.sees("Renamed.")
	if got := ann.contacts(); got != "Benny" {
		t.Errorf("the contact is %q", got)
	}
}
