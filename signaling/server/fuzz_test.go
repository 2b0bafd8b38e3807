package server

import (
	"net/http"
	"net/netip"
	"testing"
)

// The headers of a stranger's request decide how long a read waits, what it knows, and, behind a proxy, whose it is.
func FuzzHeaders(f *testing.F) {
	f.Add("wait=60", `"a", W/"b", *`, "203.0.113.1, 198.51.100.7")
	f.Add("respond-async, wait = \"5\"; x", `"`, "[2001:db8::1]:80")
	f.Add("wait=99999999999999999999", `W/`, ",")
	f.Fuzz(func(t *testing.T, prefer, match, forwarded string) {
		if wait, asked := preferredWait([]string{prefer, prefer}); wait < 0 || wait > maxWait || !asked && wait != 0 {
			t.Errorf("Prefer: %q waits %v", prefer, wait)
		}
		one, asked := preferredWait([]string{prefer})
		list, listed := waitIn([]string{prefer})
		if one != list || asked != listed {
			t.Errorf("Prefer: %q waits %v, or as a list %v", prefer, one, list)
		}
		_ = tags([]string{match})
		client := addresses([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
		if named := client(&http.Request{RemoteAddr: "203.0.113.9:9", Header: http.Header{"X-Forwarded-For": {forwarded}}}); named != "203.0.113.9" {
			t.Errorf("a client that is no proxy calls itself %q", named)
		}
		_ = client(&http.Request{RemoteAddr: "127.0.0.1:9", Header: http.Header{"X-Forwarded-For": {forwarded}}})
	})
}
