package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The page in a real browser, with itself and with the program.
func TestPage(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("meets itself in the lobby with one click in each of two tabs", func(t *testing.T) {
		server := serving(t)
		caller := b.tab(t, server)
		callee := b.tab(t, server)
		caller.do(chromedp.Click(chromedp.CSS("#call button.primary")))
		callee.do(chromedp.Click(chromedp.CSS("#answer button.primary")))
		for _, p := range []*tab{caller, callee} {
			if got := p.connected(); got != "Unverified" {
				t.Errorf("without a secret the page says %q", got)
			}
		}
		words := `document.getElementById("safety-words").textContent`
		if a, b := eval[string](caller, words), eval[string](callee, words); a != b || len(a) < 4*3+3 {
			t.Errorf("the safety words are %q and %q", a, b)
		}
		converse(t, caller, callee)
	})
	t.Run("meets itself with a code", func(t *testing.T) {
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		converse(t, caller, callee)
	})
	t.Run("calls the program", func(t *testing.T) {
		server := serving(t)
		caller := b.open(t, server)
		program := launch(t, "answer", caller.call(""), "--server", server)
		verified(t, caller)
		program.notes(t, `^p2pchat: Verified`)
		converseWith(t, caller, program)
		caller.click("leave")
		program.finish(t)
		if code := program.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("the program ended with exit code %d: %s", code, program.err)
		}
		caller.sees("All your messages were delivered.")
	})
	t.Run("answers the program, with a link", func(t *testing.T) {
		server := serving(t)
		program := launch(t, "call", "one-two-three", "--server", server)
		program.notes(t, `^p2pchat: code: one-two-three$`)
		callee := b.open(t, server+"/#one-two-three")
		verified(t, callee)
		if at := eval[string](callee, "location.href"); at != server+"/" {
			t.Errorf("the address bar still says %s", at)
		}
		converseWith(t, callee, program)
		if err := program.in.Close(); err != nil {
			t.Fatal(err)
		}
		callee.sees("has finished writing, and still reads.")
		callee.click("leave")
		program.finish(t)
	})
	t.Run("meets itself on plain http, on a server of another machine", func(t *testing.T) {
		inFull(t)
		usesClipboard(t)
		server := strings.Replace(serving(t, "--public-url", "http://chat.example.org"), "127.0.0.1", "chat.example.org", 1)
		caller := b.open(t, server)
		if eval[bool](caller, `isSecureContext || !document.getElementById("new-code-field").hidden`) {
			t.Error("the page takes the server for one on its machine")
		}
		caller.answer("")
		caller.sees("Type a code.")
		caller.do(chromedp.Click(chromedp.CSS("#call button.primary"))) // one click makes a code
		link := until[string](caller, `!document.getElementById("share").hidden && document.getElementById("the-link").textContent`)
		if !regexp.MustCompile(`^http://chat\.example\.org:\d+/#\d{3}-[a-z]+-[a-z]+$`).MatchString(link) {
			t.Errorf("the link is %s", link)
		}
		caller.do(chromedp.Click(chromedp.CSS(`button[data-copy="the-link"]`)))
		caller.sees("Copied")
		callee := b.open(t, link)
		verified(t, caller, callee)
		converse(t, callee, caller)
	})
	t.Run("meets itself on https", func(t *testing.T) {
		inFull(t)
		own := filepath.Join(t.TempDir(), "own")
		if err := certify(own, "chat.example.org"); err != nil {
			t.Fatal(err)
		}
		server := serving(t, "--tls-cert", own+".pem", "--tls-key", own+".key")
		server = "https://chat.example.org" + server[strings.LastIndex(server, ":"):]
		caller, callee := b.open(t, server), b.open(t, server)
		if !eval[bool](caller, `isSecureContext && !document.getElementById("notify").hidden`) {
			t.Error("the page takes https for plain http")
		}
		caller.do(chromedp.Click(chromedp.CSS("#call button.primary")))
		callee.answer(until[string](caller, `!document.getElementById("share").hidden && document.getElementById("the-code").textContent`))
		verified(t, caller, callee)
		converse(t, caller, callee)
	})
	t.Run("meets the program over the server's relay", func(t *testing.T) {
		inFull(t)
		server := serving(t, "--relay", "--relay-listen", "127.0.0.1:0")
		for command, meet := range map[string]func(*tab, string){
			"answer": func(p *tab, code string) { p.call(code) },
			"call":   func(p *tab, code string) { p.answer(code) },
		} {
			page := b.open(t, server)
			meet(page, command+"-falcon-zebra")
			program := launch(t, command, command+"-falcon-zebra", "--server", server, "--relay-only")
			verified(t, page)
			page.sees("Through a relay")
			converseWith(t, page, program)
		}
	})
	t.Run("compares safety words, where there is no secret", func(t *testing.T) {
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		caller.call("standup")
		callee.answer("standup")
		caller.sees("Compare these four words")
		callee.sees("Compare these four words")
		caller.click("match")
		if got := caller.connected(); got != "✓ Compared" {
			t.Errorf("after the comparison the page says %q", got)
		}
		callee.click("differ") // which may be a slip: the page asks
		callee.sees("one word heard wrong is enough")
		callee.press(kb.Enter)
		callee.say("still here")
		caller.hears("still here")
		callee.click("differ")
		callee.click("differ-sure")
		callee.sees("Someone may be listening, so the call has been ended.")
		if look := eval[string](callee, `(() => { const s = getComputedStyle(document.getElementById("over-alarm")); return s.fontWeight + " " + s.color; })()`); look != "700 rgb(163, 32, 29)" {
			t.Errorf("the warning is %s", look)
		}
		caller.sees("says that the safety words differ: someone may be listening.")
		caller.sees("has left")
	})
	t.Run("notifies of messages in a tab that is not seen, if it was asked to", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		eval[bool](callee, `(() => { // a browser without a window has neither
			globalThis.shown = [];
			globalThis.Notification = class { constructor(title) { shown.push(title) } static async requestPermission() { return "granted" } };
			Object.defineProperty(document, "hidden", { value: true, configurable: true });
			return true;
		})()`)
		caller.say("a secret")
		callee.hears("a secret")
		if n := eval[int](callee, "shown.length"); n != 0 {
			t.Errorf("%d notifications without being asked to", n)
		}
		eval[bool](callee, `(delete document.hidden, document.dispatchEvent(new Event("visibilitychange")))`)
		callee.click("more")
		callee.click("notify")
		until[bool](callee, `document.getElementById("notify").getAttribute("aria-pressed") === "true"`)
		eval[bool](callee, `(Object.defineProperty(document, "hidden", { value: true, configurable: true }), true)`)
		caller.say("another secret")
		caller.say("and one more")
		callee.hears("and one more")
		if shown := eval[[]string](callee, "shown"); len(shown) != 1 || strings.Contains(shown[0], "secret") {
			t.Errorf("the notifications are %q", shown)
		}
		if title := eval[string](callee, "document.title"); !strings.HasPrefix(title, "(2) ") {
			t.Errorf("with two unread messages the title is %q", title)
		}
	})
}

func verified(t *testing.T, tabs ...*tab) {
	t.Helper()
	for _, p := range tabs {
		if got := p.connected(); got != "✓ Verified" {
			t.Errorf("with a secret the page says %q", got)
		}
		if eval[bool](p, `!document.getElementById("verify").hidden`) {
			t.Error("a verified page shows safety words")
		}
	}
}

// converse is a few words each way, and a goodbye.
func converse(t *testing.T, a, b *tab) {
	t.Helper()
	a.say("Are you there?")
	b.hears("Are you there?")
	b.say("Yes.")
	b.say("Nobody else is.")
	a.hears("Yes.")
	a.hears("Nobody else is.")
	a.delivered(1)
	b.delivered(2)
	a.click("leave")
	b.sees("has left")
	a.sees("All your messages were delivered.")
}

func converseWith(t *testing.T, p *tab, program *process) {
	t.Helper()
	p.say("Hello from a tab")
	program.hears(t, "Hello from a tab")
	program.say(t, "Hello from a terminal")
	p.hears("Hello from a terminal")
	p.delivered(1)
}
