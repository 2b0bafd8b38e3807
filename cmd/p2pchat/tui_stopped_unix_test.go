//go:build unix

package main

import (
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A person who was away comes back: the title has a count, a line divides old from new, and messages can be found,
// opened and copied.
func TestComingBackToAScreen(t *testing.T) {
	t.Parallel()
	ann, ben := twoWindows(t)
	ann.titled("Ben – p2pchat")
	ben.types("before\r")
	ann.shows(`Ben before\n`)
	ann.types("\x1b[Ox") // the window loses the focus: what is typed then shows that the program knows
	ann.shows(`> x$`)
	ann.types("\x7f")
	ann.shows(`> Write a message`) // a key that comes after the first message has seen it
	ben.types("while you were out\rsee https://chat.example.org/a_(b).\r")
	ann.shows(`Ben before\n─+ new ─+\n\S+ Ben while you were out\n\S+ Ben see https://chat.example.org/a_\(b\)\.\n`)
	ann.titled("(2) Ben – p2pchat")
	ann.types("\x1b[I")
	ann.titled("Ben – p2pchat")
	if !regexp.MustCompile(`\x1b\]8;id=[0-9a-f]+;https://chat\.example\.org/a_\(b\)\a`).MatchString(ann.written()) {
		t.Error("the address is no link (OSC 8)")
	}
	if !strings.Contains(ann.written(), "\x1b]0;(2) Ben – p2pchat\a") {
		t.Error("no title was set (OSC 0)")
	}
	ann.types("/copy\r")
	ann.shows("Copied the last message")
	if text := base64.StdEncoding.EncodeToString([]byte("see https://chat.example.org/a_(b).")); !strings.Contains(ann.written(), "\x1b]52;c;"+text+"\a") {
		t.Error("the message was not copied (OSC 52)")
	}

	ben.types("\x1b[200~" + strings.Repeat("line\r", 100) + "\x1b[201~\r")
	ann.shows(`  line\n`)
	ann.types("a draft\x12while") // Ctrl-R
	ann.shows(`(?s)Ben while you were out\n.*^find: while$`)
	ann.types("\x1b")
	ann.shows(`> a draft$`)
	ann.types("\x15\x06before") // Ctrl-F in an empty box
	ann.shows(`(?s)Ben before\n.*^find: before$`)
	ann.types("\x1b")
	ann.shows(`> Write a message`)
	ann.types("/find nothing\r")
	ann.shows(`No match`)
	ann.types("\x03")
	ann.shows(`> Write a message`)

	ann.types("/quti\r")
	ann.shows(`Unknown command /quti\. Did you mean /quit\? To send it as text, start with //\.`)
	ann.types("/quit\r")
	ann.ends(0)
	if s := ann.written(); !strings.HasSuffix(s[:strings.LastIndex(s, "while you were out")+1], "w") || !strings.Contains(s[strings.LastIndex(s, "\x1b[?1049l"):], "\x1b[23;0t") {
		t.Error("the title is not as it was")
	}
}

// However the program is stopped, fg brings back the whole screen, with the keys that it needs.
func TestAStoppedScreenComesBack(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash: ", err)
	}
	for name, test := range map[string]struct {
		stop     func(w *window, pid int)
		leaves   bool // the screen, so that the shell has the terminal as it was
		resuming string
	}{
		"Ctrl-Z":               {func(w *window, _ int) { w.types("\x1a") }, true, "fg\r"},
		"SIGTSTP from outside": {func(w *window, pid int) { w.signals(pid, syscall.SIGTSTP) }, true, "fg\r"},
		"SIGSTOP":              {func(w *window, pid int) { w.signals(pid, syscall.SIGSTOP) }, false, "fg\r"},
		"SIGSTOP, and bg":      {func(w *window, pid int) { w.signals(pid, syscall.SIGSTOP) }, false, "bg; wait %1; fg\r"}, // the terminal stops it in the background,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWindowWith(t, 80, 24, []string{"PS1=ready: ", "P2PCHAT_SERVER=" + serving(t)}, bash, "--norc", "-i")
			w.shows(`^ready:`)
			w.types(`sh -c 'echo $$ >pid; exec p2pchat call 417-falcon-zebra'` + "\r")
			w.shows("○ waiting for the other side")
			w.types("a draft")
			w.shows("> a draft")
			text, err := os.ReadFile(w.cmd.Dir + "/pid")
			pid, err2 := strconv.Atoi(strings.TrimSpace(string(text)))
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				before := len(w.written())
				test.stop(w, pid)
				w.shows(`Stopped`)
				if test.leaves {
					if !strings.Contains(w.written()[before:], "\x1b[?1049l") {
						t.Error("the other screen is still on")
					}
					w.types("stty -a\r") // what the shell edits with shows in the modes of a program that it runs
					w.shows(` icanon`)
				}
				before = len(w.written())
				w.types(test.resuming)
				w.shows("(?s)Tell the other side.*○ waiting for the other side.*> a draft[+]*$")
				w.types("+")
				w.shows("> a draft[+]+$")                               // without Enter: the terminal is raw
				for _, mode := range []string{"1049", "2004", "1004"} { // the other screen, paste, focus
					w.until("mode "+mode+" is on", func(written string) bool {
						return strings.LastIndex(written[before:], "\x1b[?"+mode+"h") > strings.LastIndex(written[before:], "\x1b[?"+mode+"l")
					})
				}
			}
			w.shows("> a draft[+][+]$")
			w.types("\x15\x04")
			w.shows(`ready:$`)
			w.types("echo code=$?; stty -a\r")
			w.shows(`(?s)^code=0.* icanon`)
			w.types("exit\r")
			w.ends(0)
		})
	}
}
