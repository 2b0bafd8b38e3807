package main

import (
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// holding starts a server before the one behind, at which a read waits until it has an answer, however long that takes.
func holding(t *testing.T, behind string) string {
	t.Helper()
	to, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		for waits := true; waits; {
			begun := time.Now()
			answer = httptest.NewRecorder()
			proxy.ServeHTTP(answer, r)
			empty := answer.Code == http.StatusNotModified || answer.Code == http.StatusNotFound
			waits = empty && r.Header.Get("Prefer") != "" && time.Since(begun) > time.Second && r.Context().Err() == nil
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// A browser gives all its tabs six connections to a server that speaks HTTP/1: the tabs that wait leave enough of them to the others, which
// would wait for ever here if they did not.
func TestPageLeavesConnectionsToOtherTabs(t *testing.T) {
	b := sharedBrowser(t)
	for name, wait := range map[string][]string{
		"which wait for callers":  {"one-falcon-zebra", "two-falcon-zebra"},
		"which wait in the lobby": {"lobby", "lobby", "lobby"},
	} {
		t.Run(name, func(t *testing.T) {
			server := holding(t, serving(t))
			for _, code := range wait {
				p := b.tab(t, server)
				eval[bool](p, `(AbortSignal.timeout = ((was) => (ms) => was.call(AbortSignal, ms > 20_000 ? 2 ** 31 - 1 : ms))(AbortSignal.timeout), true)`) // so that it ends no read, too
				p.answer(code)
				p.sees("Waiting for the caller")
			}
			last := b.tab(t, server)
			if wait[0] == "lobby" {
				last.do(chromedp.Click(chromedp.CSS("#call button.primary")))
			} else {
				callee := b.tab(t, server)
				last.answer("three-falcon-zebra")
				callee.call("three-falcon-zebra")
				verified(t, callee)
			}
			last.connected()
		})
	}
}
