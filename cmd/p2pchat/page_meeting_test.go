package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"p2pchat/signaling"
)

// The page meets the other side after wrong codes, outages and refusals.
func TestPageMeets(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	const code = "417-falcon-zebra"
	t.Run("a wrong code is told to both sides, and the third one burns the right one", func(t *testing.T) {
		server := serving(t)
		caller := b.open(t, server)
		caller.call(code)
		wrong := func() {
			t.Helper()
			program := launch(t, "answer", "417-falcon-wrong", "--server", server)
			program.finish(t)
			if got := program.cmd.ProcessState.ExitCode(); got != exitCode {
				t.Errorf("the program with the wrong code ended with %d: %s", got, program.err)
			}
		}
		wrong()
		caller.sees("A person answered with a wrong code. 2 attempts left.")
		callee := b.open(t, server)
		callee.answer("417-zebra-falcon")
		callee.sees("Wrong code. At most 2 attempts left. Ask the caller to read the code out again.")
		caller.sees("One attempt left.")
		callee.answer("417-falcon-almanac")
		callee.sees("Wrong code, or the caller has just hung up. This code no longer works. Ask for a new one.")
		caller.sees("Three wrong codes were tried, so this code no longer works.")
		caller = b.open(t, server)
		caller.call(code)
		callee.answer("417-zebra-almanac")
		callee.sees("Wrong code. At most 2 attempts left.")
		callee.answer("417-almanac-falcon")
		callee.sees("Wrong code. At most one attempt left.")
		callee.answer("417-almanac-zebra")
		callee.sees("3 wrong attempts: this code no longer works. Ask for a new one.")
		caller.sees("Three wrong codes were tried, so this code no longer works.")
		if callee.try(`document.getElementById("start").hidden`) != "false" || caller.try(`document.getElementById("start").hidden`) != "false" {
			t.Error("a page that failed is not back at its start")
		}
	})
	t.Run("the right code still works after a wrong one", func(t *testing.T) {
		server := serving(t)
		program := launch(t, "call", code, "--server", server)
		program.notes(t, `^p2pchat: code: `)
		callee := b.open(t, server)
		callee.answer("417-falcon-wrong")
		callee.sees("is not a code word")
		callee.do(chromedp.Click(chromedp.CSS("#answer button.primary"))) // it may be right, all the same
		callee.sees("Wrong code")
		program.notes(t, `gave a wrong code`)
		callee.answer(" 417 Falcon–ZEBRA ")
		verified(t, callee)
		converseWith(t, callee, program)
	})
	t.Run("the right code is not wrong because the caller's program was killed", func(t *testing.T) {
		server, outbox := serving(t), filepath.Join(t.TempDir(), "outbox")
		call := func() *process {
			program := launch(t, "call", code, "--server", server, "--outbox", outbox)
			program.notes(t, `^p2pchat: code: `)
			return program
		}
		call().kill()
		callee := b.open(t, server)
		callee.answer(code)
		store, err := signaling.NewClient(server, signaling.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.CloseIdle()
		if _, _, err := store.Description(t.Context(), signaling.Ticket{Room: "417"}, signaling.Callee, "", signaling.Forever); err != nil {
			t.Fatal(err) // there is no answer to the program that is gone
		}
		program := call()
		verified(t, callee)
		converseWith(t, callee, program)
	})
	t.Run("a server that is started again costs waiting pages nothing", func(t *testing.T) {
		inFull(t)
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		serve := func() *process {
			t.Helper()
			s := launch(t, "serve", "--listen", address)
			s.notes(t, `listening on`)
			return s
		}
		first := serve()
		caller, callee := b.open(t, "http://"+address), b.open(t, "http://"+address)
		caller.call(code)
		callee.answer("another-" + code)
		callee.sees("Waiting for the caller")
		if err := first.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-first.ended
		caller.sees("The server does not answer. Trying again.")
		callee.sees("The server does not answer. Trying again.")
		serve()
		caller.sees("The server answers again.")
		callee.sees("The server answers again.")
		program := launch(t, "answer", code, "--server", "http://"+address)
		verified(t, caller)
		converseWith(t, caller, program)
		other := launch(t, "call", "another-"+code, "--server", "http://"+address)
		verified(t, callee)
		converseWith(t, callee, other)
	})
	t.Run("a server that wants an access key has the page ask for it", func(t *testing.T) {
		inFull(t)
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, []byte("open sesame"), 0o600); err != nil {
			t.Fatal(err)
		}
		server := serving(t, "--access-key-file", key)
		caller, callee := b.open(t, server), b.open(t, server)
		start := chromedp.Click(chromedp.CSS("#call button.primary"))
		if !eval[bool](caller, `document.getElementById("key-field").hidden`) {
			t.Error("the page asks for a key before the server does")
		}
		caller.do(start)
		caller.sees("To start a call on this server, type its access key.")
		caller.write("key", "open barley")
		caller.do(start)
		caller.sees("That is not this server’s access key.")
		caller.do(chromedp.SetValue(chromedp.ID("key"), "open sesame"))
		callee.answer(caller.call(""))
		verified(t, caller, callee)
	})
	t.Run("a call that is cancelled gives its room back", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller := b.open(t, server)
		caller.call(code)
		caller.click("cancel")
		caller.sees("Start a call")
		program := launch(t, "call", code, "--server", server)
		program.notes(t, `^p2pchat: code: `)
		caller.answer(code)
		verified(t, caller)
	})
	t.Run("a tab that cannot keep its call says goodbye when it is closed", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller := b.open(t, server)
		program := launch(t, "answer", caller.call(code), "--server", server)
		verified(t, caller)
		caller.say("the last word")
		caller.do(chromedp.Evaluate[chromedp.Void](`onbeforeunload = null; Storage.prototype.setItem = () => { throw new Error("full") }; 0`), chromedp.Navigate("about:blank"))
		program.finish(t)
		program.hears(t, "the last word")
		program.notes(t, `The other side has left`)
	})
	t.Run("a plain WebRTC program in the lobby is told apart", func(t *testing.T) {
		server := serving(t)
		caller := b.open(t, server)
		caller.do(chromedp.Click(chromedp.CSS("#call button.primary")))
		caller.sees("Waiting for the other person")
		c := newPlainClient(t, server)
		dc := c.answers()
		if got := caller.connected(); got != "Unverified" {
			t.Errorf("the page says %q", got)
		}
		caller.sees("The other side uses another WebRTC program")
		if err := dc.SendText("hello from afar"); err != nil {
			t.Fatal(err)
		}
		caller.hears("hello from afar")
		caller.say("hello back")
		c.hears("hello back")
		if err := dc.Close(); err != nil {
			t.Fatal(err)
		}
		caller.sees("has left")
	})
}

// TestClickToChat prints how long a call takes from the click to the chat, as the page itself
// measures it, when 'task bench:page' asks for it.
func TestClickToChat(t *testing.T) {
	if os.Getenv("P2PCHATTEST_CLICKS") == "" {
		t.Skip("measured by 'task bench:page'")
	}
	const calls = 7
	b := sharedBrowser(t)
	// The other side waits, and the page answers or calls.
	for name, other := range map[string]func(t *testing.T, server string) (page string){
		"page calls page": func(t *testing.T, server string) string {
			b.open(t, server).do(chromedp.Click(chromedp.CSS("#call button.primary")))
			return "answer"
		},
		"program calls page": func(t *testing.T, server string) string {
			launch(t, "call", "lobby", "--server", server).notes(t, `^p2pchat: code: `)
			return "answer"
		},
		"page calls program": func(t *testing.T, server string) string {
			launch(t, "answer", "lobby", "--server", server).notes(t, `^p2pchat: Waiting`)
			return "call"
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := serving(t) // each gives the guests of a room a few credentials
			var times []float64
			for range calls {
				t.Run("", func(t *testing.T) {
					page := b.open(t, server)
					button := other(t, server)
					times = append(times, eval[float64](page, `new Promise((resolve) => {
						const clicked = performance.now();
						new MutationObserver(() => document.getElementById("talk").hidden || resolve(performance.now() - clicked))
							.observe(document.getElementById("talk"), { attributes: true });
						document.querySelector("#`+button+` button.primary").click();
					})`))
				})
			}
			slices.Sort(times)
			t.Logf("click to chat, median of %d: %.0f ms", calls, times[calls/2])
		})
	}
}
