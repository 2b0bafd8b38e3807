package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// leftRelay is what both sides are told. Chromium may hide a machine's own addresses: then it is "directly, through NAT".
var leftRelay = regexp.MustCompile(`The connection now goes directly(, through NAT)? \(before: through a relay, for \d+ ?s\): another try to leave the relay succeeded`)

// A call through a relay moves to the direct path, while messages and files are on their way: nothing is lost or comes twice.
func TestPageMoves(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("with the program, which calls", func(t *testing.T) {
		movesWithProgram(t, b, "call", func(p *tab, code string) { p.answer(code) })
	})
	t.Run("with the program, which answers", func(t *testing.T) {
		inFull(t)
		movesWithProgram(t, b, "answer", func(p *tab, code string) { p.call(code) })
	})
	t.Run("with another page", func(t *testing.T) {
		inFull(t)
		server := serving(t, "--relay", "--relay-listen", "127.0.0.1:0")
		caller, callee := b.open(t, server), b.open(t, server)
		for _, p := range []*tab{caller, callee} {
			p.hooked()
			p.picksNothing()
		}
		callee.relays(true)
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		caller.sees("Through a relay")
		callee.relays(false)
		files := map[*tab]string{}
		for n, p := range []*tab{caller, callee} {
			path, sum := random(t, fmt.Sprint(n, ".bin"), 8<<20)
			p.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
			files[p] = sum
		}
		caller.accepts("1.bin")
		callee.accepts("0.bin")
		n := 0
		for begun := time.Now(); !leftRelay.MatchString(caller.log()) || !leftRelay.MatchString(callee.log()) || n < 10; n++ {
			caller.say(fmt.Sprint("line ", n))
			callee.say(fmt.Sprint("line ", n))
			if time.Since(begun) > pagePatience {
				t.Fatal("the call stays where it is")
			}
		}
		for i, p := range []*tab{caller, callee} {
			p.hasLines(n)
			p.delivered(n)
			for _, at := range []*tab{caller, callee} {
				if got := at.whole(fmt.Sprint(i, ".bin")); got != files[p] {
					t.Errorf("a file of %d has SHA-256 %s, not %s", i, got, files[p])
				}
			}
			p.holdsOne()
		}
		caller.click("leave")
		callee.sees("has left")
		caller.sees("All your messages were delivered.")
	})
	t.Run("when the browser is in a network again", func(t *testing.T) {
		caller, callee := inCall(t, b)
		for _, p := range []*tab{caller, callee} {
			p.changesNetwork()
			p.sees("this machine has a better address.")
		}
		for _, p := range []*tab{caller, callee} {
			p.sees("guest’s machine has a better address.")
		}
		callee.reload(true) // and meets again where the last connection says
		for _, p := range []*tab{caller, callee} {
			p.sees("Connected again.")
		}
		converse(t, caller, callee)
	})
	t.Run("with a contact, whom it can call again", func(t *testing.T) {
		inFull(t)
		ann, ben := friends(t, b, serving(t))
		for range 2 {
			ann.contact("Call Ben")
			ben.contact("Answer Ann")
			verified(t, ann, ben)
			ben.changesNetwork()
			ann.sees("Ben’s machine has a better address.")
			ben.sees("this machine has a better address.")
			if log := ann.log() + ben.log(); strings.Contains(log, "could not be stored") {
				t.Errorf("after a move the pages say %q", log)
			}
			ann.say("still here")
			ben.hears("still here")
			hangUp(ann, ben)
		}
	})
	t.Run("while a side leaves", func(t *testing.T) {
		inFull(t)
		for n := range 8 {
			caller, callee := inCall(t, b)
			moves, leaves, stays := caller, caller, callee
			if n&1 > 0 {
				moves = callee
			}
			if n&2 > 0 {
				leaves, stays = callee, caller
			}
			stays.say("the last one")
			moves.changesNetwork()
			if n&4 > 0 {
				eval[bool](moves, `new Promise((resolve) => setTimeout(resolve, 60, true))`)
			}
			leaves.say("and mine")
			leaves.click("leave")
			stays.sees("has left")
			stays.hears("and mine")
			leaves.hears("the last one")
			for _, p := range []*tab{leaves, stays} {
				p.sees("All your messages were delivered.")
			}
		}
	})
}

// changesNetwork makes the browser tell the page that it had no network, and has one again.
func (p *tab) changesNetwork() {
	p.t.Helper()
	for _, offline := range []bool{true, false} {
		if _, err := chromedp.Call(p.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// movesWithProgram joins a page and the program by a relay, and lets them leave it.
func movesWithProgram(t *testing.T, b chromium, command string, meet func(*tab, string)) {
	t.Helper()
	server, folder := serving(t, "--relay", "--relay-listen", "127.0.0.1:0"), t.TempDir()
	page := b.open(t, server)
	page.hooked()
	page.relays(true)
	page.picksNothing()
	mine, sum := random(t, "mine.bin", 16<<20)
	theirs, theirSum := random(t, "theirs.bin", 16<<20)
	meet(page, command+"-falcon-zebra")
	program := launch(t, command, command+"-falcon-zebra", "--server", server, "--send", theirs, "--accept-files", "--download-dir", folder)
	verified(t, page)
	page.sees("Through a relay")
	page.relays(false)
	page.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{mine}))
	page.accepts("theirs.bin")
	n := 0
	exchange := func() {
		page.say(fmt.Sprint("line ", n))
		program.say(t, fmt.Sprint("line ", n))
		n++
	}
	for begun := time.Now(); !leftRelay.MatchString(page.log()); exchange() {
		if time.Since(begun) > pagePatience {
			t.Fatalf("the call stays where it is: %s", program.err)
		}
	}
	t.Logf("%s, with %d lines; files that were there before: %s", leftRelay.FindString(page.log()), n, page.try(`[...document.querySelectorAll("#log [data-sha256] b")].map((e) => e.textContent)`))
	for range 10 {
		exchange()
	}
	page.sees("Direct")
	program.notes(t, leftRelay.String())
	page.hasLines(n)
	page.delivered(n)
	if got := page.whole("mine.bin"); got != sum {
		t.Errorf("the page's file has SHA-256 %s, not %s", got, sum)
	}
	if got := page.whole("theirs.bin"); got != theirSum {
		t.Errorf("the program's file has SHA-256 %s, not %s", got, theirSum)
	}
	same(t, mine, filepath.Join(folder, "mine.bin"))
	if got := page.connected(); got != "✓ Verified" {
		t.Errorf("after the move the page says %q", got)
	}
	page.holdsOne()
	if strings.Contains(page.log(), "Connected again.") {
		t.Error("a move looks like a loss")
	}
	page.click("leave")
	program.finish(t)
	heard := strings.Split(strings.TrimSpace(program.out.String()), "\n")
	if !slices.Equal(heard, lines(n)) {
		t.Errorf("the program heard %q", heard)
	}
}

// A pipe that was replaced ends a while later, which does not disturb a file on the next one.
func TestPageFilesOnTheNextPipe(t *testing.T) {
	t.Parallel()
	if got := eval[string](scripted(t, "parts"), `(async () => {
		const settled = () => new Promise((resolve) => setTimeout(resolve));
		const pipe = () => {
			const p = { channels: [], onFile: () => {}, openFile: () => {
				const dc = { readyState: "open", bufferedAmount: 0, send: () => {}, close: () => { dc.readyState = "closed"; } };
				p.channels.push(dc);
				return dc;
			} };
			p.ended = new Promise((resolve) => (p.end = resolve));
			return p;
		};
		const conversation = { id: "ben", put: () => 1 }, view = { progress: () => {}, done: () => {}, failed: () => {} };
		const files = new parts.Files(conversation, () => view), pipes = [pipe(), pipe()];
		files.offer(new File([new Uint8Array(100)], "f"), view);
		files.handleFrame(7, 1, { id: 1, of: "ben" }, "ann");
		for (const p of pipes) {
			conversation.connected = p;
			files.connected(p, true);
			await settled();
		}
		const states = () => pipes.map((p) => p.channels.map((dc) => dc.readyState).join()).join(" "), all = [states()];
		for (const p of pipes) {
			p.end();
			await settled();
			all.push(states());
		}
		return all.join("; ");
	})()`); got != "closed open; closed open; closed closed" {
		t.Errorf("the file's channels on the two pipes are %s", got)
	}
}

// A side that breaks the rules of a move, or begins without end, gains nothing: the page holds few connections, and the call goes on.
func TestPageMovesOfAStranger(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	caller, callee := b.open(t, server), b.open(t, server)
	for _, p := range []*tab{caller, callee} {
		p.hooked()
	}
	callee.answer(caller.call(""))
	verified(t, caller, callee)
	talks := func() {
		t.Helper()
		for _, pair := range [][2]*tab{{caller, callee}, {callee, caller}} {
			text := fmt.Sprint("still here ", time.Now().UnixNano())
			pair[0].say(text)
			pair[1].hears(text)
		}
	}
	talks()
	for _, two := range []struct {
		name           string
		page, stranger *tab
	}{
		{"the caller", caller, callee},
		{"the callee", callee, caller},
	} {
		t.Run(two.name, func(t *testing.T) {
			page, stranger := two.page.in(t), two.stranger.in(t)
			made := eval[int](page, "all.length")
			for _, says := range []string{
				`[]`, `["hello"]`, `["[]"]`, `['{"description":{"type":"offer","sdp":"v=0"}}']`, `['{"description":{"type":"offer"}}', '{"description":{"type":"offer"}}']`,
				`['{"stands":true}', '{"stands":true}']`, `[JSON.stringify({ candidates: new Array(257).fill({}) })]`, `new Array(9).fill('{"candidates":["' + "a".repeat(60 << 10) + '"]}')`,
			} {
				eval[bool](stranger, `(async () => {
					const dc = all.findLast((c) => c.connectionState === "connected").createDataChannel("move", { protocol: "p2pchat.v1" });
					await new Promise((resolve) => (dc.onopen = dc.onclose = resolve));
					try {
						for (const m of `+says+`) dc.send(new TextEncoder().encode(m));
					} catch {} // the page has closed it
					await new Promise((resolve) => setTimeout(resolve, 100));
					dc.close();
					return true;
				})()`)
				page.holdsOne()
			}
			if n := eval[int](page, "all.length") - made; n == 0 {
				t.Error("no move has begun")
			}
			for _, label := range []string{"move", "renew"} {
				eval[bool](stranger, fmt.Sprintf(`(() => {
					const c = all.findLast((c) => c.connectionState === "connected");
					for (let i = 0; i < 30; i++) c.createDataChannel(%q, { protocol: "p2pchat.v1" });
					return true;
				})()`, label))
				eval[bool](page, `new Promise((resolve) => setTimeout(resolve, 500, true))`)
				if n := eval[int](page, `all.filter((c) => c.connectionState !== "closed").length`); n > 2 {
					t.Errorf("%d connections are open", n)
				}
				if n := eval[int](page, "all.length") - made; n > 12 {
					t.Errorf("%d moves or renewals began", n)
				}
				talks()
				made = eval[int](page, "all.length")
			}
		})
	}
}

// hooked lets a test see the connections of a page, and keep them to relays.
func (p *tab) hooked() {
	p.t.Helper()
	eval[bool](p, `(() => {
		globalThis.all = [];
		globalThis.relays = false;
		globalThis.RTCPeerConnection = class extends RTCPeerConnection {
			constructor(c) {
				super(relays ? { ...c, iceTransportPolicy: "relay" } : c);
				all.push(this);
			}
		};
		return true;
	})()`)
}

// relays says whether further connections may go through relays alone.
func (p *tab) relays(alone bool) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(relays = %v, true)`, alone))
}

// holdsOne waits until the page has one connection.
func (p *tab) holdsOne() {
	p.t.Helper()
	eval[bool](p, `new Promise((resolve) => {
		const look = setInterval(() => {
			if (all.filter((c) => c.connectionState !== "closed").length !== 1) return;
			clearInterval(look);
			resolve(true);
		}, 20);
	})`)
}

// log returns the notes of the page's conversation.
func (p *tab) log() string {
	p.t.Helper()
	return eval[string](p, `[...document.querySelectorAll("#log > .note")].map((e) => e.textContent).join("\n")`)
}

// hasLines waits for the last of n lines of the other side, and fails the test unless each has come once and in order.
func (p *tab) hasLines(n int) {
	p.t.Helper()
	p.hears(fmt.Sprint("line ", n-1))
	if got := eval[[]string](p, `[...document.querySelectorAll("#log > .theirs .text")].map((e) => e.textContent)`); !slices.Equal(got, lines(n)) {
		p.t.Errorf("the page heard %q", got)
	}
}

// lines returns n numbered lines.
func lines(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("line ", i))
	}
	return all
}
