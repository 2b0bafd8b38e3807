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

// A server that is killed and started again has forgotten the call that is being answered. The code is right, and the two meet.
func TestTheServerForgetsACallInTheMiddle(t *testing.T) {
	for name, late := range map[string]bool{"and the caller opens it again at once": false, "and the caller comes back after the callee": true} {
		t.Run(name, func(t *testing.T) {
			if late {
				inFull(t) // the callee looks at the room after 3 s
			}
			t.Parallel()
			testTheServerForgets(t, late)
		})
	}
}

func testTheServerForgets(t *testing.T, late bool) {
	const room, code = "/rooms/417", "417-falcon-zebra"
	server := launch(t, "serve", "--listen", "127.0.0.1:0")
	address := server.notes(t, `listening on (\S+)`)[1]
	behind, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var waits, passes atomic.Bool
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }, ErrorLog: log.New(io.Discard, "", 0)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := r.URL.Path == room+"/answer"
		if answer {
			waits.Store(true)
		}
		if !passes.Load() && (answer || late && waits.Load()) { // the caller does not read the answer before the server is killed
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	caller := launch(t, "call", code, "--server", front.URL, "--ui", "json")
	callee := launch(t, "answer", code, "--server", address, "--ui", "json")
	eventually(t, func() bool {
		r, err := http.Get(address + room + "/answer") //nolint:noctx // the test's own server
		if err == nil {
			_ = r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	}, func() string { return "there is no answer" })
	server.kill()
	launch(t, "serve", "--listen", strings.TrimPrefix(address, "http://")).notes(t, `listening on`)
	callee.prints(t, `"text":"the server was away, and has lost this call`)
	passes.Store(true)
	caller.prints(t, `"type":"connected","verified":true`)
	callee.prints(t, `"type":"connected","verified":true`)
	if strings.Contains(callee.out.String(), "did not prove") {
		t.Errorf("the caller is doubted: %s", callee.out)
	}
}
