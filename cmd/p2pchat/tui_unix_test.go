//go:build unix

package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// twoWindows are Ann, who called, and Ben, who answered: connected.
func twoWindows(t *testing.T) (ann, ben *window) {
	t.Helper()
	server := serving(t)
	ann = openWindow(t, 80, 24, []string{"P2PCHAT_NAME=Ann"}, "call", "417-falcon-zebra", "--server", server)
	ann.shows("waiting for the other side")
	ben = openWindow(t, 80, 24, []string{"P2PCHAT_NAME=Ben"}, "answer", "417-falcon-zebra", "--server", server)
	ann.shows("● Ben · verified · (direct|via NAT)")
	ben.shows("● Ann · verified · (direct|via NAT)")
	return ann, ben
}

func TestWholeTerminal(t *testing.T) {
	t.Parallel()

	t.Run("the caller is shown the code, the command and the link", func(t *testing.T) {
		t.Parallel()
		server := serving(t)
		ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", server)
		ann.shows(`code: 417-falcon-zebra\n`)
		ann.shows(`p2pchat answer 417-falcon-zebra --server ` + server)
		ann.shows(server + `/#417-falcon-zebra`)
		ann.shows(`█`)
		ann.types("\x04") // Ctrl-D
		ann.ends(0)
	})

	t.Run("two people talk", func(t *testing.T) {
		t.Parallel()
		ann, ben := twoWindows(t)
		ann.types("Hello Ben\r")
		ben.shows(`\d\d:\d\d Ann Hello Ben\n`)
		ann.shows(`\d\d:\d\d you Hello Ben +✓✓\n`)
		ben.types("two\x1b\rlines\r")
		ann.shows(`Ben two\n +lines\n`)
		ann.types("//usr is a folder\r")
		ben.shows(`Ann /usr is a folder\n`)

		// What is pasted stays one message, of 200 lines.
		var paste strings.Builder
		for i := range 200 {
			fmt.Fprintf(&paste, "line %d\r", i+1)
		}
		ben.types("\x1b[200~" + paste.String() + "\x1b[201~")
		ben.shows(`  line 200$`)
		ben.types("\r")
		ben.shows(`line 200 +✓✓\n`)
		ann.shows(`line 200\n`)
		ann.types("\x1b[5~") // PgUp
		ann.shows(`▼`)
		ann.types("\x1b[1;5H") // Ctrl-Home
		ann.shows(`─ \w+, \d+ \w+ \d{4} ─`)
		ben.types("the end\r")
		ann.shows(`1 new below`)
		ann.types("\x1b[1;5F") // Ctrl-End
		ann.shows(`Ben the end\n`)

		ann.types("/quit\r")
		ann.ends(0)
		if s := ann.written(); !strings.Contains(s[strings.LastIndex(s, "\x1b[?1049l"):], "you: Hello Ben\r\n") {
			t.Error("what was said is gone with the screen")
		}
		ben.shows(`○ Ann has left`)
		ben.types("\r")
		ben.ends(0)
	})

	t.Run("Ctrl-C clears a draft, asks, says goodbye, and is an interrupt", func(t *testing.T) {
		t.Parallel()
		ann, ben := twoWindows(t)
		ann.types("half\x1b\ra\x1b\rthought\x03")
		ann.shows(`(?s)Draft cleared\. ↑ brings it back\..*> Write a message`)
		ann.types("\x1b[A")
		ann.shows(`> half\n +a\n +thought$`)
		ann.types("\x03\x03")
		ann.shows(`Press Ctrl-C again to leave\.`)
		ann.types("\x03")
		ann.ends(exitInterrupted)
		ben.shows(`Ann has left`)
		ben.types("\x03")
		ben.ends(0)
	})

	t.Run("a draft of many lines is edited with the keys of a shell", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", serving(t))
		ann.shows("waiting for the other side")
		for _, step := range [][2]string{
			{"one two\x1b\rthree\x1b\r\x15!", `> one two\n  three!$`}, // Ctrl-U on an empty line joins it
			{"\x7f\x15\x15!", `> one two!$`},
			{"\x7f\x01ZERO \x05 x", `> ZERO one two x$`}, // Ctrl-A, Ctrl-E
			{"\x1bb\x1bb\x1bd2", `> ZERO one 2 x$`},      // Alt-B, Alt-D
			{"\x17\x0b", `> ZERO one$`},                  // Ctrl-W, Ctrl-K
			{"\x1f\x1f", `> ZERO one 2 x$`},              // Ctrl-_ undoes both
			{"\x15\x0b", `> Type ahead`},                 // all of it
		} {
			ann.types(step[0])
			ann.shows(step[1])
		}
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("leaving with an undelivered message asks once", func(t *testing.T) {
		t.Parallel()
		for again, typed := range map[string]string{"Type /quit": "/quit\r", "Press Ctrl-D": "\x04", "Press Ctrl-C": "\x03"} {
			ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", serving(t))
			ann.shows("waiting for the other side")
			ann.types("are you there?\r" + typed)
			ann.shows(`1 message has not been delivered\. ` + again + ` again to drop it\.`)
			ann.types(typed)
			if !awaitEnd(ann.cmd) { // the exit code differs
				t.Errorf("it did not end:\n%q", ann.written())
			}
			<-ann.shown
			if !strings.Contains(ann.written(), "you: are you there?") {
				t.Errorf("it is not printed: %s", ann.text())
			}
		}
	})

	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGHUP": syscall.SIGHUP, "SIGINT": syscall.SIGINT} {
		t.Run(name+" gives the terminal back", func(t *testing.T) {
			t.Parallel()
			ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", serving(t))
			ann.shows("waiting for the other side")
			if err := ann.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			ann.ends(exitInterrupted)
		})
	}

	t.Run("an error is told below the screen", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", serving(t), "--wait", "2s")
		ann.ends(exitAbsent)
		if s := ann.written(); !strings.Contains(s[strings.LastIndex(s, "\x1b[?1049l"):], "p2pchat: error: the other side did not come in time") {
			t.Errorf("it says %q", s)
		}
	})

	t.Run("a small window shows what matters, and a resized one is drawn again", func(t *testing.T) {
		t.Parallel()
		ann, ben := twoWindows(t)
		ann.resize(40, 10)
		ben.types("a message that does not fit into forty columns\r")
		ann.shows(`\d\d:\d\d Ben a message that does not fit\n +into forty columns\n ● Ben · verified · (direct|via NAT).*\n>`)
		ann.resize(120, 30)
		ann.shows(`Ben a message that does not fit into forty columns\n`)
	})

	t.Run("hostile text steers nothing", func(t *testing.T) {
		t.Parallel()
		ann, ben := twoWindows(t)
		ben.types("\x1b[200~\x1b[201~")
		ben.types("\u202eevil\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\r")
		ann.shows(`Ben <U\+202E>evil`)
	})

	t.Run("a lost connection is told, and a message written during it is marked, and arrives", func(t *testing.T) {
		t.Parallel()
		ann, ben := twoWindows(t)
		if err := ben.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		ann.shows(`○ Ben · disconnected`)
		ann.types("are you still there?\r")
		ann.shows(`you are you still there\? +○\n`)
		if err := ben.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		ann.shows(`Reconnected `)
		ben.shows(`Ann are you still there\?`)
		ann.shows(`you are you still there\? +✓✓\n`)
	})

	t.Run("Ctrl-Z where no shell waits is refused", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", serving(t))
		ann.shows("waiting for the other side")
		ann.types("\x1a")
		ann.shows("No shell is waiting that could bring this program back")
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("a log does not spoil the screen: it comes below, or goes to a file", func(t *testing.T) {
		t.Parallel()
		server := serving(t)
		// A whole call, so that there is something to log.
		call := func(code string, flags ...string) *window {
			ann := openWindow(t, 80, 24, nil, append([]string{"call", code, "--server", server, "--log-level", "debug"}, flags...)...)
			launch(t, "answer", code, "--server", server)
			ann.shows("● tester")
			ann.types("\x04")
			ann.ends(0)
			return ann
		}
		ann := call("417-falcon-zebra")
		before, after, _ := strings.Cut(ann.written(), "\x1b[?1049l")
		if strings.Contains(before, "level=") || !strings.Contains(after, "p2pchat: time=") {
			t.Errorf("the log is in the wrong place:\n%s\n%s", before, after)
		}
		file := t.TempDir() + "/log"
		ann = call("418-falcon-zebra", "--log-file", file)
		log, err := os.ReadFile(file) //nolint:gosec // its own
		if err != nil || !strings.Contains(string(log), "level=DEBUG") || strings.Contains(ann.written(), "level=") {
			t.Errorf("the file has %q (%v)", log, err)
		}
		ann = openWindow(t, 80, 24, nil, "call", "--log-file", file+"/x")
		ann.ends(exitUsage)
	})

	t.Run("--ui tui wants a terminal, and one that is dumb gets lines", func(t *testing.T) {
		t.Parallel()
		p := launch(t, "call", "--ui", "tui", "--server", "http://127.0.0.1:1")
		p.finish(t)
		if code := p.cmd.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(p.err.String(), "needs a terminal") {
			t.Errorf("it ends with %d: %s", code, p.err)
		}
		ann := openWindow(t, 80, 24, []string{"TERM=dumb"}, "call", "417-falcon-zebra", "--server", serving(t))
		ann.shows(`^p2pchat: code: 417-falcon-zebra`)
	})

	t.Run("NO_COLOR has none", func(t *testing.T) {
		t.Parallel()
		ann := openWindow(t, 80, 24, []string{"NO_COLOR=1"}, "call", "417-falcon-zebra", "--server", serving(t))
		ann.shows("waiting for the other side")
		if m := regexp.MustCompile(`\x1b\[[0-9;]*([34]8|[349][0-7]|10[0-7])[;m]`).FindString(ann.written()); m != "" {
			t.Errorf("it writes %q", m)
		}
	})
}

// Before the call Ctrl-Y copies the link.
func TestTheLinkIsCopied(t *testing.T) {
	t.Parallel()
	server := serving(t)
	ann := openWindow(t, 80, 24, nil, "call", "417-falcon-zebra", "--server", server)
	ann.shows("waiting for the other side · Ctrl-Y copies the link")
	ann.types("\x19")
	ann.shows("Copied the link, if your terminal allows it")
	text := base64.StdEncoding.EncodeToString([]byte(server + "/#417-falcon-zebra"))
	ann.until("the link (OSC 52)", func(written string) bool { return strings.Contains(written, "\x1b]52;c;"+text+"\a") })
	ann.types("\x04")
	ann.ends(0)
}

// Help has more rows than the invitation leaves it.
func TestHelpOnTheWaitingScreen(t *testing.T) {
	t.Parallel()
	ann := openWindow(t, 60, 18, []string{"P2PCHAT_NAME=Ann", "P2PCHAT_SERVER=" + serving(t)}, "call", "417-falcon-zebra")
	ann.shows(`waiting for the other side`)
	ann.types("/help\r")
	ann.shows(`^  /help .*\n  /send `)
	ann.types("\x1b[6~\x1b[6~")
	ann.shows(`^  ○ ✉ ✓ ✓✓`)
	ann.types("\x1b[6~")
	ann.shows(`^  code: 417-falcon-zebra`)
	ann.types("\x1b[5~\x1b[5~\x1b[5~")
	ann.shows(`^  /help .*\n  /send `)
	ann.types("\x1b")
	ann.shows(`^  code: 417-falcon-zebra`)
	ann.types("\x04")
	ann.ends(0)
}

// tmux sends Esc and a key that follows soon at once, like a key with Alt. No key is lost.
func TestEscapeAndAKeyAtOnce(t *testing.T) {
	t.Parallel()
	ben := openWindow(t, 80, 24, nil, "answer", "601-animal-oven", "--server", serving(t))
	ben.shows(`Nobody is calling in room 601 yet\.`)
	ben.types("\x1b/Hello")
	ben.shows(`^> /Hello$`)
	ben.types("\x1bW\x1b?\x1bé")
	ben.shows(`^> /HelloW\?é$`)
	ben.types("\x1bb\x1bd\x15")
	ben.shows(`^> Type ahead`)
	ben.types("well-known\r")
	ben.shows(`(?s)To send it as a\s+message: Esc, Enter\..*^code: well-known`)
	ben.types("\x1b\r")
	ben.shows(`you well-known`)
	ben.types("\x12nothing")
	ben.shows(`No match\. Esc ends the search\.`)
	ben.types("\x1b/help\r")
	ben.shows(`/quit`)
	ben.types("\x04\x04")
	ben.ends(1) // its message had no reader
}

// In a call without a secret the two compare words; if these differ, the call ends.
func TestTheWordsDiffer(t *testing.T) {
	t.Parallel()
	server := serving(t)
	ann := openWindow(t, 80, 24, []string{"P2PCHAT_NAME=Ann"}, "call", "standup", "--server", server)
	ann.shows("waiting for the other side")
	ben := openWindow(t, 24, 10, []string{"P2PCHAT_NAME=Ben"}, "answer", "standup", "--server", server)
	ben.shows(`^ ● Ann · unverified$`)
	ann.shows("● Ben · unverified: ")
	ann.types("/verify\r")
	ann.shows(`The safety words are: `)
	ann.types("/verify no\r")
	ann.shows(`Someone may be listening\. The call has been ended\.`)
	ann.shows(`you ended the call: someone may be listening`)
	ben.shows(`Ann has left`)
	ben.shows(`(?s)Ann says.+safety.+words.+differ`)
	ann.types("\r")
	ann.ends(exitCode)
	if s := ann.written(); !strings.Contains(s[strings.LastIndex(s, "\x1b[?1049l"):], "Someone may be listening.") {
		t.Error("the warning is gone with the screen")
	}
	ben.types("\r")
	ben.ends(0)
}

// A whole evening: the code typed at the prompt with Tab, talk, a paste of 200 lines, a
// file, a lost network, goodbye.
func TestAnEvening(t *testing.T) {
	t.Parallel()
	env := []string{"HTTP_PROXY=" + serving(t, "--public-url", elsewhere), "P2PCHAT_SERVER=" + elsewhere}
	ann := openWindow(t, 80, 24, append(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
	ann.shows(`p2pchat answer 417-falcon-zebra --server ` + elsewhere)
	ben := openWindow(t, 80, 24, append(env, "P2PCHAT_NAME=Ben"), "answer")
	ben.shows(`the caller's code \(Tab completes its words\):$`)
	ben.types("417-fal\tzeb\t\r")
	ann.shows(`● Ben · verified`)
	ben.shows(`● Ann · verified`)

	ben.types("Good evening!\r")
	ann.shows(`Ben Good evening!\n`)
	ann.types("/name Annie\r")
	ben.shows(`Ann is now Annie`)
	ann.types("\x1b[200~" + strings.Repeat("of 200 lines\r", 199) + "the last\x1b[201~\r")
	ben.shows(`  the last\n`)
	ann.shows(`  the last +✓✓\n`)

	if err := os.WriteFile(ann.cmd.Dir+"/song.txt", []byte("la la la\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ann.types("/send so\t\r")
	ben.shows(`Annie offers "song.txt" \(9 B, text\)`)
	ben.types("/accept\r")
	ann.shows(`Ben has "song.txt" \(9 B, verified\)`)
	if got, err := os.ReadFile(ben.cmd.Dir + "/song.txt"); err != nil || string(got) != "la la la\n" {
		t.Errorf("%q has arrived: %v", got, err)
	}

	if err := ann.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // as a lid that is closed
		t.Fatal(err)
	}
	ben.shows(`○ Annie · disconnected`)
	ben.types("where are you?\r")
	ben.shows(`you +where are you\? +○\n`)
	if err := ann.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ann.shows(`Ben where are you\?\n`)
	ben.shows(`you +where are you\? +✓✓\n`)

	ben.types("Good night\r/quit\r")
	ben.ends(0)
	ann.shows(`(?s)Ben Good night\n.*○ Ben has left`)
	ann.types("\r")
	ann.ends(0)
}
