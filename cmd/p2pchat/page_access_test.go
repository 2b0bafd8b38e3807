package main

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axe-core finds nothing in the page to mend. P2PCHATTEST_AXE names its file ('task check:page').
func TestPageIsAccessible(t *testing.T) {
	path := os.Getenv("P2PCHATTEST_AXE")
	if path == "" {
		t.Skip("NOT RUN here: 'task check:page' fetches axe-core for it")
	}
	axe, err := os.ReadFile(path) //nolint:gosec // the path is of the person who runs the test
	if err != nil {
		t.Fatal(err)
	}
	b := sharedBrowser(t)
	server := serving(t)
	judge := func(t *testing.T, state string, pages ...*tab) {
		t.Helper()
		for _, p := range pages {
			for _, look := range []struct {
				width, height int64
				scheme        string
			}{{960, 720, "light"}, {320, 640, "dark"}} {
				p.looks(look.width, look.height, look.scheme)
				p.do(chromedp.Evaluate[chromedp.Void](`if (!globalThis.axe) {` + string(axe) + `} 0`))
				found := eval[[]string](p, `axe.run(document, { resultTypes: ["violations"] }).then((r) => {
					if (r.passes.length < 10) return ["only " + r.passes.length + " rules were tried"];
					return r.violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary).join("; "));
				})`)
				for _, f := range found {
					t.Errorf("%s, %s at %d: %s", state, look.scheme, look.width, f)
				}
			}
		}
	}
	caller, callee := b.open(t, server), b.open(t, server)
	judge(t, "start", caller)
	eval[bool](caller, `document.getElementById("call-options").open = true`)
	callee.answer("417-falcon-wrong")
	callee.sees("is not a code word")
	judge(t, "options, a doubt", caller, callee)
	code := caller.call("417-falcon-zebra")
	callee.answer("1-falcon-zebra")
	callee.sees("No call is open in room 1 yet.")
	judge(t, "waiting", caller, callee)
	callee.click("cancel")
	callee.answer(code)
	verified(t, caller, callee)
	caller.click("keep")
	until[bool](caller, `!document.getElementById("keeping").hidden`)
	callee.keeps()
	judge(t, "keeping", caller)
	caller.click("keep-yes")
	callee.sees("You have kept each other.")
	caller.say("Are you there?")
	callee.hears("Are you there?")
	callee.say("Yes.")
	path, _ = random(t, "plan.pdf", 1000)
	caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
	callee.sees("Accept it?")
	judge(t, "conversation", caller, callee)
	caller.click("more")
	judge(t, "menu", caller)
	caller.click("clear")
	callee.picksNothing()
	callee.accepts("plan.pdf")
	for _, p := range []*tab{caller, callee} {
		p.whole("plan.pdf")
	}
	caller.click("leave")
	callee.sees("All your messages were delivered.")
	judge(t, "the end", caller, callee)
	callee.click("again")
	caller.click("again")
	until[bool](caller, `!document.getElementById("contacts").hidden`)
	eval[bool](caller, `document.querySelector("#contacts details").open = true`)
	caller.tabTo("Forget")
	caller.press(kb.Enter)
	judge(t, "contacts", caller)
	caller.contact("Call")
	judge(t, "calling a contact", caller)
	caller.click("cancel")
	caller.call("standup")
	callee.answer("standup")
	callee.sees("Compare these four words")
	judge(t, "unverified", callee)
	caller.shuts()
	callee.sees("The other side closed or reloaded its page.")
	judge(t, "a loss", callee)
	callee.click("differ")
	judge(t, "a question about the words", callee)
	callee.click("differ-sure")
	callee.sees("You have left.")
	judge(t, "a warning", callee)
	reader, writer := correspondents(t, b, serving(t, "--mail"))
	writer("call").mails(t, "See you at noon.")
	reader.contact("Answer Ben")
	reader.hears("See you at noon.")
	judge(t, "letters", reader)

	away, _ := correspondents(t, b, serving(t, "--mail"))
	away.contact("Call Ben")
	until[bool](away, `document.getElementById("write").checkVisibility()`)
	judge(t, "a contact who is away", away)
	away.tabTo("Write a message")
	away.press(kb.Enter)
	judge(t, "a message to write", away)
	away.say("See you at noon.")
	away.marked(leftThere)
	away.click("text")
	away.pastes(strings.Repeat("noon ", 4000))
	away.press(kb.Enter)
	away.marked(leftThere, waits)
	judge(t, "messages that were left, and wait", away)
}
