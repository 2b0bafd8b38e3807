package main

import (
	"net/http"
	"net/http/httptest"
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
			p := launchWith(t, t.TempDir(), []string{"P2PCHAT_ACCESS_KEY=sesame"}, append(test.args, "--wait", "10s")...)
			p.notes(t, regexp.QuoteMeta(strings.ReplaceAll(test.says, "SERVER", e.URL)))
			p.finish(t)
			requests, keys := e.heard()
			if requests == 0 || strings.Contains(keys, "sesame") != test.key {
				t.Errorf("of %d requests, some had the keys %q; stderr:\n%s", requests, keys, p.err)
			}
		})
	}
}

// Listen waits at many servers, and sends the access key to the one that the person names.
func TestAccessKeyOfListen(t *testing.T) {
	t.Parallel()
	o := listenOptions{talkOptions: talkOptions{server: "https://chat.example.org", key: "sesame"}}
	if at := o.at("https://chat.example.org"); at.key != "sesame" {
		t.Errorf("its server gets the key %q", at.key)
	}
	if at := o.at("https://chat.example.com"); at.key != "" {
		t.Errorf("another server gets the key %q", at.key)
	}
	state := t.TempDir()
	kept(t, "http://localhost:1", state, 1, func(int) string { return "" })
	p := launchWith(t, t.TempDir(), []string{"P2PCHAT_ACCESS_KEY=sesame", "XDG_STATE_HOME=" + state}, "listen", "--server", "https://chat.example.org")
	p.notes(t, `No server gets the access key, because you have kept no contact at https://chat\.example\.org\. Name the server with --server`)
}
