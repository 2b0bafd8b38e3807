package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// A forgetful server is one that is killed and started again between a callee's answer and the moment at which the caller reads it.
type forgetful struct {
	server  *process
	address string // for the callee
	front   string // for the caller
	waits   atomic.Bool
	passes  atomic.Bool
}

const forgottenRoom, forgottenCode = "/rooms/417", "417-falcon-zebra"

// newForgetful starts one. away: the caller reaches nothing at all once it waits for the answer, until it passes.
func newForgetful(t *testing.T, away bool) *forgetful {
	t.Helper()
	f := &forgetful{server: launch(t, "serve", "--listen", "127.0.0.1:0")}
	f.address = f.server.notes(t, `listening on (\S+)`)[1]
	behind, err := url.Parse(f.address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }, ErrorLog: log.New(io.Discard, "", 0)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := r.URL.Path == forgottenRoom+"/answer"
		if answer {
			f.waits.Store(true)
		}
		if !f.passes.Load() && (answer || away && f.waits.Load()) {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	f.front = front.URL
	return f
}

// restarts waits for the answer, and kills the server and starts it again.
func (f *forgetful) restarts(t *testing.T) {
	t.Helper()
	eventually(t, func() bool {
		r, err := http.Get(f.address + forgottenRoom + "/answer") //nolint:noctx // the test's own server
		if err == nil {
			_ = r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	}, func() string { return "there is no answer" })
	f.server.kill()
	launch(t, "serve", "--listen", strings.TrimPrefix(f.address, "http://")).notes(t, `listening on`)
}

// A server that is killed and started again has forgotten the call that is being answered. The code is right, and the two meet.
func TestTheServerForgetsACallInTheMiddle(t *testing.T) {
	for name, away := range map[string]bool{"and the caller opens it again at once": false, "and the caller comes back after the callee": true} {
		t.Run(name, func(t *testing.T) {
			if away {
				inFull(t) // the callee looks at the room after 3 s
			}
			t.Parallel()
			f := newForgetful(t, away)
			caller := launch(t, "call", forgottenCode, "--server", f.front, "--ui", "json")
			callee := launch(t, "answer", forgottenCode, "--server", f.address, "--ui", "json")
			f.restarts(t)
			callee.prints(t, `"text":"the server was away, and has lost this call`)
			f.passes.Store(true)
			caller.prints(t, `"type":"connected","verified":true`)
			callee.prints(t, `"type":"connected","verified":true`)
			if strings.Contains(callee.out.String(), "did not prove") {
				t.Errorf("the caller is doubted: %s", callee.out)
			}
		})
	}
}

// The same for a page that answers.
func TestPageWhoseServerForgets(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	f := newForgetful(t, true)
	caller := launch(t, "call", forgottenCode, "--server", f.front, "--ui", "json")
	caller.prints(t, `"type":"waiting"`)
	callee := b.open(t, f.address)
	callee.answer(forgottenCode)
	f.restarts(t)
	callee.sees("The server was away, and has lost this call")
	f.passes.Store(true)
	verified(t, callee)
	caller.prints(t, `"type":"connected","verified":true`)
}
