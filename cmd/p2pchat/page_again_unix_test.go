//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// A connection is lost with everything on its way, and the two meet again.
func TestPageMeetsAgain(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("with the program, over a server that was started again", func(t *testing.T) {
		inFull(t)
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		server := launch(t, "serve", "--listen", address)
		server.notes(t, `listening on`)
		page := b.open(t, "http://"+address)
		page.picksNothing()
		mine, sum := random(t, "mine.bin", 16<<20)
		theirs, theirSum := random(t, "theirs.bin", 16<<20)
		folder := t.TempDir()
		program := launch(t, "answer", page.call(""), "--server", "http://"+address, "--send", theirs, "--accept-files", "--download-dir", folder)
		verified(t, page)
		page.say("one")
		program.hears(t, "one")
		page.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{mine}))
		page.accepts("theirs.bin")
		for _, name := range []string{"mine.bin", "theirs.bin"} {
			until[bool](page, item(name)+`.querySelector("progress").value > 1e6`)
		}
		stop := func(s syscall.Signal) {
			t.Helper()
			if err := program.cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		stop(syscall.SIGSTOP)
		page.say("two")
		page.sees("The connection to the other side was lost. Connecting again")
		page.say("three")
		if err := server.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-server.ended
		page.sees("The server does not answer.")
		launch(t, "serve", "--listen", address).notes(t, `listening on`)
		stop(syscall.SIGCONT)
		page.sees("Connected again.")
		if got := page.connected(); got != "✓ Verified" {
			t.Errorf("after a loss the page says %q", got)
		}
		program.say(t, "four")
		page.hears("four")
		page.delivered(3)
		if got := page.whole("mine.bin"); got != sum {
			t.Errorf("through the loss the file has SHA-256 %s, not %s", got, sum)
		}
		if got := page.whole("theirs.bin"); got != theirSum {
			t.Errorf("through the loss the program's file has SHA-256 %s, not %s", got, theirSum)
		}
		same(t, mine, filepath.Join(folder, "mine.bin"))
		page.click("leave")
		program.finish(t)
		if heard := strings.TrimSpace(program.out.String()); heard != "one\ntwo\nthree" {
			t.Errorf("the program heard %q", heard)
		}
	})
	t.Run("with another page, whose machine slept", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		var asleep *exec.Cmd
		far := startBrowser(t, chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
			asleep = c
			if c.SysProcAttr == nil {
				c.SysProcAttr = &syscall.SysProcAttr{}
			}
			c.SysProcAttr.Setpgid = true
		}))
		caller, callee := b.open(t, server), far.open(t, server)
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		for range 2 {
			signal := func(s syscall.Signal) {
				t.Helper()
				if err := syscall.Kill(-asleep.Process.Pid, s); err != nil {
					t.Fatal(err)
				}
			}
			signal(syscall.SIGSTOP)
			caller.say("lost at first")
			caller.sees("Connecting again")
			signal(syscall.SIGCONT)
			callee.hears("lost at first")
			callee.say("I am back")
			caller.hears("I am back")
		}
		caller.delivered(2)
		callee.delivered(2)
		if n := eval[int](callee, `document.querySelectorAll("#log > .theirs").length`); n != 2 {
			t.Errorf("two messages arrived as %d", n)
		}
		verified(t, caller, callee)
	})
}
