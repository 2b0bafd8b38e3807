package main

import (
	"strings"
	"testing"
)

// A stranger's link chooses the server of which a warning tells.
func TestWarningsDoNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	const server = "https://a\u202eb.example\u009b31m"
	o := talkOptions{server: server}
	o.warn("%s does not get the access key, because --server does not name it.", o.server)
	var out strings.Builder
	if writeNotices(&out, o.notices...); strings.ContainsAny(out.String(), "\u202e\u009b") || !strings.HasPrefix(out.String(), "p2pchat: https://a") {
		t.Errorf("it writes %q", out.String())
	}
}
