package main

import (
	"os"
	"strconv"
	"syscall"
	"testing"
)

// earlyClient is a page that knows the diagram of the signaling API and nothing else. It posts
// its candidates as they come, most of them while its description is still on the way.
const earlyClient = `((role) => {
	const post = (path, body) => fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
	const get = async (path) => {
		for (;;) {
			const reply = await fetch(path);
			if (reply.status === 200) return reply.json();
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	};
	const pc = new RTCPeerConnection(), sent = [];
	const [mine, theirs] = role === "call" ? ["offer", "answer"] : ["answer", "offer"];
	pc.onicecandidate = ({ candidate }) => candidate?.candidate && sent.push(post("/" + mine + "-candidate", candidate));
	const heard = new Promise((resolve) => {
		const use = (channel) => {
			channel.onmessage = ({ data }) => resolve("heard " + data);
			channel.onopen = () => channel.send("hello from the page");
			if (channel.readyState === "open") channel.onopen();
		};
		if (role === "call") use(pc.createDataChannel("data"));
		else pc.ondatachannel = ({ channel }) => use(channel);
		setTimeout(() => resolve("connection " + pc.connectionState), 20000);
	});
	const trickle = async () => {
		for (let after = 0; pc.connectionState !== "connected" && pc.connectionState !== "closed"; ) {
			const list = await get("/" + theirs + "-candidates?after=" + after);
			for (const candidate of list) await pc.addIceCandidate(candidate);
			after += list.length;
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	};
	const begin = async () => {
		if (role === "answer") await pc.setRemoteDescription(await get("/offer"));
		await pc.setLocalDescription();
		await new Promise((resolve) => setTimeout(resolve, 50)); // the candidates overtake it
		await post("/" + mine, pc.localDescription.toJSON ? { type: mine, sdp: pc.localDescription.sdp } : pc.localDescription);
	};
	const goOn = async () => {
		if (role === "call") {
			await Promise.all(sent);
			const kept = await get("/offer-candidates");
			if (kept.length < sent.length) return "the server has kept " + kept.length + " of " + sent.length + " candidates";
			await pc.setRemoteDescription(await get("/answer"));
		}
		trickle().catch(() => {}); // the connection may have been closed
		const result = await heard;
		pc.close();
		return result;
	};
	const begun = begin();
	window.result = begun.then(goOn).catch(String);
	return role === "call" ? begun.then(() => "posted") : "begun";
})`

// Browsers that post candidates before their description has arrived connect every time: a few
// times here, and as often as P2PCHATTEST_EARLY says.
func TestEarlyCandidatesOfBrowsers(t *testing.T) {
	inFull(t)
	t.Parallel()
	calls := 3
	if n, err := strconv.Atoi(os.Getenv("P2PCHATTEST_EARLY")); err == nil {
		calls = n
	}
	server := serving(t)
	pages := map[string]func(*testing.T) func(string) string{
		"Chromium": func(t *testing.T) func(string) string {
			p := sharedBrowser(t).open(t, server)
			return func(expression string) string { return eval[string](p, expression) }
		},
		"Firefox": func(t *testing.T) func(string) string {
			return startFirefox(t).open(t, server).js
		},
	}
	for name, open := range pages {
		t.Run(name, func(t *testing.T) {
			run := open(t)
			for role, program := range map[string]string{"call": "answer", "answer": "call"} {
				failed := 0
				for range calls {
					var p *process
					if role == "answer" {
						p = launch(t, program, "--server", server)
						p.notes(t, `^p2pchat: `)
					}
					run(earlyClient + `("` + role + `")`)
					if role == "call" {
						p = launch(t, program, "--server", server)
					}
					p.say(t, "hello from the program")
					if got := run(`window.result`); got != "heard hello from the program" {
						failed++
						t.Logf("the page: %s; the program: %s", got, p.err)
					}
					_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have left
					<-p.ended
				}
				t.Logf("the page's role is to %s: %d of %d calls failed", role, failed, calls)
				if failed > 0 {
					t.Errorf("the page's role is to %s: %d of %d calls failed", role, failed, calls)
				}
			}
		})
	}
}
