package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"p2pchat/signaling/memstore"
	"p2pchat/signaling/web"
)

// The page has a policy of its own: more than a document of the interface may, and no
// more than it needs.
func TestPage(t *testing.T) {
	s := open(t, memstore.Limits{}, Config{AccessKey: "open sesame"})
	get := func(path string) (status int, header http.Header, body string) {
		t.Helper()
		r, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, r.Header, string(b)
	}
	status, header, page := get("/")
	if status != http.StatusOK || !strings.HasPrefix(page, "<!doctype html>") {
		t.Fatalf("the page is answered with %d: %.100q", status, page)
	}
	for name, want := range map[string]string{"Content-Security-Policy": web.Policy, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8"} {
		if got := header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	_, script, _ := strings.Cut(page, `src="`)
	script, _, _ = strings.Cut(script, `"`)
	if status, header, _ := get("/" + script); status != http.StatusOK || header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("%s is answered with %d, %v", script, status, header)
	}
	if status, _, _ := get("/assets/none.js"); status != http.StatusNotFound {
		t.Errorf("a file that is none is answered with %d", status)
	}
}
