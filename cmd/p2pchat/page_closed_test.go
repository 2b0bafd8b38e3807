package main

import (
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// waitBriefly makes a page that is closed ask the other side to wait 2 s for it, not 20.
const waitBriefly = `(() => {
	const send = RTCDataChannel.prototype.send;
	RTCDataChannel.prototype.send = function (m) {
		if (m[0] === 12) m[8] = 8;
		send.call(this, m);
	};
	return true;
})()`

func (p *tab) waitsBriefly() {
	p.t.Helper()
	eval[bool](p, waitBriefly)
}

// shuts closes the tab as a person does, who is asked first.
func (p *tab) shuts() {
	p.t.Helper()
	asked := make(chan struct{}, 1)
	err := chromedp.Listen(p.ctx, func(event any) {
		if _, ok := event.(*page.EventJavascriptDialogOpening); ok {
			asked <- struct{}{}
		}
	})
	if err == nil {
		_, err = chromedp.Call(p.ctx, page.Enable, page.EnableParams{})
	}
	if err == nil {
		_, err = chromedp.Call(p.ctx, page.Close, cdp.Empty{})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	<-asked
	if _, err := chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}); err != nil {
		p.t.Fatal(err)
	}
}

// A page that is closed tells the other side so at once, and the call ends when the page has not come back.
func TestPageClosed(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("to a page", func(t *testing.T) {
		caller, callee := inCall(t, b)
		caller.waitsBriefly()
		caller.shuts()
		callee.sees("The other side closed or reloaded its page. If the page is not back within 8 s, the call ends.")
		callee.say("never read")
		callee.sees("guest closed the page. One message was not delivered. They never saw it.")
		if !eval[bool](callee, `document.getElementById("composer").hidden`) {
			t.Error("the page of a call that is over takes messages")
		}
	})
	t.Run("to the program", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller := b.open(t, server)
		program := launch(t, "answer", caller.call(""), "--server", server, "--ui", "json")
		verified(t, caller)
		caller.say("bye")
		caller.delivered(1)
		caller.waitsBriefly()
		caller.shuts()
		program.finish(t)
		for _, object := range []string{
			`{"at":"[^"]*","from":"guest","id":1,"text":"bye","type":"message"}`,
			`{"at":"[^"]*","reason":"the other side closed or reloaded its page. If the page is not back within 8 s, the call ends","type":"disconnected"}`,
			`{"at":"[^"]*","page_closed":true,"type":"left"}`,
		} {
			if out := program.out.String(); !regexp.MustCompile(object).MatchString(out) {
				t.Errorf("there is no %s in\n%s", object, out)
			}
		}
		if code := program.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("the program ended with exit code %d: %s", code, program.err)
		}
	})
	t.Run("and a page that comes back too late says that the call is over", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		callee.waitsBriefly()
		eval[bool](callee, `(() => { // it was left some time ago
			const now = Date.now;
			Date.now = () => now() - 11_000;
			return true;
		})()`)
		callee.write("text", "typed and never sent")
		callee.reload(true)
		callee.sees("The call with guest is over: this page was closed for too long. All your messages were delivered.")
		caller.sees("guest closed the page.")
	})
}
