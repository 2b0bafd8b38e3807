package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
)

// A server behind a path of another one: the page works there as the programs do.
func TestPageBehindAPath(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	target, err := url.Parse(serving(t))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/chat/", http.StripPrefix("/chat", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host // as browsers see it
	}}))
	proxy := httptest.NewServer(mux)
	t.Cleanup(proxy.Close)
	server := proxy.URL + "/chat"
	caller := b.open(t, server+"/")
	code := caller.call("")
	link := eval[string](caller, `document.getElementById("the-link").textContent`)
	if link != server+"/#"+code {
		t.Errorf("the link is %s", link)
	}
	callee := b.open(t, link)
	verified(t, caller, callee)
	converse(t, caller, callee)
	program := launch(t, "call", "path-falcon-zebra", "--server", server)
	program.notes(t, `^p2pchat: code: `)
	page := b.open(t, server+"/")
	page.answer("path-falcon-zebra")
	verified(t, page)
	converseWith(t, page, program)
}

// The page tells a callee that no call is open, and takes another code.
func TestPageAnswersNoCall(t *testing.T) {
	inFull(t)
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	callee := b.open(t, server+"/#601-animal-zebra")
	callee.sees("No call is open in room 601 yet.")
	callee.sees("If the caller says that the call is open, this code does not work: it is mistyped, or someone has used it, or the caller’s page was loaded again. Ask for a new code.")
	callee.click("other-code")
	callee.sees("Answer a call")
	callee.press("602-animal-zebra\n") // in the place of the code that was there
	callee.sees("No call is open in room 602 yet.")
	caller := b.open(t, server)
	caller.call("602-animal-zebra")
	verified(t, caller, callee)
	converse(t, caller, callee)
	callee.click("again")
	callee.answer("602-animal-zebra") // which is used up
	callee.sees("No call is open in room 602 yet.")
	lobby := b.open(t, server)
	lobby.do(chromedp.Click(chromedp.CSS("#answer button.primary")))
	lobby.sees("No call is open in the lobby yet.")
	early := b.open(t, server)
	early.call("603-animal-zebra")
	late := b.open(t, server+"/#603-animal-zebra")
	verified(t, early, late)
	if eval[bool](late, `!document.getElementById("empty").hidden`) {
		t.Error("a callee whose caller is there is told otherwise")
	}
}
