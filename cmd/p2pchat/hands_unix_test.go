//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a person types on the full screen after a mistake, byte by byte.
func TestHands(t *testing.T) {
	t.Parallel()

	t.Run("leaving asks again after another key, and says that no one had joined", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", serving(t))
		ann.shows("waiting for the other side")
		ann.types("Hello\r/quit\r")
		ann.shows(`1 message has not been delivered\. Type /quit again to drop it\.`)
		ann.types("\r")
		ann.shows(`> Type ahead`)
		ann.types("/quit\r")
		ann.shows(`1 message has not been delivered\. Type /quit again to drop it\.`)
		ann.types("/quit\r")
		ann.shows(`p2pchat: hint: leave after the other side has joined`)
		ann.ends(exitFailed)
	})

	t.Run("a wrong number among right ones is named, and the right ones are taken", func(t *testing.T) {
		t.Parallel()
		ann, ben := twoWindows(t)
		for _, name := range []string{"a.txt", "b.txt"} {
			if err := os.WriteFile(filepath.Join(ann.cmd.Dir, name), []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ann.types("/send a.txt b.txt\r")
		ben.shows(`/accept.2 or /decline.2`)
		ben.types("/accept 1 2 3\r")
		ben.shows(`There is no file 3 to accept\.`)
		ben.shows(`Saved "a\.txt"`)
		ben.shows(`Saved "b\.txt"`)
		ann.types("\x04")
		ann.ends(0)
	})
}

// On a terminal, help is broken between words, and what a flag does stays beside the flag.
func TestHelpFitsTheTerminal(t *testing.T) {
	t.Parallel()
	w := openWindow(t, 80, 24, nil, "answer", "--help")
	w.shows(`(?m)^      --log-level LEVEL +lowest LEVEL that is logged: debug, info, warn or\n {31}error \(default "warn"\)$`)
	w.ends(0)
	w = openWindow(t, 64, 60, nil, "help", "contacts", "ring")
	w.shows(`(?m)^ask \(the default\) rings until you answer or decline\. accept\nanswers at once; with --folder, it also takes the contact's\nfiles, into that folder\. `)
	w.shows(`(?m)^  p2pchat contacts ring @ben ask$`)
	w.ends(0)
}
