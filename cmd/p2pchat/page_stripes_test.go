package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// A page takes a file of the program over stripes, and their connections end with the file.
func TestPageStripes(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	// sends joins a page and the program, which sends a file over stripes.
	sends := func(t *testing.T, cutAt int) (page *tab, program *process, sum string) {
		t.Helper()
		server := serving(t)
		page = b.open(t, server)
		page.hooked()
		page.hasStripes(cutAt)
		path, sum := random(t, "theirs.bin", 8<<20+7)
		program = launch(t, "answer", page.call(""), "--server", server, "--stripes", "always", "--accept-files", "--log-level", "info", "--send", path)
		verified(t, page)
		return page, program, sum
	}
	ends := func(t *testing.T, page *tab, program *process) {
		t.Helper()
		page.holdsOne()
		page.say("still here")
		program.prints(t, "still here")
		page.click("leave")
		program.finish(t)
	}
	t.Run("bring a file, while another one goes the other way", func(t *testing.T) {
		page, program, sum := sends(t, 0)
		page.picksDiskThatWaits("four")
		mine, mySum := random(t, "mine.bin", 3<<20)
		page.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{mine}))
		page.accepts("theirs.bin")
		for name, want := range map[string]string{"theirs.bin": sum, "mine.bin": mySum} {
			if got := page.whole(name); got != want {
				t.Errorf("%s arrived with SHA-256 %s, not %s", name, got, want)
			}
		}
		if got := page.onDisk(); got != sum {
			t.Errorf("the file is on the browser's disk with SHA-256 %s, not %s", got, sum)
		}
		if n := eval[int](page, "pieces"); n < 500 { // of 8 KiB
			t.Errorf("%d pieces came over stripes", n)
		}
		ends(t, page, program)
	})
	t.Run("of which one is cut bring the whole file", func(t *testing.T) {
		page, program, sum := sends(t, 200)
		page.picksDiskThatWaits("four")
		page.accepts("theirs.bin")
		program.notes(t, "a stripe of a file has ended")
		if got := page.whole("theirs.bin"); got != sum {
			t.Errorf("the file arrived with SHA-256 %s, not %s", got, sum)
		}
		if got := page.onDisk(); got != sum {
			t.Errorf("the file is on the browser's disk with SHA-256 %s, not %s", got, sum)
		}
		ends(t, page, program)
	})
	t.Run("end with a file that is cancelled", func(t *testing.T) {
		page, program, _ := sends(t, 0)
		page.picksDiskThatWaits("new Promise(() => {})")
		page.accepts("theirs.bin")
		eval[bool](page, "four.then(() => true)")
		page.choose("theirs.bin", "Cancel")
		program.notes(t, "cancelled by its receiver")
		ends(t, page, program)
	})
}

// hasStripes lets a test see what comes over stripes to a page that is hooked: four resolves when it has four. One of them is cut with that
// message, unless it is 0.
func (p *tab) hasStripes(cutAt int) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(() => {
		let stripes = 0, resolve;
		globalThis.pieces = 0;
		globalThis.four = new Promise((r) => (resolve = r));
		globalThis.RTCPeerConnection = class extends RTCPeerConnection {
			constructor(c) {
				super(c);
				this.addEventListener("datachannel", ({ channel }) => {
					if (channel.ordered) return;
					if (++stripes === 4) resolve();
					channel.addEventListener("message", () => { if (++pieces === %d) this.close(); });
				});
			}
		};
		return true;
	})()`, cutAt))
}

// picksDiskThatWaits is picksDisk, of a disk that writes nothing before a promise resolves.
func (p *tab) picksDiskThatWaits(until string) {
	p.t.Helper()
	eval[bool](p, `globalThis.showSaveFilePicker = async () => {
		const file = await (await navigator.storage.getDirectory()).getFileHandle("kept", { create: true }), to = await file.createWritable();
		const write = to.write.bind(to);
		to.write = (b) => (`+until+`).then(() => write(b));
		file.createWritable = async () => to;
		return file;
	}, true`)
}

// testPagePieces puts pieces of a file in order, as chat/transfer/arrival_test.go does.
func testPagePieces(t *testing.T, p *tab) {
	if got := eval[string](p, `(() => {
		const all = Uint8Array.from({ length: 5000 }, (_, i) => i * 7), a = new parts.Arrival(all.length, 100), got = [];
		for (let i = 0; i < 70; i++) {
			const at = 100 + 70 * (i * 37 % 70); // each once, in another order
			for (const from of [at, at, at - 30]) a.take(from, all.slice(from, at + 70));
			if (i === 7) a.append(all.slice(100, 150));
			if (i === 8) a.append(all.slice(150, 170));
			a.ready.splice(0).forEach((b) => got.push(...b));
		}
		return a.next + " " + (parts.hex(Uint8Array.from(got)) === parts.hex(all.slice(100)));
	})()`); got != "5000 true" {
		t.Errorf("the pieces are put together as %s", got)
	}
	for name, c := range map[string]struct{ pieces, want string }{ // of 9 MiB, of which 6 have come
		"up to the end":                   {`[[(9 << 20) - 1, 1]]`, "[0]"},
		"beyond the end":                  {`[[(9 << 20) - 1, 2]]`, ""},
		"that have come before":           {`[[0, 9]]`, "[0]"},
		"that have come in part":          {`[[(6 << 20) - 8, 9]]`, "[1]"},
		"at no number":                    {`[[NaN, 1]]`, ""},
		"as many small ones as may be":    {`Array.from({ length: 1024 }, (_, i) => [(6 << 20) + 2 + 2 * i, 1])`, "[0]"},
		"more small ones":                 {`Array.from({ length: 1025 }, (_, i) => [(6 << 20) + 2 + 2 * i, 1])`, ""},
		"small ones that have their turn": {`Array.from({ length: 3000 }, (_, i) => [(6 << 20) + (i ^ 1), 1])`, "[3000]"},
	} {
		got := eval[string](p, `(() => {
			const a = new parts.Arrival(9 << 20, 6 << 20);
			for (const [at, length] of `+c.pieces+`) if (!a.take(at, new Uint8Array(length))) return "";
			return "[" + a.ready.length + "]";
		})()`)
		if got != c.want {
			t.Errorf("of pieces %s it makes %q, want %q", name, got, c.want)
		}
	}
	if eval[bool](p, `new parts.Arrival(9 << 20, 1 << 20).take((5 << 20) + 1, new Uint8Array(1))`) {
		t.Error("it takes a piece that is too far ahead")
	}
	if got := eval[string](p, `(() => {
		const a = new parts.Arrival(9 << 20, 1 << 20), told = [], n = (at) => (1 << 20) + (at << 10);
		const say = (written) => { for (const over of [0, 1]) { const h = a.have(n(written), over); if (h) told.push(written + "/" + over + " " + parts.hex(h)); } };
		const piece = (at, length) => a.take(n(at), new Uint8Array(length << 10));
		a.striped = true;
		say(0); // it has heard that
		piece(0, 16); say(16); piece(16, 15); say(31); piece(31, 1); say(32); // over stripes
		piece(40, 60); say(32); piece(100, 60); say(32); // beyond
		piece(32, 8); say(160); // all at once
		piece(160, 64); say(160); // waits for the disk
		return told.join(", ");
	})()`); got != "32/1 0000000000108000, 32/1 0000000000108000000000000001e000, 160/0 0000000000128000, 160/1 0000000000128000, 160/1 00000000001280000000000000010000" {
		t.Errorf("the sender hears %s", got)
	}
}
