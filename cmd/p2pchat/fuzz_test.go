package main

import (
	"strings"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// What a person pastes as a code may be a link, a command, or anything.
func FuzzInvitation(f *testing.F) {
	for _, text := range []string{
		"417-falcon-zebra", "https://chat.example.org/#417-falcon-zebra", "p2pchat answer 417-falcon-zebra --server https://chat.example.org",
		"p2pchat: Waiting for the other side: p2pchat answer 'a b' --server \"http://x\"", "#", "https://#", "p2pchat answer --server", "“417-falcon-zebra”.", "http://[::1]:3000/#x", "chat.example.org/#417-falcon-zebra", "[::1]:3000/",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, server := pasted(text, "https://chat.example.org")
		_ = (&talkOptions{}).halfLink(text)
		if server == "" {
			return
		}
		if _, err := signaling.NewClient(server, signaling.Config{}); err != nil && strings.HasPrefix(server, "http") {
			t.Logf("%q names the server %q: %v", text, server, err) // the person is told
		}
		_, _ = peer.ParseCode(code)
	})
}
