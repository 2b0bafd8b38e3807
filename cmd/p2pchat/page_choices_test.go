package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The choices of a person: a name, an empty screen, a hidden address.
func TestPageChoices(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("another name in the middle of a call", func(t *testing.T) {
		server := serving(t)
		page := b.open(t, server)
		page.do(chromedp.SetValue(chromedp.ID("name"), "Ann"))
		program := launch(t, "answer", page.call(""), "--server", server)
		verified(t, page)
		program.notes(t, `Connected with Ann`)
		page.click("more")
		if was := eval[string](page, `document.getElementById("new-name").value`); was != "Ann" {
			t.Errorf("the page offers the name %q to be changed", was)
		}
		page.write("new-name", "Annie")
		page.press("\r")
		page.sees("You are now Annie.")
		program.notes(t, `Ann is now Annie`)
		if eval[bool](page, `document.getElementById("menu").matches(":popover-open")`) {
			t.Error("the menu stays in the way")
		}
		page.click("leave")
		program.finish(t)
		page.click("again")
		if kept := eval[string](page, `document.getElementById("name").value`); kept != "Annie" {
			t.Errorf("the next call is of %q", kept)
		}
	})
	t.Run("an empty screen", func(t *testing.T) {
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		caller.say("read, and gone")
		caller.delivered(1)
		path, _ := random(t, "undecided.bin", 10)
		caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
		callee.sees("undecided.bin")
		callee.click("more")
		callee.click("clear")
		callee.sees("Cleared on this page.")
		if left := eval[string](callee, `document.getElementById("log").innerText`); strings.Contains(left, "gone") || !strings.Contains(left, "undecided.bin") {
			t.Errorf("after clearing the page shows %q", left)
		}
		callee.picksNothing()
		callee.accepts("undecided.bin")
		caller.whole("undecided.bin")
		callee.click("leave")
		callee.click("again")
		if left := eval[string](callee, `document.getElementById("log").textContent`); left != "" {
			t.Errorf("the next person at this page finds %q", left)
		}
	})
	t.Run("no address for the other side", func(t *testing.T) {
		server := serving(t, "--relay", "--relay-listen", "127.0.0.1:0")
		for side, command := range map[string]string{"calls": "answer", "answers": "call"} {
			page := b.open(t, server)
			eval[bool](page, `(() => {
				globalThis.told = [];
				globalThis.RTCPeerConnection = class extends RTCPeerConnection {
					set onicecandidate(f) { super.onicecandidate = f && ((e) => (e.candidate && told.push(e.candidate.candidate), f(e))) }
				};
				return true;
			})()`)
			page.click("relay-only")
			code := side + "-falcon-zebra"
			if side == "calls" {
				page.call(code)
			} else {
				page.answer(code)
			}
			program := launch(t, command, code, "--server", server)
			verified(t, page)
			page.sees("Through a relay")
			program.notes(t, `through a relay`)
			converseWith(t, page, program)
			for _, c := range eval[[]string](page, "told") {
				if !strings.Contains(c, " typ relay ") {
					t.Errorf("the page that %s tells of %s", side, c)
				}
			}
			page.click("leave")
			program.finish(t)
		}
	})
	t.Run("no address, and no relay", func(t *testing.T) {
		offered := `document.getElementById("relay-only").checkVisibility()`
		open := b.open(t, serving(t))
		if eval[bool](open, `new Promise((resolve) => setTimeout(() => resolve(`+offered+`), 500))`) {
			t.Error("a server without a relay offers to hide the address")
		}
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, []byte("open sesame"), 0o600); err != nil {
			t.Fatal(err)
		}
		caller := b.open(t, serving(t, "--access-key-file", key)) // which does not tell a guest
		caller.click("relay-only")
		start := chromedp.Click(chromedp.CSS("#call button.primary"))
		caller.do(start)
		caller.sees("type its access key")
		caller.write("key", "open sesame")
		caller.do(start)
		caller.sees("This server has no relay, so it cannot hide your address.")
		if eval[bool](caller, offered) {
			t.Error("the choice that failed is offered again")
		}
		caller.do(start)
		caller.sees("Waiting for the other person")
	})
}

// The page shows only what is true.
func TestPageIsHonest(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("about what there is to copy in the lobby", func(t *testing.T) {
		page := b.open(t, serving(t))
		page.do(chromedp.Click(chromedp.CSS("#call button.primary")))
		page.sees("Your call in the lobby")
		if n := eval[int](page, `[...document.querySelectorAll(".copy")].filter((b) => b.checkVisibility()).length`); n != 2 {
			t.Errorf("%d things can be copied, not link and command", n)
		}
		if eval[bool](page, `document.getElementById("qr-figure").checkVisibility()`) {
			t.Error("a phone is shown the way to itself")
		}
	})
	t.Run("about a link that leads to this machine", func(t *testing.T) {
		page := b.open(t, serving(t))
		page.call("")
		page.sees("The link and the command work on this machine only")
	})
	t.Run("about a wrong code, where a phone shows it", func(t *testing.T) {
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		callee.looks(320, 640, "light")
		caller.call("417-falcon-zebra")
		callee.answer("417-zebra-falcon")
		callee.sees("Wrong code")
		if !eval[bool](callee, `(() => {
			const e = [...document.querySelectorAll(".error")].find((e) => e.textContent.startsWith("Wrong code")), at = e.getBoundingClientRect();
			return at.top >= 0 && at.bottom <= innerHeight;
		})()`) {
			t.Error("the error is out of sight")
		}
	})
	t.Run("about a link that is opened in the middle of a call", func(t *testing.T) {
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		code := caller.call("")
		callee.answer(code)
		verified(t, caller, callee)
		eval[bool](callee, `(location.hash = "#1-falcon-zebra", true)`)
		callee.sees("To answer another call, leave this one first.")
		if at := eval[string](callee, "location.href"); strings.Contains(at, "falcon") {
			t.Errorf("the code stays in the address: %s", at)
		}
		converse(t, caller, callee)
	})
}
