//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// servingElsewhere runs a server that programs take for another machine's, and returns their environment.
func servingElsewhere(t *testing.T) []string {
	t.Helper()
	return []string{"P2PCHAT_SERVER=" + elsewhere, "HTTP_PROXY=" + serving(t, "--public-url", elsewhere)}
}

func with(env []string, more ...string) []string { return append(env[:len(env):len(env)], more...) }

// guesses answers a call with a code that is wrong.
func guesses(t *testing.T, env []string, code string) {
	t.Helper()
	ben := sitDown(t, env, "answer", code, "--ui", "line")
	ben.sees(`error: wrong code`)
	ben.ends(exitCode)
}

func TestAnAnswererIsNotTheCaller(t *testing.T) {
	t.Parallel()
	ben := openWindow(t, 80, 24, nil, "answer", "601-animal-oven", "--server", serving(t))
	ben.shows(`^  Answering 601-animal-oven\n`)
	ben.shows(`^  Nobody is calling in room 601 yet\. If the caller is already waiting, the code\n  is mistyped or used up: ask for a new one\. If this program was started again,\n  ask the other side to type /again\.\n`)
	ben.shows(`○ waiting for the caller$`)
	if strings.Contains(ben.written(), "Tell the other side") {
		t.Errorf("it shows the caller's screen:\n%s", ben.text())
	}
	ben.types("\x04")
	ben.ends(0)
}

func TestAWrongCodeIsAskedForAgain(t *testing.T) {
	t.Parallel()
	t.Run("on a whole terminal", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ben"), "answer")
		ben.shows(`code \(Tab completes its words\):$`)
		ben.types("417-falcon-almanac\r")
		ben.shows(`^  Wrong code\. At most 2 attempts left\.\n\n  Type the caller's code\.\n`)
		ann.shows(`2 attempts left`)
		ben.types("417-falcon-zeb\t")
		ben.shows(`^code: 417-falcon-zebra$`)
		ben.types("\rHello\r")
		ben.shows("● Ann · verified")
		ann.shows("Ben Hello$")
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("line by line", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		ben := sitDown(t, with(env, "TERM=dumb"), "answer")
		ben.sees(asksForCode)
		ben.types("417-falcon-almanac\r")
		ben.sees(`p2pchat: Wrong code\. At most 2 attempts left\.\r\np2pchat: Type the caller's code:\r\n`)
		ben.types("417-falcom-zebra\r")
		ben.sees(`"falcom" is not a code word\. If it is right, press Enter again\.`)
		ben.types("417-falcon-zebra\rHello\r")
		ben.sees(`Connected with Ann`)
		ann.shows("tester Hello$")
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("until the code no longer works", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ben"), "answer")
		ben.shows(`code \(Tab completes its words\):$`)
		ben.types("417-falcon-almanac\r")
		ben.shows(`At most 2 attempts left\.`)
		ben.types("417-falcon-moisture\r")
		ben.shows(`At most 1 attempt left\.`)
		ben.types("417-falcon-kabob\r")
		ben.shows(`3 wrong attempts: this code no longer works\. Ask for a new one\.`)
		ann.shows(`press Enter for a new code$`)
		ann.types("\r")
		ann.shows(`The code 417-falcon-zebra no longer works\.$`)
		ann.shows(`^  code: \d{3}-\w+-\w+$`)
		ben.types(regexp.MustCompile(`code: (\d{3}-\w+-\w+)`).FindStringSubmatch(ann.text())[1] + "\r")
		ben.shows("● Ann · verified")
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("also if the command line had it", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ben"), "answer", "417-falcon-almanac")
		ben.shows(`^  Wrong code\. At most 2 attempts left\.\n\n  Type the caller's code\.\n`)
		ben.types("417-falcon-zebra\r")
		ben.shows("● Ann · verified")
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("unless the person leaves instead, or each line is a message", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		ben := openWindow(t, 80, 24, env, "answer")
		ben.shows(`code \(Tab completes its words\):$`)
		ben.types("417-falcon-almanac\r")
		ben.shows(`Type the caller's code\.`)
		ben.types("\x04")
		ben.ends(exitCode)
		dumb := sitDown(t, with(env, "TERM=dumb"), "answer", "417-falcon-almanac")
		dumb.sees(`error: wrong code`)
		dumb.ends(exitCode)
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("and where no call is open, another one can be typed", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ben"), "answer")
		ben.shows(`code \(Tab completes its words\):$`)
		ben.types("471-falcon-zebra\r")
		ben.shows(`Nobody is calling in room 471 yet\.`)
		ben.shows(`Press Enter to type another code\.`)
		ben.types("\r417-falcon-zebra\r")
		ben.shows("● Ann · verified")
		ann.types("\x04")
		ann.ends(0)
	})
}

func TestANewCodeAfterThreeWrongOnes(t *testing.T) {
	t.Parallel()
	burn := func(t *testing.T, env []string) {
		t.Helper()
		for _, code := range []string{"417-falcon-almanac", "417-falcon-moisture", "417-falcon-kabob"} {
			guesses(t, env, code)
		}
	}

	t.Run("on a whole terminal", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ann"), "call", "417-falcon-zebra")
		ann.shows("waiting for the other side")
		burn(t, env)
		ann.shows(`(?s)^  Three wrong codes were tried, so this code no longer works\..*^  Press Enter for a new code\.$`)
		ann.types("Are you there?\r")
		ann.shows(`you Are you there\? +○`)
		ann.types("\r")
		ann.shows(`^  code: \d{3}-\w+-\w+$`)
		code := regexp.MustCompile(`code: (\d{3}-\w+-\w+)`).FindStringSubmatch(ann.text())[1]
		if code == "417-falcon-zebra" {
			t.Errorf("the code is the old one")
		}
		ben := openWindow(t, 80, 24, with(env, "P2PCHAT_NAME=Ben"), "answer", code)
		ben.shows("● Ann · verified")
		ben.shows(`Ann Are you there\?$`)
		ann.types("\x04")
		ann.ends(0)
	})

	t.Run("line by line, or the person leaves", func(t *testing.T) {
		t.Parallel()
		env := servingElsewhere(t)
		ann := sitDown(t, with(env, "TERM=dumb"), "call", "417-falcon-zebra")
		ann.sees("Waiting for the other side")
		burn(t, env)
		ann.sees(`Press Enter for a new code\.`)
		ann.types("\r")
		ann.sees(`(?s)Press Enter.*p2pchat: code: \d{3}-\w+-\w+\r\n`)
		ann.types("\x03")
		ann.ends(exitInterrupted)

		bea := openWindow(t, 80, 24, env, "call", "417-falcon-zebra")
		bea.shows("waiting for the other side")
		burn(t, env)
		bea.shows(`Press Enter for a new code\.`)
		bea.types("\x04")
		bea.ends(exitCode)
	})
}

// A program that was killed and started again has only the code. The program that was not killed opens the code again.
func TestStartedAgain(t *testing.T) {
	t.Parallel()
	for name, callerDies := range map[string]bool{"the answerer": false, "the caller": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serving(t)
			open := func(name, command string) *window {
				return openWindow(t, 80, 24, []string{"P2PCHAT_NAME=" + name, testStillLost + "=1s"}, command, "417-falcon-zebra", "--server", server)
			}
			ann := open("Ann", "call")
			ann.shows("waiting for the other side")
			ben := open("Ben", "answer")
			ann.shows("● Ben · verified")
			ben.shows("● Ann · verified")
			alive, dead, again := ann, ben, func() *window { return open("Ben", "answer") }
			if callerDies {
				alive, dead, again = ben, ann, func() *window { return open("Ann", "call") }
			}
			alive.signals(dead.cmd.Process.Pid, syscall.SIGKILL)
			alive.shows("disconnected")
			alive.types("Are you there?\r")
			alive.shows(`you Are you there\? +○`)
			back := again()
			if !callerDies {
				back.shows(`Nobody is calling in room 417 yet\.`)
			}
			alive.shows(`has not come back for 1 s\. A program that was`)
			alive.types("/again\r")
			alive.shows(`Also waiting with the code 417-falcon-zebra\.`)
			back.shows(`Are you there\?$`)
			alive.shows(`you Are you there\? +✓✓`)
			back.types("Yes, again\r")
			alive.shows(`Yes, again$`)
			alive.shows(`● \w+ · verified`)
			alive.types("\x04")
			alive.ends(0)
		})
	}
}

// A panic on the main goroutine reaches the person after the screen has given the terminal back.
func TestAPanicGivesTheTerminalBack(t *testing.T) {
	t.Parallel()
	given := false
	o := talkOptions{server: "http://127.0.0.1:1", meet: func(signaling.Store, peer.Code, peer.Config) *peer.Session { panic("a mistake") }}
	o.screen = func(ctx context.Context, _ *chat.Conversation, _ screen.Streams) error {
		<-ctx.Done()
		given = true
		return nil
	}
	defer func() {
		if mistake := recover(); mistake != "a mistake" || !given {
			t.Errorf("it panicked with %v; the terminal was given back: %v", mistake, given)
		}
	}()
	err := talk(t.Context(), o, stdio{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	t.Errorf("it ended with %v", errors.Join(err))
}
