package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"p2pchat/signaling"
)

// An eavesdropper is a server that records the access keys that it is sent.
type eavesdropper struct {
	*httptest.Server

	mu       sync.Mutex // guards what follows
	requests int
	keys     []string
}

func eavesdrop(t *testing.T) *eavesdropper {
	t.Helper()
	e := &eavesdropper{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.requests++
		if key := r.Header.Get(signaling.KeyHeader); key != "" {
			e.keys = append(e.keys, key)
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

// heard ends the recording.
func (e *eavesdropper) heard() (requests int, keys string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests, strings.Join(e.keys, " ")
}

// The access key is for the server that a caller names, and for no other.
func TestAccessKeyGoesToItsServerOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string // SERVER is replaced
		key  bool
		says string
	}{
		"a caller sends it":                       {[]string{"call", "417-amber-falcon", "--server", "SERVER"}, true, ""},
		"an answerer does not":                    {[]string{"answer", "417-amber-falcon", "--server", "SERVER"}, false, ""},
		"an answerer with a link does not":        {[]string{"answer", "SERVER/#417-amber-falcon"}, false, ""},
		"a caller with another server's link not": {[]string{"call", "SERVER/#417-amber-falcon"}, false, "SERVER does not get the access key, because --server does not name it"},
		"nor with another server's command":       {[]string{"call", "p2pchat answer 417-amber-falcon --server SERVER"}, false, "SERVER does not get the access key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := eavesdrop(t)
			for i, a := range test.args {
				test.args[i] = strings.ReplaceAll(a, "SERVER", e.URL)
			}
			p, err := start(t.TempDir(), append(os.Environ(), "P2PCHAT_NAME=tester", "P2PCHAT_ACCESS_KEY=sesame"), append(test.args, "--wait", "10s")...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = p.cmd.Process.Kill() // it may have ended
				<-p.ended
			})
			if _, err := p.err.wait(regexp.MustCompile(regexp.QuoteMeta(strings.ReplaceAll(test.says, "SERVER", e.URL)))); err != nil {
				t.Error(err)
			}
			p.finish(t)
			requests, keys := e.heard()
			if requests == 0 || strings.Contains(keys, "sesame") != test.key {
				t.Errorf("of %d requests, some had the keys %q; stderr:\n%s", requests, keys, p.err)
			}
		})
	}
}
