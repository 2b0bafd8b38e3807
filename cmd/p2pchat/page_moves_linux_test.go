package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A page goes with the program when the network of that one changes, while lines and a file are on their way.
func TestNATMovesAPage(t *testing.T) {
	needsLab(t)
	for _, c := range []struct {
		name    string
		nat     string // of the program
		prepare func(*lab)
		path    string // at first
		change  func(*lab)
		told    string
		on      string // where the page is
	}{
		{"from a relay when the network lets UDP through", noUDP, func(*lab) {}, "Through a relay", func(l *lab) { l.nat("ra", cone) }, "a’s network lets UDP through now.", "b"},
		{
			"from Wi-Fi to a cable of the same network", cone, func(l *lab) { l.bridge("a", 1) }, "Direct",
			func(l *lab) { l.plug("a", 1) }, "a’s machine has a better address.", "s",
		},
		{
			"from Wi-Fi to a cable of the same network, with a page behind a NAT", cone, func(l *lab) { l.bridge("a", 1) }, "Direct",
			func(l *lab) { l.plug("a", 1) }, "a’s machine has a better address.", "b",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, c.nat, cone, quality{delay: 5 * time.Millisecond, rate: 20e6 / 8})
			c.prepare(l)
			l.serve("--relay", "--relay-open")
			page := l.browse(t, c.on).open(t, labServer)
			path, sum := random(t, "data", 20e6)
			a := l.start("a", "call", "417-falcon-zebra", "--server", labServer, "--ui", "json", "--send", path)
			l.sees(a, `"type":"waiting"`)
			page.answer("417-falcon-zebra")
			verified(t, page)
			page.sees(c.path)
			page.accepts("data")
			n := 0
			exchange := func() {
				for end := n + 10; n < end; n++ {
					l.say(a, fmt.Sprint("line ", n))
				}
				page.hears(fmt.Sprint("line ", n-1))
				page.say(fmt.Sprint("seen ", n))
				l.sees(a, fmt.Sprintf(`"text":"seen %d"`, n))
			}
			for begun := time.Now(); time.Since(begun) < 3*time.Second; { // the first try to leave a relay is over
				exchange()
			}
			c.change(l)
			begun, pause := time.Now(), time.Duration(0)
			for !strings.Contains(page.log(), c.told) {
				last := time.Now()
				exchange()
				pause = max(pause, time.Since(last))
				if time.Since(begun) > patience {
					t.Fatalf("the call stays where it is: %s: %s", page.log(), a.err)
				}
			}
			t.Logf("told %s after the change, with %d lines; at most %s for eleven lines: %s", time.Since(begun).Round(time.Millisecond), n, pause.Round(time.Millisecond), page.log())
			l.sees(a, `"type":"moved"`)
			if got := page.whole("data"); got != sum {
				t.Errorf("the file has SHA-256 %s, not %s", got, sum)
			}
			page.hasLines(n)
			if strings.Contains(page.log(), "Connected again.") || strings.Contains(a.out.String(), `"type":"disconnected"`) {
				t.Error("a move looks like a loss")
			}
			page.click("leave")
			a.finish(t)
		})
	}
}

// browse starts a browser on one of the machines.
func (l *lab) browse(t *testing.T, on string) chromium {
	t.Helper()
	return startBrowser(t, chromedp.Flag("remote-debugging-pipe", true), chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
		within := exec.Command("ip", append([]string{"netns", "exec", l.ns(on), cmd.Path}, cmd.Args[1:]...)...) //nolint:gosec // the lab's own
		cmd.Path, cmd.Args = within.Path, within.Args
	}))
}
