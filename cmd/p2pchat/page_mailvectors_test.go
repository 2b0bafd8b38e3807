package main

import (
	"os"
	"testing"
)

// testPageLetterVectors checks what is in the page's letters against the vectors of chat.
func testPageLetterVectors(t *testing.T, p *tab) {
	vectors, err := os.ReadFile("../../chat/testdata/letters.json")
	if err != nil {
		t.Fatal(err)
	}
	if wrong := eval[[]string](p, `((vectors) => {
		const { draft, parseLetter } = parts.letter, wrong = [], utf8 = (s) => new TextEncoder().encode(s), un = (b) => JSON.parse(new TextDecoder().decode(b));
		const same = (what, got, want) => { if (JSON.stringify(got) !== JSON.stringify(want)) wrong.push(what + " is " + JSON.stringify(got) + ", want " + JSON.stringify(want)); };
		const framesOf = (v) => (v.frames ?? []).map((f) => ({ kind: f.part ? 11 : 2, seq: f.seq, body: utf8(f.text) }));
		for (const v of vectors) {
			const { hello: { conversation, first, heard, of }, messages, through, written } = parseLetter(utf8(JSON.stringify(v)));
			same("the hello", { conversation, first, heard, of }, { conversation: v.conversation, first: v.first, heard: v.heard ?? 0, of: v.of ?? "" });
			same("the messages", messages, (v.frames ?? []).map((f) => ({ seq: f.seq, part: f.part === true, void: f.void === true, text: f.text })));
			same("the last message", through, v.frames?.at(-1).seq ?? v.through);
			same("the time", written.getTime(), Date.parse(v.written));
			const d = draft({ conversation, first, heard, of }, framesOf(v), 0, 1 << 10, true), sent = un(d.text);
			same("a letter", { ...sent, written: "" }, { conversation, first, heard, of, written: "", ...(v.frames ? { frames: v.frames } : { through: first - 1 }) });
			same("what it holds", [d.first, d.through, d.held], [first, v.frames?.at(-1).seq ?? first - 1, false]);
		}
		const place = { conversation: "ann", first: 3, heard: 0, of: "" }, frame = (seq, size) => ({ kind: 2, seq, body: utf8("x".repeat(size)) });
		const got = (frames, after, bare = false) => { const d = draft(place, frames, after, 1 << 10, bare); return [d.text && un(d.text).frames?.length, d.through, d.held]; };
		same("no message", got([], 0), [undefined, 2, false]);
		same("the rest of those that fit", got([frame(3, 100), frame(4, 400), frame(5, 400), frame(6, 100)], 3), [2, 5, false]);
		same("a message that is too long", got([frame(3, 2000)], 0), [undefined, 2, true]);
		same("a message after a file", got([frame(3, 1), { kind: 6, seq: 4, body: utf8("{}") }, frame(5, 1)], 0), [1, 3, true]);
		same("an answer to a file, alone", got([frame(3, 1), { kind: 9, seq: 4, body: utf8("{}") }], 0), [1, 3, false]);
		return wrong;
	})(`+string(vectors)+`)`); len(wrong) > 0 {
		t.Errorf("%q", wrong)
	}
}

// testPageMailVectors checks the page's mailboxes against the vectors of peer/mail.
func testPageMailVectors(t *testing.T, p *tab) {
	vectors, err := os.ReadFile("../../peer/mail/testdata/mail.json")
	if err != nil {
		t.Fatal(err)
	}
	if wrong := eval[[]string](p, `(async (v) => {
		const { address, seal, open } = parts.mail, wrong = [];
		const bytes = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
		const same = (what, got, want) => { if (got !== want) wrong.push(what + " is " + got + ", want " + want); };
		const first = { put: bytes(v.Box.put), take: bytes(v.Box.take), chain: bytes(v.Box.chain), number: v.Box.number };
		const { name, putter, taker } = address(first);
		same("the box", [name, putter, taker].join(), [v.Name, v.Putter, v.Taker].join());
		let box = first;
		const blocks = [];
		for (const b of v.Blocks) {
			const { after, block } = seal(box, new Uint8Array(b.Length).fill(97));
			same("a block of " + b.Length, [block.number, block.bytes.length, parts.hex(parts.sha256(block.bytes))].join(), [b.Number, b.Size, b.SHA256].join());
			box = after;
			blocks.push(block);
		}
		const all = open(first, [...blocks].reverse());
		same("what opens", all.letters.map((l) => l.length + ":" + l.every((c) => c === 97)).join(), v.Blocks.map((b) => b.Length + ":true").join());
		same("the box after it", JSON.stringify(all.after), JSON.stringify(box));
		for (const [what, list, letters, report] of [
			["a gap", [blocks[0], blocks[3]], 2, { missing: 2, repeated: 0, invented: 0 }],
			["a repetition", [blocks[0], blocks[0]], 1, { missing: 0, repeated: 1, invented: 0 }],
			["another number", [{ ...blocks[0], number: 2 }], 0, { missing: 0, repeated: 0, invented: 1 }],
			["a number far ahead", [{ ...blocks[0], number: 4098 + 1 }, blocks[0]], 1, { missing: 0, repeated: 0, invented: 1 }],
			["noise before the letter", [{ number: 1, bytes: new Uint8Array(512) }, blocks[0]], 1, { missing: 0, repeated: 0, invented: 1 }],
		]) {
			const got = open(first, list);
			same(what, got.letters.length + JSON.stringify(got.report), letters + JSON.stringify(report));
		}
		same("the letter after the last gap", open(first, [blocks[0], blocks[2], blocks[3]]).since, 1);
		let changed = 0;
		for (let at = 0; at < 512; at++) {
			const b = blocks[0].bytes.slice();
			b[at] ^= 1;
			if (open(first, [{ number: 1, bytes: b }]).letters.length > 0) changed++;
		}
		same("the changed blocks that open", changed, 0);
		return wrong;
	})(`+string(vectors)+`)`); len(wrong) > 0 {
		t.Errorf("%q", wrong)
	}
}
