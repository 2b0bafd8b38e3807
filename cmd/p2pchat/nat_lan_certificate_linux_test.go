package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A server whose certificate is refused has answered, perhaps as an attacker: a terminal says so and ends, and goes on over no local network.
func TestNATUntrustedCertificate(t *testing.T) {
	needsLab(t)
	t.Parallel()
	const at = "https://192.168.7.2:3443"
	l := newLAN(t, "a", "s")
	own := filepath.Join(t.TempDir(), "own")
	if err := certify(own, "192.168.7.2"); err != nil {
		t.Fatal(err)
	}
	serve := l.start("s", "serve", "--listen", "192.168.7.2:3443", "--tls-cert", own+".pem", "--tls-key", own+".key")
	serve.notes(t, "listening on")
	for name, args := range map[string][]string{
		"a caller who gets a code":   {"call"},
		"a caller with a code":       {"call", "417-falcon-zebra"},
		"an answerer":                {"answer", "417-falcon-zebra"},
		"a caller line by line":      {"call", "--ui", "line"},
		"an answerer line by line":   {"answer", "417-falcon-zebra", "--ui", "line"},
		"a caller without a secret":  {"call", "standup"},
		"an answerer without secret": {"answer", "standup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"netns", "exec", l.ns("a"), l.path}, args...)
			w := openWindowWith(t, 200, 24, []string{"P2PCHAT_LAN=", "P2PCHAT_NAME=a"}, "ip", append(args, "--server", at)...)
			w.shows(`error: ` + at + `: .*certificate`)
			w.shows(`name the authority's file in SSL_CERT_FILE`)
			w.ends(exitServer)
			if text := w.written(); strings.Contains(text, "local network") || strings.Contains(text, "does not answer") {
				t.Errorf("it goes on elsewhere:\n%s", w.text())
			}
		})
	}
}
