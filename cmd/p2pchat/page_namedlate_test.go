package main

import "testing"

// A page whose relay is named when it is connected to the program already is taken for what it is: the program tells of a relay, and the
// two look for another path.
func TestPageRelayNamedLate(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	for command, meet := range map[string]func(*tab, string){
		"call":   func(p *tab, code string) { p.answer(code) },
		"answer": func(p *tab, code string) { p.call(code) },
	} {
		t.Run("to the program, as "+command, func(t *testing.T) {
			t.Parallel()
			if command == "answer" {
				inFull(t)
			}
			server := serving(t, "--relay", "--relay-listen", "127.0.0.1:0")
			page := b.open(t, server)
			page.hooked()
			page.relays(true)
			page.namesLate()
			meet(page, command+"-falcon-zebra")
			program := launch(t, command, command+"-falcon-zebra", "--server", server)
			verified(t, page)
			page.relays(false)
			program.notes(t, `The connection goes through a relay, not directly`)
			program.notes(t, leftRelay.String())
			page.sees("another try to leave the relay succeeded")
			converseWith(t, page, program)
		})
	}
}

// namesLate makes the page send its candidates when it has heard the other side, but the first note of a caller, which has none.
func (p *tab) namesLate() {
	p.t.Helper()
	eval[bool](p, `(() => {
		const send = fetch.bind(globalThis), log = document.getElementById("log");
		let late;
		const heard = () => new Promise((resolve) => {
			new MutationObserver(() => { if (log.textContent.includes("Connected with")) resolve(); }).observe(log, { childList: true, subtree: true, characterData: true });
		});
		globalThis.fetch = async (url, o) => {
			if (o?.method === "POST" && url.endsWith("/answer")) {
				const d = JSON.parse(o.body);
				delete d.p2pchat.candidates;
				return send(url, { ...o, body: JSON.stringify(d) });
			}
			if (o?.method !== "POST" || !/(offer|answer)-candidates/.test(url)) return send(url, o);
			if (late || url.includes("answer-")) {
				await (late ??= heard());
				return send(url, o);
			}
			const [nonce, ...rest] = JSON.parse(o.body);
			late = heard().then(() => rest.length > 0 && send(url.replace("at=0", "at=1"), { ...o, body: JSON.stringify(rest) }));
			return send(url, { ...o, body: JSON.stringify([nonce]) });
		};
		return true;
	})()`)
}
