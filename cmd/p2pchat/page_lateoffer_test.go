package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A person who cancels a call while its offer is on the way to the server leaves no offer there.
func TestPageCancelsWhileItsOfferIsOnItsWay(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	behind, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	const room = "/rooms/417"
	proxy, coming, over, handled := httputil.NewSingleHostReverseProxy(behind), make(chan struct{}), make(chan struct{}), make(chan struct{})
	overtaken := sync.OnceFunc(func() { close(over) })
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && r.URL.Path == room+"/offer":
			offer, _ := io.ReadAll(r.Body)
			close(coming)
			select {
			case <-over: // the room is closed before the offer is there
			case <-time.After(patience):
			}
			// The server handles it though its client may be gone.
			again, reply := r.Clone(context.WithoutCancel(r.Context())), httptest.NewRecorder()
			again.Body = io.NopCloser(bytes.NewReader(offer))
			proxy.ServeHTTP(reply, again)
			close(handled)
			maps.Copy(w.Header(), reply.Header())
			w.WriteHeader(reply.Code)
			_, _ = w.Write(reply.Body.Bytes())
		case r.Method == http.MethodDelete:
			proxy.ServeHTTP(w, r)
			overtaken()
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	caller := b.open(t, front.URL)
	caller.do(chromedp.Click(chromedp.CSS("#call-options summary")))
	caller.write("own-code", "417-falcon-zebra")
	caller.do(chromedp.Click(chromedp.CSS("#call button.primary")))
	<-coming
	caller.click("cancel")
	<-handled
	eventually(t, func() bool {
		r, err := http.Get(server + room + "/offer") //nolint:noctx // the test's own
		if err != nil {
			return false
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return strings.Contains(string(body), "no-offer")
	}, func() string { return "the offer is still there" })
}
