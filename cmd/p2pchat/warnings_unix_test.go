//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a person should know before the call is on its screen, whichever that is: a full terminal covers what was written above.
func TestWarningsAreOnTheScreen(t *testing.T) {
	t.Parallel()
	server, state := serving(t), t.TempDir()
	kept(t, server, state, 3, func(int) string { return "" })
	if err := os.WriteFile(filepath.Join(state, "p2pchat", "outboxes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_STATE_HOME=" + state, "P2PCHAT_NO_OUTBOX=false", "P2PCHAT_ACCESS_KEY=sesame", "P2PCHAT_BANANA=1", "P2PCHAT_SERVER=" + server}

	t.Run("full", func(t *testing.T) {
		t.Parallel()
		w := openWindow(t, 100, 30, env, "call", "c0")
		w.shows(`Undelivered messages are not kept when this program ends: mkdir`)
		w.shows(`This call is in the room c0, which anyone can enter\. To reach your contact: p2pchat`)
		w.shows(`The environment variable P2PCHAT_BANANA has no effect`)
	})
	t.Run("full, with the link of another server", func(t *testing.T) {
		t.Parallel()
		other := serving(t)
		openWindow(t, 100, 30, env[:3], "call", other+"/#417-falcon-zebra").shows(other + ` does not get the access key`)
	})
	t.Run("lines", func(t *testing.T) {
		t.Parallel()
		p := launchWith(t, t.TempDir(), env, "call", "c1")
		p.notes(t, `p2pchat: Undelivered messages are not kept when this program ends: .*not a directory`)
		p.notes(t, `p2pchat: This call is in the room c1,`)
		p.notes(t, `p2pchat: The environment variable P2PCHAT_BANANA has no effect`)
	})
	t.Run("json", func(t *testing.T) {
		t.Parallel()
		p := launchWith(t, t.TempDir(), env, "call", "c2", "--ui", "json")
		p.prints(t, `"text":"Undelivered messages are not kept when this program ends: .*not a directory`)
		p.prints(t, `"text":"This call is in the room c2,`)
		p.prints(t, `"text":"the environment variable P2PCHAT_BANANA has no effect`)
	})
	t.Run("listen, full", func(t *testing.T) {
		t.Parallel()
		w := openWindow(t, 100, 30, append(env, "XDG_STATE_HOME="+state), "listen", "--server", "https://chat.example.org")
		w.shows(`The environment variable P2PCHAT_BANANA has no effect`)
		w.shows(`No server gets the access key, because you have kept no contact at`)
	})
	t.Run("a command that fails before its screen opens", func(t *testing.T) {
		t.Parallel()
		p := launchWith(t, t.TempDir(), env, "call", "--wait", "-5s")
		p.finishes(t, exitUsage)
		p.notes(t, `The environment variable P2PCHAT_BANANA has no effect`)
	})
	t.Run("a call that ends at once", func(t *testing.T) {
		t.Parallel()
		p := launchWith(t, t.TempDir(), env, "call", "c0", "--send", "missing")
		p.finishes(t, exitUsage)
		p.notes(t, `The environment variable P2PCHAT_BANANA has no effect`)
		p.notes(t, `This call is in the room c0,`)
	})
}
