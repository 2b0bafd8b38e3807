//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"p2pchat/peer"
)

// A seat is a terminal in which the program runs.
type seat struct {
	*testing.T
	cmd      *exec.Cmd
	keyboard *os.File
	screen   *transcript
	before   string // how the terminal was set when the program started
}

func sitDown(t *testing.T, env []string, args ...string) *seat {
	t.Helper()
	path, err := exec.LookPath("p2pchat")
	if err != nil {
		t.Fatal(err)
	}
	keyboard, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &seat{T: t, cmd: exec.Command(path, args...), keyboard: keyboard, screen: newTranscript(), before: modes(t, keyboard)} //nolint:gosec // the program under test
	s.cmd.Env = append(append(os.Environ(), "P2PCHAT_NAME=tester", "P2PCHAT_CODE="), env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = terminal, terminal, terminal
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = s.cmd.Start()
	_ = terminal.Close() // the program has it
	if err != nil {
		t.Fatal(err)
	}
	s.keyboard = pollable(t, keyboard)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(s.screen, s.keyboard) // ends with the program, by EIO
		s.screen.end()
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it may have ended
		_ = s.cmd.Wait()         // it may have been waited for
		_ = s.keyboard.Close()   // whatever was still to be typed
		<-shown
	})
	return s
}

func (s *seat) sees(pattern string) []string {
	s.Helper()
	found, err := s.screen.wait(regexp.MustCompile(pattern))
	if err != nil {
		s.Fatal(err)
	}
	return found
}

func (s *seat) types(text string) {
	s.Helper()
	if _, err := io.WriteString(s.keyboard, text); err != nil {
		s.Fatal(err)
	}
}

func (s *seat) ends(code int) {
	s.Helper()
	if !awaitEnd(s.cmd) {
		s.Errorf("it did not end; its screen:\n%s", s.screen)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.Errorf("it ended with exit code %d, not %d; its screen:\n%s", got, code, s.screen)
	}
}

// awaitEnd waits for the end of a program in a terminal, and reports whether it came in time. A program that does not end is made to say
// what its goroutines do, and then killed.
func awaitEnd(cmd *exec.Cmd) bool {
	quit := time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) }) // it may end at that moment
	kill := time.AfterFunc(patience+patience/10, func() { _ = cmd.Process.Kill() })      // it may have ended
	defer kill.Stop()
	_ = cmd.Wait() // the exit code says it
	return quit.Stop()
}

// asksForCode is the prompt before the code.
const asksForCode = `the caller's code \(Tab completes its words\): $`

// elsewhere is the address of a server on another machine. No test connects to it directly.
const elsewhere = "http://chat.example.org"

func TestPrompt(t *testing.T) {
	t.Parallel()

	t.Run("the code is typed with Tab, and what follows is conversation", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		caller := launchWith(t, t.TempDir(), env, "call", "417-falcon-zebra")
		caller.notes(t, "Waiting for")
		s := sitDown(t, env, "answer")
		s.sees(asksForCode)
		s.types("417-fal\tze\t")
		s.sees(`417-falcon-ze`)
		s.types("b\t\rfirst words\n")
		s.sees(`Verified: `)
		caller.hears(t, "first words")
		s.types("\x03\x03") // Ctrl-C asks once
		s.ends(exitInterrupted)
	})

	t.Run("Ctrl-D twice ends a line and the input, and what is told then has a line of its own", func(t *testing.T) {
		t.Parallel()
		server := serving(t)
		caller := launch(t, "call", "421-falcon-zebra", "--server", server)
		s := sitDown(t, nil, "answer", "421-falcon-zebra", "--server", server, "--ui", "line")
		s.sees(`Verified: `)
		s.types("last words\x04\x04")
		s.sees(`last words\r\np2pchat: Your input has ended\.`)
		caller.hears(t, "last words")
		s.types("\x03")
		s.ends(exitInterrupted)
	})

	t.Run("what is no code is asked for again", func(t *testing.T) {
		t.Parallel()
		s := sitDown(t, nil, "answer", "--server", elsewhere)
		s.sees(asksForCode)
		s.types("not/a/code\r")
		s.sees("that is not a code: .*\r\n.*the caller's code \\(Tab")
		s.types("\x04") // Ctrl-D
		s.ends(exitUsage)
		s.sees("error: no code was given")
	})

	t.Run("a word that is in no code is doubted, once", func(t *testing.T) {
		t.Parallel()
		s := sitDown(t, nil, "answer", "--server", elsewhere, "--wait", "1ns")
		s.sees(asksForCode)
		s.types("417 falcom zebra\r")
		s.sees(`"falcom" is not a code word\. If it is right, press Enter again\. Or correct it here: Ctrl-U empties the line\.\r\n.*417 falcom zebra$`)
		s.types("\r")
		s.ends(exitServer) // there is no server
	})

	t.Run("in a narrow window, each Tab leaves one prompt and whole words, and the doubted text can be replaced", func(t *testing.T) {
		t.Parallel()
		w := openWindow(t, 40, 10, []string{"P2PCHAT_NAME=tester"}, "answer", "--server", elsewhere, "--ui", "line", "--wait", "1ns")
		w.shows(`words\): *$`)
		w.types("950-suds-at\t")
		const asked = `p2pchat: the caller's code \(Tab complete\ns its words\): 950-suds-at`
		w.shows(`\Aatlas  atmosphere  atom  atrocious\nattic  atypical\n` + asked + `\n*\z`)
		w.resize(60, 10)
		w.types("\x15950-suds-attc\r")
		w.shows(`(?s)Or correct it here: Ctrl-U\s+empties the line\..*: 950-su\nds-attc`)
		w.types("\x15950-suds-attic")
		w.shows(`: 950-su\nds-attic$`)
		w.types("\r")
		w.ends(exitServer)
	})

	t.Run("so is a text that would become a room of its own, but not one that was pasted with its command", func(t *testing.T) {
		t.Parallel()
		s := sitDown(t, nil, "answer", "--server", elsewhere, "--wait", "1ns")
		s.sees(asksForCode)
		s.types("foo bar\r")
		s.sees(`"foo-bar" does not look like a code that p2pchat makes, such as 417-falcon-zebra\. If the caller chose it, press Enter again\. Or correct it here: Ctrl-U empties the line\.\r\n.*foo bar$`)
		s.types("\x15standup\r") // another one
		s.sees(`(?s)"standup" does not look like a code .*standup$`)
		s.types("\r")
		s.ends(exitServer) // there is no server
		s = sitDown(t, nil, "answer", "--server", elsewhere, "--wait", "1ns")
		s.sees(asksForCode)
		s.types("p2pchat answer standup --server " + elsewhere + "\r")
		s.ends(exitServer)
	})

	t.Run("so is a link that may be cut off, and one without its code is asked for again", func(t *testing.T) {
		t.Parallel()
		host := strings.TrimPrefix(elsewhere, "http://")
		s := sitDown(t, nil, "answer", "--server", elsewhere, "--wait", "1ns")
		s.sees(asksForCode)
		s.types(host + "/\r")
		s.sees(`p2pchat: this link has no code at its end: paste the whole link`)
		s.types(host + "/#417-falcon\r")
		s.sees(`The code in this link, "417-falcon", may be cut off\. If it is whole, press Enter again\. Or correct it here: `)
		s.types("-zebra\r")
		s.ends(exitServer)
		s.sees(elsewhere + ": the server cannot be reached") // with the scheme of --server
	})

	t.Run("lines pasted with the code are messages, each of them", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		caller := launchWith(t, t.TempDir(), env, "call", "417-falcon-zebra")
		s := sitDown(t, env, "answer")
		s.sees(asksForCode)
		s.types("p2pchat answer 417-falcon-zebra --server " + elsewhere + "\rone\rtwo\rthr")
		s.sees(`Verified: `)
		s.types("ee\r")
		caller.prints(t, `\Aone\ntwo\nthree\n\z`)
		s.types("\x03\x03")
		s.ends(exitInterrupted)
	})

	for name, keys := range map[string]string{"Ctrl-C": "417-\x03", "Ctrl-C after Escape": "417-\x1b\x03", "Ctrl-C in the middle of a key's name": "\x1b[\x03"} {
		t.Run(name+" ends it", func(t *testing.T) {
			t.Parallel()
			s := sitDown(t, nil, "answer", "--server", elsewhere)
			s.sees(asksForCode)
			s.types(keys)
			s.ends(exitInterrupted)
		})
	}

	t.Run("so does Ctrl-D, after Escape too", func(t *testing.T) {
		t.Parallel()
		s := sitDown(t, nil, "answer", "--server", elsewhere)
		s.sees(asksForCode)
		s.types("\x1b\x1b\x04")
		s.ends(exitUsage)
	})

	t.Run("a signal ends it, and the terminal is as it was", func(t *testing.T) {
		t.Parallel()
		s := sitDown(t, nil, "answer", "--server", elsewhere)
		s.sees(asksForCode)
		if modes(t, s.keyboard) == s.before {
			t.Fatal("it is not raw while the program asks")
		}
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		s.ends(exitInterrupted)
		if after := modes(t, s.keyboard); after != s.before {
			t.Errorf("the terminal's modes are %s, and were %s", after, s.before)
		}
	})
}

// modes is how the terminal is set.
func modes(t *testing.T, terminal *os.File) string {
	t.Helper()
	stty := exec.Command("stty", "-g")
	stty.Stdin = terminal
	out, err := stty.Output()
	if err != nil {
		t.Skip("there is no stty: ", err)
	}
	return string(out)
}

func TestAskingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, _ := io.Pipe()
	restored := false
	std := stdio{in: silent, err: io.Discard, raw: func() (func(), error) { return func() { restored = true }, nil }}
	if _, err := askCode(ctx, std, peer.ParseCode); !errors.Is(err, errInterrupted) || !restored {
		t.Errorf("it ended with %v; restored: %v", err, restored)
	}
}

// A panic while the terminal is raw is one of the main goroutine, after the terminal was restored.
func TestAPanicWhileAsking(t *testing.T) {
	t.Parallel()
	restored := false
	std := stdio{in: strings.NewReader("417-falcon-zebra\r"), err: io.Discard, raw: func() (func(), error) { return func() { restored = true }, nil }}
	defer func() {
		if mistake := recover(); mistake != "a mistake" || !restored {
			t.Errorf("it panicked with %v; restored: %v", mistake, restored)
		}
	}()
	_, err := askCode(t.Context(), std, func(string) (peer.Code, error) { panic("a mistake") })
	t.Errorf("it ended with %v", err)
}

func TestCompleted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		head   string
		choice int
	}{
		"417":            {"417", 0},
		"417-":           {"417-", 0},
		"417-FAL":        {"417-falcon-", 1},
		"417-falcon zeb": {"417-falcon zebra", 1},
		"417-zz":         {"417-zz", 0},
		"417-fa":         {"417-fa", 10},
	} {
		head, choice := completed(text)
		if head != want.head || len(choice) != want.choice {
			t.Errorf("%q is completed to %q, of %q", text, head, choice)
		}
	}
	if _, err := readCode(stdio{in: strings.NewReader("417-falcon"), err: io.Discard}, peer.ParseCode); !errors.Is(err, errInterrupted) {
		t.Errorf("a terminal that ended says %v", err)
	}
	var none peer.Code
	if code, err := readCode(stdio{in: strings.NewReader("\x03"), err: io.Discard}, peer.ParseCode); code != none || !errors.Is(err, errInterrupted) {
		t.Errorf("Ctrl-C says %v, %v", code, err)
	}
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"417-amber-falcon":                                            {"417-amber-falcon", ""},
		"417 amber falcon":                                            {"417 amber falcon", ""},
		"p2pchat answer 417-amber-falcon":                             {"417-amber-falcon", ""},
		" p2pchat answer 417-amber-falcon --server http://h:1 ":       {"417-amber-falcon", "http://h:1"},
		"p2pchat answer --server http://h:1 417-amber-falcon":         {"417-amber-falcon", "http://h:1"},
		"p2pchat answer 'standup-i&you' --server 'http://[::1]:3000'": {"standup-i&you", "http://[::1]:3000"},
		"https://chat.example.org/#417-amber-falcon":                  {"417-amber-falcon", "https://chat.example.org"},
		"https://chat.example.org/#standup-na%C3%AFve":                {"standup-naïve", "https://chat.example.org"},
		"p2pchat answer":                                              {"lobby", ""},
		"p2pchat answer --server http://h:1":                          {"lobby", "http://h:1"},
		"p2pchat answer 4-a-b --name evil":                            {"4-a-b", ""},
		"p2pchat answer 4-a-b --qr --server h x":                      {"4-a-b", "h"},
		"p2pchat: Waiting for the other side: p2pchat answer 417-amber-falcon --server http://h:1": {"417-amber-falcon", "http://h:1"},
		"(https://chat.example.org/#417-amber-falcon).":                                            {"417-amber-falcon", "https://chat.example.org"},
		"<https://chat.example.org/#417-amber-falcon>,":                                            {"417-amber-falcon", "https://chat.example.org"},
		"Type \"p2pchat answer 4-a-b --server http://h:1\".":                                       {"4-a-b", "http://h:1"},
		"p2pchat answer --server 'http://[::1]:3000' 4-a-b.":                                       {"4-a-b", "http://[::1]:3000"},
		"`p2pchat answer 'standup-i&you'`":                                                         {"standup-i&you", ""},
		"p2pchat answer \"standup-i&you\" --server \"http://h:1\"":                                 {"standup-i&you", "http://h:1"},
		`p2pchat answer 'standup-it'\''s&you' --server http://h:1; ls`:                             {"standup-it's&you", "http://h:1"},
		"'p2pchat answer a-b-x'; it's open":                                                        {"a-b-x", ""},
		"\"p2pchat answer a-b-x\" | \"tee\"":                                                       {"a-b-x", ""},
		"type \"p2pchat answer\" ; \"ls\"":                                                         {"lobby", ""},
		"clear; p2pchat answer a-b-x; echo rc=$?":                                                  {"a-b-x", ""},
		"p2pchat answer a-b-x --server http://h:1&& echo":                                          {"a-b-x", "http://h:1"},
		"p2pchat answer.":                  {"lobby", ""},
		"https://h/chat/#417-amber-falcon": {"417-amber-falcon", "https://h/chat"},
		"https://h/":                       {"https://h/", ""},
	} {
		if code, server := invitation(text); code != want[0] || server != want[1] {
			t.Errorf("%q is %q at %q", text, code, server)
		}
	}
	for _, refused := range []string{"ftp://h/#417-amber-falcon", "https://h/"} {
		if code, err := new(talkOptions).parse(refused); err == nil {
			t.Errorf("%q is taken as %v", refused, code)
		}
	}
	told := talkOptions{server: "http://h:1", serverGiven: true}
	if _, err := told.parse("http://other/#417-amber-falcon"); err == nil || !strings.Contains(err.Error(), "http://other") {
		t.Errorf("another server than the one that was named: %v", err)
	}
	if _, err := told.parse("http://h:1/#417-amber-falcon"); err != nil {
		t.Error(err)
	}
}
