package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// losesPatience lets half a second pass for the half minute after which the page says what it can mean that the other side does not come.
func (p *tab) losesPatience() {
	p.t.Helper()
	eval[bool](p, `(() => {
		const real = setTimeout;
		globalThis.setTimeout = (run, ms, ...args) => real(run, ms === 30_000 ? 500 : ms, ...args);
		return true;
	})()`)
}

// A page whose contact has forgotten it is not told. It says what it can mean that the contact does not come, while it waits and in the conversation.
func TestPageContactHasForgotten(t *testing.T) {
	t.Parallel()
	ann, ben := correspondents(t, sharedBrowser(t), serving(t))
	program := ben("call")
	program.prints(t, `"type":"waiting"`)
	program.say(t, `{"type":"leave"}`)
	program.finish(t)
	forget := launchWith(t, program.cmd.Dir, []string{"XDG_STATE_HOME=" + program.cmd.Dir}, "contacts", "forget", "@ann")
	forget.finish(t)
	advice := ", and may be away. If Ben has removed you as a contact, forget Ben here, too, meet with a code, and keep each other."
	ann.losesPatience()
	ann.contact("Answer Ben")
	ann.sees("Ben has not called for 30 s" + advice)
	ann.opens()
	ann.losesPatience()
	ann.writesTo("Call Ben")
	ann.sees("Ben has not answered for 30 s" + advice)
}

// A friend whose program was killed and started again has nothing but the typed code. The page that waits for the old
// program says so, and opens that code again.
func TestPageReopensTheCode(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	for side, command := range map[string]string{"caller": "answer", "callee": "call"} {
		t.Run("as the "+side, func(t *testing.T) {
			if side == "callee" {
				inFull(t)
			}
			server := serving(t)
			code := map[string]string{"caller": "417-falcon-zebra", "callee": "418-falcon-zebra"}[side]
			page := b.open(t, server)
			page.losesPatience()
			if side == "caller" {
				page.call(code)
			} else {
				page.answer(code)
			}
			friend := launch(t, command, code, "--server", server)
			verified(t, page)
			converseWith(t, page, friend)
			if err := friend.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-friend.ended
			page.sees("tester has not come back for 30 s. A program that was started again knows only the code " + code + ".")
			page.say("kept until then")
			friend = launch(t, command, code, "--server", server)
			if side == "caller" {
				friend.notes(t, `If this program was started again, ask the other side to type /again`)
				page.say("/again")
			} else {
				page.tabTo("Open the code again")
				page.press(kb.Enter)
			}
			page.sees("Waiting with the code " + code + ", too.")
			page.sees("Connected again.")
			verified(t, page)
			friend.hears(t, "kept until then")
			friend.say(t, "Hello, it is me again")
			page.hears("Hello, it is me again")
			if eval[bool](page, `document.getElementById("still-lost").checkVisibility()`) {
				t.Error("the page still asks what to do")
			}
		})
	}
}

// A text that is no generated code may be a message or a mistake, so the page asks before it waits in such a room.
func TestPageAsksAboutACode(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	page := b.open(t, server)
	page.write("code", "foo bar")
	page.press(kb.Enter)
	page.sees("“foo-bar” does not look like a code that p2pchat makes, such as 417-falcon-zebra. If the caller chose it, press Answer again.")
	if at := page.focused(); at != "code" {
		t.Errorf("the focus is on %q", at)
	}
	page.write("code", "417 falcon ovne")
	page.press(kb.Enter)
	page.sees("“ovne” is not a code word. If it is right, press Answer again.")
	page.write("code", "foo bar") // each is asked about, unless it comes twice in a row
	page.press(kb.Enter)
	page.sees("“foo-bar” does not look like a code")
	page.press(kb.Enter)
	page.sees("Answering foo-bar")
	page.sees("No call is open in room foo yet.")
	linked := b.open(t, server+"/#standup-foo-bar")
	linked.sees("Answering standup-foo-bar")
	for _, part := range []string{"703", "703-falcon", "703-falcon-zeb", "foo-bar"} {
		cut := b.open(t, server+"/#"+part)
		cut.sees("The code “" + part + "” may be cut off. If it is whole, press Answer.")
		cut.press(kb.Enter)
		cut.sees("Answering " + part)
	}
	host := strings.TrimPrefix(server, "http://")
	for _, row := range [][2]string{
		{host + "/#703-falcon-zebra", "Answering 703-falcon-zebra"},
		{host + "/#703-falcon", "The code “703-falcon” may be cut off."},
		{"ftp://h/#x", "This is not the link of a call: that begins with https:// or http://."},
		{server + "/#", "This link has no code at its end: paste the whole link."},
		{server, "This link has no code at its end: paste the whole link."},
		{host, "This link has no code at its end: paste the whole link."},
		{"192.0.2.2:345/#703-falcon-zebra", "That call is on another server. To answer it, open http://192.0.2.2:345/"},
		{"x-a/b", "“x-a/b” does not look like a code that p2pchat makes"},
	} {
		pasted := b.open(t, server)
		pasted.click("code")
		pasted.pastes(row[0])
		pasted.press(kb.Enter)
		pasted.sees(row[1])
	}
}
