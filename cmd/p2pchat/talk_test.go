package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// What looks like a code does not go to the other side as a message while the two have not met, also with a typo.
func TestIsCode(t *testing.T) {
	t.Parallel()
	c := &connector{o: &talkOptions{server: defaultServer}}
	for text, want := range map[string]bool{
		"417-falcon-zebra": true, "417 falcon zebra": true, "417-falcon-zebbra": true, "417-falcn-zebra ": true,
		"417 people came": false, "2 blue-cups": false, "417": false, "hello": false, "see-you-soon": false, "417-8-9-10": false,
	} {
		if got := c.isCode(text); got != want {
			t.Errorf("%q is a code: %v", text, got)
		}
	}
}

// A full screen that cannot be had says why: a dumb terminal is one.
func TestNoFullScreen(t *testing.T) {
	t.Setenv("TERM", "dumb")
	for terminal, says := range map[bool]string{true: "TERM=dumb says that this one cannot", false: "needs a terminal for input and output"} {
		o := talkOptions{ui: "tui"}
		if err := o.chooseScreen(stdio{inTerminal: terminal, outTerminal: terminal}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("on a terminal: %v, the error is %v", terminal, err)
		}
	}
}

// What the program tells people to type, a shell takes as it is meant.
func TestQuoted(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"417-falcon-zebra": "417-falcon-zebra", "http://chat.example.org:3000": "http://chat.example.org:3000", "42-grün": "42-grün",
		"a-b;touch-it-$(id)": "'a-b;touch-it-$(id)'", "a-it's": `'a-it'\''s'`, "~root": "'~root'", "a-*": "'a-*'", "": "''",
	} {
		if got := quoted(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
		sh, err := exec.LookPath("sh")
		if err != nil {
			continue
		}
		if out, err := exec.Command(sh, "-c", "printf %s "+quoted(word)).Output(); string(out) != word || err != nil { //nolint:gosec // that is what it is for
			t.Errorf("a shell reads %q as %q, %v", word, out, err)
		}
	}
}

// Only at its own address does call start a server. On a local network, the other side's program serves; once the two have met there, no other
// server is looked for.
func TestWaitingForAServer(t *testing.T) {
	t.Parallel()
	const there, looking = "http://10.77.0.1:3900", "looking for the call on your local network"
	for _, c := range []struct {
		server, home string
		lan          choice
		looks        bool
		want         string
	}{
		{defaultServer, "", auto, false, "waiting for a server at " + defaultServer + " ('p2pchat call' or 'p2pchat serve' starts one)"},
		{there, "", auto, false, "waiting for a server at " + there + ": 'p2pchat serve' has to run there"},
		{there, there, auto, false, "waiting for a server at " + there + ": 'p2pchat serve' has to run there"},
		{there, there, auto, true, "waiting for a server at " + there + ", and looking on your local network"},
		{there, defaultServer, auto, false, "waiting for a server at " + there + ": the other side's program serves there"},
		{there, defaultServer, auto, true, "waiting for a server at " + there + ", and looking on your local network"},
		{defaultServer, "", always, true, looking},
		{there, defaultServer, always, true, looking},
		{there, defaultServer, always, false, "waiting for a server at " + there + ": the other side's program serves there"},
	} {
		o := &talkOptions{server: c.server, home: c.home, moved: c.home != "", patience: signaling.Forever, code: peer.Code{Room: "417", Secret: "falcon-zebra"}, lan: c.lan, serverGiven: c.lan != always}
		if got := o.serverNotice(errors.New("connection refused"), c.looks, false); got != c.want {
			t.Errorf("%+v: it says %q", c, got)
		}
	}
}
