package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"p2pchat/peer"
	"p2pchat/signaling"
)

// A typed code takes three wrong answers in its life, and a page that is loaded again still counts them.
func TestPageReloadForgetsNoGuess(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	server := serving(t)
	caller := b.open(t, server)
	const own = "standup-falcon-zebra"
	guess := func() {
		t.Helper()
		program := launch(t, "answer", "standup-otter-maple", "--server", server)
		program.notes(t, "(?i)wrong code")
	}
	caller.call(own)
	guess()
	guess()
	caller.reload(true)
	caller.call(own)
	guess()
	caller.sees("Three wrong codes were tried")
}

// The page reads a reply of the server up to the longest that is valid.
func TestPageReadsNoEndlessReply(t *testing.T) {
	t.Parallel()
	p := sharedBrowser(t).open(t, serving(t))
	eval[bool](p, `(() => {
		globalThis.pulled = 0;
		globalThis.fetch = async () => new Response(new ReadableStream({ pull(c) {
			pulled++;
			c.enqueue(new Uint8Array(1 << 16).fill(32));
		} }));
		return true;
	})()`)
	p.do(chromedp.Click(chromedp.CSS("#call button.primary")))
	p.sees("makes no sense")
	if n := eval[int](p, "pulled"); n > 2*8 { // of two replies
		t.Errorf("the page has read %d KiB of two replies", 64*n)
	}
}

// testPageBounds compares which servers and candidates the page and the program use.
func testPageBounds(t *testing.T, p *tab) {
	for _, c := range []struct{ host, urls string }{
		{"chat.example.org", "stun:chat.example.org:3478 turn:Chat.Example.ORG.:3478?transport=tcp turns:chat.example.org stun:stun.example.org stun:chat.example.org.evil.example"},
		{"203.0.113.7", "stun:203.0.113.7:3478 stun:203.0.113.8:3478 stun:10.0.0.7 stun:127.0.0.1"},
		{"2001:db8::7", "stun:[2001:db8::7]:3478 stun:[2001:db8::8]"},
		{"localhost", "stun:127.0.0.1:3478 stun:[::1]:3478 turn:localhost stun:192.168.1.7 stun:172.16.0.1 stun:203.0.113.7 stun:victim.example"},
		{"127.0.0.1", "stun:127.0.0.1:3478 turn:localhost:3478 stun:192.168.1.7 stun:[fe80::7] stun:100.64.1.2 stun:100.128.1.2 stun:172.32.0.1"},
		{"192.168.1.7", "stun:192.168.1.7 stun:10.0.0.7 stun:[fd00::7] stun:203.0.113.7 stun:127.0.0.1.evil.example"},
	} {
		own, elsewhere := peer.OwnICEServers(t.Context(), []signaling.ICEServer{{URLs: strings.Fields(c.urls)}}, peer.Config{Host: c.host})
		got := eval[[][]string](p, fmt.Sprintf(`(() => {
			const { used, elsewhere } = parts.choose([{ urls: %s.split(" ") }], %s, false);
			return [used.flatMap((s) => s.urls), elsewhere];
		})()`, js(c.urls), js(c.host)))
		if !slices.Equal(got[0], own[0].URLs) || !slices.Equal(got[1], elsewhere) {
			t.Errorf("of a server at %s the page uses %q and not %q, the program %q and not %q", c.host, got[0], got[1], own[0].URLs, elsewhere)
		}
	}
	if n := eval[[]int](p, `(() => {
		const many = Array.from({ length: 20000 }, (_, i) => ({ urls: ["stun:a:" + i, "stun:b", "stun:c"] }));
		const { used } = parts.choose(many, "", true);
		return [used.length, used.flatMap((s) => s.urls).length, parts.choose([null, {}, { urls: [7] }], "", true).used.length];
	})()`); !slices.Equal(n, []int{3, 8, 0}) {
		t.Errorf("of many servers it uses %v", n)
	}
	if n := eval[[]int](p, `(() => {
		const name = (i) => "candidate:1 1 udp 1 192.0.2.1 " + i + " typ host";
		const count = (secret) => {
			const c = new parts.CandidateLimit(secret);
			const sdp = c.bounded("v=0\r\n" + Array.from({ length: 15 }, (_, i) => "a=" + name(i) + "\r\n").join("") + "a=mid:0\r\n");
			return [sdp.split("a=candidate").length - 1, Array.from({ length: 300 }, (_, i) => c.accepts(name(i))).filter(Boolean).length];
		};
		return [...count(false), ...count(true)];
	})()`); !slices.Equal(n, []int{15, 20, 15, 256}) {
		t.Errorf("of the other side's candidates it takes %v", n)
	}
}
