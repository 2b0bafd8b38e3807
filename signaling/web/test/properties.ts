// Properties of every parser of the page that reads a stranger's bytes: each throws at most the page's own error, returns no more than
// its input pays for, and reads back what the page writes. A run is repeated by its seed.

import fc from "fast-check";
import { base32, base64, fromBase64, hex, readUint64, uint64, utf8 } from "../src/bytes.ts";
import { candidateText, CandidateLimit, maxCandidates, tolerated } from "../src/candidates.ts";
import { Carrier } from "../src/carrier.ts";
import { CodeError, make, parse as parseCode, print } from "../src/code.ts";
import type { Box } from "../src/contact.ts";
import { Conversation } from "../src/conversation.ts";
import { readDescription } from "../src/descriptions.ts";
import type { Reader } from "../src/event.ts";
import { Failure } from "../src/failure.ts";
import { decode, encode, json, kind, parse, parseHello, type Frame, type FrameKind, type Hello } from "../src/frame.ts";
import { Proposal, respond, type SealedNote } from "../src/handshake.ts";
import { choose } from "../src/iceservers.ts";
import { invitation } from "../src/invitation.ts";
import type { Keeper } from "../src/keep.ts";
import { parseLetter } from "../src/letter.ts";
import { linked } from "../src/links.ts";
import * as mail from "../src/mail.ts";
import { properFile, properName, properReason, visible } from "../src/name.ts";
import { InvalidShare, Party } from "../src/pake.ts";
import { picture } from "../src/picture.ts";
import { reasons } from "../src/path.ts";
import type { Channel, Pipe } from "../src/pipe.ts";
import { newTicket, Store } from "../src/store.ts";
import { Files, type FileView } from "../src/transfer.ts";

// What strangers send.

const units = fc.integer({ min: 0, max: 0xffff }).map((c) => String.fromCharCode(c)); // lone surrogates, too
const anyText = fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" }), fc.string({ unit: units }));
const bytes = (maxLength = 300) => fc.uint8Array({ maxLength });
const nasty = fc.constantFrom<unknown>(
  null, true, 0, -0, -1, 0.5, 1e308, 2 ** 53, Number.MAX_SAFE_INTEGER, "", "__proto__", "\0", "NaN", [], {}, [null], [[]],
  { toString: 1, valueOf: 1 }, { toString: null }, { length: 1e9 }, { then: 1 }, { toJSON: 1 }, { constructor: 1 },
);
const value: fc.Arbitrary<unknown> = fc.oneof(nasty, nasty, fc.jsonValue({ maxDepth: 3 }), anyText, bytes(40).map(base64), bytes(600).map(base64));
const deep = fc.integer({ min: 1, max: 100_000 }).map((n) => "[".repeat(n));

/** A genuine document, with some members, at any depth, of other values. */
const spoiled = (genuine: () => unknown): fc.Arbitrary<unknown> =>
  fc.array(fc.tuple(fc.nat(), value), { maxLength: 3 }).map((changes) => {
    const root = { all: structuredClone(genuine()) };
    for (const [where, to] of changes) {
      const places: [object, string][] = [];
      const walk = (o: object) => Object.entries(o).forEach(([k, v]) => {
        places.push([o, k]);
        if (typeof v === "object" && v !== null) walk(v);
      });
      walk(root);
      const [o, k] = places[where % places.length]!;
      (o as Record<string, unknown>)[k] = structuredClone(to);
    }
    return root.all;
  });

/** A text of JSON, or nearly. */
const spoiledText = (genuine: () => unknown): fc.Arbitrary<string> =>
  fc.oneof({ weight: 8, arbitrary: spoiled(genuine).map((v) => JSON.stringify(v) ?? "") }, { weight: 1, arbitrary: anyText }, { weight: 1, arbitrary: deep });

const equalBytes = (a: Uint8Array, b: Uint8Array) => hex(a) === hex(b);

function check(holds: boolean, what: string) {
  if (!holds) throw new Error(what);
}

/** Runs a step that may throw errors of these classes alone. */
function may<T>(step: () => T, ...errors: (abstract new (...args: never[]) => Error)[]): T | undefined {
  try {
    return step();
  } catch (e) {
    if (errors.some((c) => e instanceof c)) return undefined;
    throw e;
  }
}

// Genuine inputs, to spoil.

const sdp = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 00:11\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n";
const code = { room: "417", secret: "falcon-zebra" };
const proposal = new Proposal(code, sdp);
const [calleeKeys, answer] = respond(code, proposal.document, sdp);
const callerKeys = proposal.verify(answer);
const note = { candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host", sdpMid: "0", sdpMLineIndex: 0 };
const hello: Hello = { conversation: "c", name: "Ann", first: 1, heard: 2, of: "d", contacts: true, holds: "k", waited: [{ through: 3, at: 4 }] };
const letter = { conversation: "c", first: 1, of: "d", heard: 1, written: "2026-01-01T00:00:00Z", frames: [{ seq: 1, text: "one" }, { seq: 2, part: true, text: "two" }] };
const box: Box = { put: new Uint8Array(16), take: new Uint8Array(16).fill(1), chain: new Uint8Array(32), number: 0 };
const offered = { name: "plan.pdf", size: 3, mode: 420, folder: false, files: 0 };

const kinds = Object.values(kind).filter((k) => k !== kind.hello);
const seqs = fc.oneof(fc.nat(8), fc.maxSafeNat());
const frames: fc.Arbitrary<Frame> = fc.record({ kind: fc.constantFrom<FrameKind>(...kinds), seq: seqs, body: bytes(600) });

/** What a stranger sends after the hello: anything, or the frame with the next number, with a body that is nearly right. */
const said: fc.Arbitrary<Uint8Array | Omit<Frame, "seq">> = fc.oneof(
  { weight: 1, arbitrary: bytes(40) },
  { weight: 1, arbitrary: frames.map(encode) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom<FrameKind>(...kinds), body: spoiledText(() => ({ ...offered, id: 1, of: "c", reason: "x", as: "y", nonce: base64(new Uint8Array(16)), key: "" })).map(utf8) }) },
);

/** Something that takes every call, and is no promise. */
const silent = <T>(more: Partial<T> = {}): T => new Proxy({}, { get: (_, k) => (k in more ? more[k as keyof T] : k === "then" ? undefined : () => undefined) }) as T;

const properties: Record<string, fc.IRawProperty<never, boolean>> = {};
const property = <T extends [unknown, ...unknown[]]>(name: string, ...rest: [...arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> }, predicate: (...args: T) => void | Promise<void>]) => {
  const predicate = rest.pop() as (...args: T) => void | Promise<void>;
  properties[name] = fc.asyncProperty(...(rest as unknown as [fc.Arbitrary<unknown>]), async (...args) => { await predicate(...(args as unknown as T)); }) as never;
};

property("encodings are read back, and read anything", bytes(), anyText, fc.maxSafeNat(), (b, t, n) => {
  check(equalBytes(fromBase64(base64(b))!, b), "base64 does not come back");
  check(base32(b).length === Math.ceil((b.length * 8) / 5), "base32 has another length");
  check(readUint64(uint64(n)) === n, "a number does not come back");
  check((fromBase64(t)?.length ?? 0) <= t.length && Number.isNaN(readUint64(b, b.length)), "bytes come out of nothing");
});
property("a frame is the bytes that it was read from", fc.oneof(bytes(), frames.map(encode), fc.tuple(fc.nat(20), fc.integer({ min: 0, max: 70_000 })).map(([k, n]) => new Uint8Array(n + 1).fill(k, 0, 1))), (b) => {
  const f = decode(b);
  if (f) check(equalBytes(encode(f), b) && f.body.buffer === b.buffer, "a frame is encoded as other bytes, or copied");
});
property("a frame is read back", frames, (f) => {
  const back = decode(encode(f));
  check(back !== undefined && back.kind === f.kind && back.seq === f.seq && equalBytes(back.body, f.body), "a frame does not come back");
});
property("a hello has its types, whatever is sent", spoiledText(() => hello), (t) => {
  const h = parseHello(utf8(t));
  if (!h) return;
  check([h.conversation, h.name, h.of, h.holds].every((s) => typeof s === "string") && [h.first, h.heard].every((n) => Number.isSafeInteger(n) && n >= 0), "a hello has a member of another type");
  check(JSON.stringify(parseHello(json(h))) === JSON.stringify(h), "a hello does not come back");
});
property("JSON that is no object is none", fc.oneof(bytes(), spoiledText(() => letter).map(utf8)), (b) => {
  const o = parse(b);
  check(o === undefined || (typeof o === "object" && !Array.isArray(o)), "it is no object");
});
property("a code is refused with a sentence, or is read back as it is printed", fc.oneof(anyText, fc.array(fc.constantFrom("417", "falcon", "zebra", "-", "–", " ", ".", "“", "”", "code:", "İ", "ﬁ", "\u200b", "é"), { maxLength: 9 }).map((p) => p.join(""))), (t) => {
  const c = may(() => parseCode(t), CodeError);
  if (!c) return;
  check(/^[A-Za-z0-9._~]{1,64}$/.test(c.room) && utf8(c.secret).length <= 256, "a code is longer than a code may be");
});
property("a code that the page makes is read back", fc.integer({ min: 3, max: 9 }), (digits) => {
  const c = make(digits);
  check(print(parseCode(print(c))) === print(c), "a code does not come back");
});
property("what is pasted is split without an error", fc.oneof(anyText, fc.tuple(fc.constantFrom("https://", "p2pchat answer ", "p2pchat call --server ", "http://x/#"), anyText).map(([a, b]) => a + b)), (t) => {
  const { code, server } = invitation(t);
  check(code.length <= Math.max(t.length, "lobby".length) && server.length <= 9 * t.length + 9, "more comes out than was pasted");
});
property("a description is a failure of the kind garbled, or one with a fingerprint", spoiledText(() => proposal.document), (t) => {
  try {
    const d = readDescription(t);
    check(typeof d.document.sdp === "string" && (d.foreign || !d.document.sdp.includes("a=candidate")), "a description has candidates that are not sealed");
  } catch (e) {
    if (!(e instanceof Failure) || e.kind !== "garbled") throw e;
  }
});
property("an offer gets an answer or a failure", spoiled(() => proposal.document), (v) => {
  const d = may(() => readDescription(JSON.stringify(v)), Failure);
  if (!d || d.foreign) return;
  const made = may(() => respond(code, d.document, sdp), Failure);
  check(!made?.[0].proven, "the answer takes the caller's proof for given");
});
property("an answer proves the code or is a failure", spoiled(() => answer), (v) => {
  const d = may(() => readDescription(JSON.stringify(v)), Failure);
  if (!d || d.foreign) return;
  const again = new Proposal(code, sdp); // the answer is another proposal's
  check(may(() => again.verify(d.document), Failure) === undefined, "it is accepted without the code");
});
property("a note opens once, and nothing else opens", spoiled(() => ({ candidate: "c", sdpMid: "0" })), value, fc.nat(), (v, other, at) => {
  const n = JSON.parse(JSON.stringify(v)) as SealedNote | null;
  const sealed = JSON.parse(callerKeys.seal(n!)) as { sealed: string };
  const b = fromBase64(sealed.sealed)!, flipped = Uint8Array.from(b, (x, i) => (i === at % b.length ? x ^ 1 : x));
  check(calleeKeys.open({ sealed: base64(flipped) }) === undefined, "a note opens that was changed");
  check(calleeKeys.open(other) === undefined && calleeKeys.open({ sealed: other }) === undefined, "it opens without a seal");
  const back = calleeKeys.open(sealed);
  check(back === undefined || JSON.stringify(back) === JSON.stringify(n), "a note comes back as another");
  check(typeof n !== "object" || n === null || n.nonce !== undefined || back !== undefined, "a note does not open");
  check(calleeKeys.open(sealed) === undefined, "a note opens twice");
});
property("a candidate of a stranger is a text, and counts", fc.array(fc.oneof(value, spoiled(() => note)), { maxLength: 300 }), fc.boolean(), (list, secret) => {
  const limit = new CandidateLimit(secret);
  let accepted = 0;
  for (const c of list) {
    const text = candidateText(c);
    check(text === undefined || text !== "", "an empty candidate is one");
    if (text === undefined || !limit.accepts(text)) continue;
    accepted++;
    check(typeof tolerated(c as SealedNote).candidate === "string", "a candidate is no text");
  }
  check(new Set(list.map(candidateText)).size <= maxCandidates || accepted <= list.length, "more candidates than there were");
});
property("the candidates in a plain SDP are bounded", fc.array(fc.oneof(anyText, fc.nat(400).map((n) => `a=candidate:${n}`)), { maxLength: 400 }), (lines) => {
  const left = new CandidateLimit(false).bounded(lines.join("\r\n")).split("\r\n").filter((l) => l.startsWith("a=candidate:"));
  check(new Set(left.map((l) => l.trim())).size <= 21, "a plain SDP has too many candidates"); // and the empty one
});
property("ICE servers are four at most, with eight URLs", fc.array(fc.oneof(value, spoiled(() => ({ urls: ["stun:x:1", "turn:x:2?transport=udp"], username: "u", credential: "c" }))), { maxLength: 20 }), fc.boolean(), (list, anywhere) => {
  const { used } = choose(list as RTCIceServer[], "x", anywhere);
  check(used.length <= 4 && used.flatMap((s) => s.urls).length <= 8, "too many servers are used");
});
property("blocks of a server are sound, or refused", fc.oneof(value, fc.array(spoiled(() => ({ number: 1, block: base64(new Uint8Array(512)) })), { maxLength: 5 })), (list) => {
  const blocks = mail.parseBlocks(list);
  for (const b of blocks ?? []) check(Number.isSafeInteger(b.number) && b.number >= 1 && mail.blockSizes.some((s) => s === b.bytes.length), "a block makes no sense");
  const { after, letters, report } = mail.open(box, blocks ?? []);
  check(after.number === 0 && letters.length === 0 && report.repeated + report.invented === (blocks?.length ?? 0), "a block opens that no one sealed");
});
property("sealed letters are read back in order, whatever the server adds", fc.array(bytes(1500), { maxLength: 4 }), fc.array(fc.tuple(fc.nat(), fc.maxSafeNat(), fc.nat())), (texts, changes) => {
  let b = box;
  const sealed = texts.map((t) => {
    const made = mail.seal(b, t);
    b = made.after;
    return made.block;
  });
  const lies = [...sealed, ...changes.slice(0, 20).map(([i, number, at]) => {
    const from = sealed[i % Math.max(1, sealed.length)]?.bytes ?? new Uint8Array(512);
    return { number: 1 + (number % 2 ** 20), bytes: Uint8Array.from(from, (x, j) => (j === at % from.length ? x ^ 1 : x)) };
  })].reverse();
  check(mail.open(box, lies).letters.map(hex).join() === texts.map(hex).join(), "letters do not come back");
});
property("a letter has its types, whatever was sealed", fc.oneof(bytes(), spoiledText(() => letter).map(utf8)), (b) => {
  const l = parseLetter(b);
  for (const m of l?.messages ?? []) check(Number.isSafeInteger(m.seq) && typeof m.text === "string" && typeof m.part === "boolean", "a letter has a message of another type");
  check(!l?.written || !Number.isNaN(l.written.getTime()), "a letter was written at no time");
});
property("a share is refused with InvalidShare", bytes(40), bytes(), (share, data) => {
  may(() => new Party("initiator", utf8("x"), utf8("y"), utf8("z")).finish(data, share, data), InvalidShare);
});
property("names and reasons are short and visible", fc.oneof(anyText, anyText.map((t) => t.repeat(50))), value, (t, v) => {
  check(Array.from(properName(t)).length <= 64 && Array.from(properReason(v)).length <= 200, "a name is too long");
  for (const n of [properFile(t), properFile(v)]) check(n !== "" && Array.from(n).length <= 120 && !/[/\\\0-\x1f]/.test(n), "a file has a name that is none");
  check(!/[\0-\x08\x1b\u202e]/.test(visible(t)), "a control character is shown");
});
property("links read the same as the text", fc.oneof(anyText, fc.array(fc.constantFrom("http://", "https://x.org/", "(", ")", ".", " ", "é", "user@", "[::1]", "%"), { maxLength: 30 }).map((p) => p.join(""))), (t) => {
  const shown = linked(t);
  check(shown.map((p) => (typeof p === "string" ? p : p.textContent)).join("") === t, "a link changes the text");
  for (const p of shown) if (typeof p !== "string") check(/^https?:$/.test((p as HTMLAnchorElement).protocol), "a link leads elsewhere");
});
property("a picture is told by its bytes", fc.oneof(bytes(60), fc.tuple(fc.constantFrom([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10], [0xff, 0xd8, 0xff], [0x47, 0x49, 0x46, 0x38, 0x39, 0x61], [0x52, 0x49, 0x46, 0x46]), bytes(80)).map(([head, rest]) => Uint8Array.of(...head, ...rest))), async (b) => {
  await picture(new Blob([b as BlobPart]));
});
property("a conversation goes on, whatever the other side sends", spoiledText(() => hello), fc.array(said, { maxLength: 30 }), async (first, rest) => {
  let hear: ((m: Uint8Array) => void) | undefined;
  const over = new AbortController();
  const files: { it?: Files } = {};
  const reader = silent<Reader>({ file: (k, seq, body, from) => { files.it!.handleFrame(k, seq, body, from); } });
  const c = new Conversation("Ben", reader, silent<Keeper>({ able: true, store: async () => ({ name: "Ann", id: "i" }), shown: async () => true }));
  files.it = new Files(c, () => silent<FileView>());
  const pipe = silent<Pipe>({ met: { foreign: false, announced: true, contactKey: base64(new Uint8Array(32)) } as Pipe["met"], ended: new Promise<Failure>(() => {}), next: Promise.resolve(undefined), send: () => true, listen: ((f: (m: Uint8Array) => void) => { hear = f; }) as Pipe["listen"], watch: async () => {} });
  const ran = c.run(async () => pipe, over.signal).catch((e: unknown) => { if (!over.signal.aborted) throw e; });
  for (let i = 0; i < 100 && !hear; i++) await Promise.resolve();
  check(hear !== undefined, "no one listens");
  hear!(Uint8Array.of(kind.hello, ...utf8(first.slice(0, 1000))));
  hear!(encode({ kind: kind.hello, seq: 0, body: json(hello) }));
  for (const m of rest) hear!(m instanceof Uint8Array ? Uint8Array.from(m) : encode({ ...m, seq: c.heard.through + 1 }));
  const before = c.dropped;
  hear!(Uint8Array.of(99));
  check(c.dropped === before + 1, "the conversation hears no more");
  over.abort();
  await ran;
});
property("what comes over the channel of a move is documents, or ends it", fc.array(fc.oneof(bytes(), spoiledText(() => ({ description: proposal.document, reason: "relay", candidates: [{ sealed: "" }], stands: true })).map(utf8)), { maxLength: 20 }), async (all) => {
  let hear: ((m: Uint8Array) => void) | undefined, closed = false;
  const channel = silent<Channel>({ ended: new Promise<Failure>(() => {}), opened: Promise.resolve(), close: () => { closed = true; }, listen: (f: (m: Uint8Array) => void) => { hear = f; } });
  const k = new Carrier(channel, ""), t = newTicket("417", "offer"), now = AbortSignal.abort();
  for (const m of all) {
    hear!(m);
    if (closed) break; // as no more comes then
  }
  check(k.theirs === "" || reasons.includes(k.theirs), "a reason is none");
  check((await k.candidates(t, "answer", 0, 0, now).catch(() => [])).length <= maxCandidates, "there are too many candidates");
  const body = await k.description(t, "answer", "", 0, now).then((d) => d.body, () => undefined);
  check(body === undefined || JSON.stringify(JSON.parse(body)) === body, "a description is not JSON");
});
property("a server's reply is read or is a failure", fc.oneof(anyText, spoiledText(() => ({ iceServers: [{ urls: "stun:x" }] })), spoiledText(() => [{ number: 1, block: "" }]), spoiledText(() => ({ type: "urn:p2pchat:no-room", detail: "x" }))),
  fc.constantFrom(200, 201, 304, 400, 401, 403, 404, 409, 410, 412), fc.string({ unit: fc.constantFrom("a", "1", '"', "W", "/", "-", ".") }), async (body, status, header) => {
    const real = globalThis.fetch, t = newTicket("417", "offer"), store = new Store("http://x"), never = new AbortController().signal;
    globalThis.fetch = async () => new Response(status === 304 ? null : body, { status, headers: { ETag: header, "P2PChat-Room-Digits": header, "Retry-After": header } });
    try {
      for (const ask of [
        () => store.description(t, "answer", "", 0, never), () => store.candidates(t, "answer", 0, 0, never), () => store.iceServers(undefined, never),
        () => store.blocks({ name: "n", putter: "p", taker: "t" }, 0, 0, never), () => store.offer(t, "{}", never), () => store.close(t),
      ]) await (ask as () => Promise<unknown>)().catch((e: unknown) => { if (!(e instanceof Failure)) throw e; });
    } finally {
      globalThis.fetch = real;
    }
  });

/** The names of all properties. */
export const names = Object.keys(properties);

/** Tries a property with that number of inputs; "" if it holds for all. */
export async function holds(name: string, numRuns: number, seed: number): Promise<string> {
  const r = await fc.check<unknown>(properties[name]! as never, { numRuns, seed, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true });
  return r.failed ? `seed ${r.seed}, path ${r.counterexamplePath ?? ""}: ${String(r.errorInstance ?? "it takes too long")}, with ${fc.stringify(r.counterexample).slice(0, 1000)}` : "";
}
