// What makes the two sides trust each other; docs/security.md has each label and encoding.
//
//   offer       "p2pchat": {v, sid, share, commit}
//   answer      "p2pchat": {v, share, nonce, confirm, candidates}
//   candidates  {"sealed"}: of the caller's the first one reveals its nonce

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { expand, hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { base32, base64, concat, equal, fromBase64, lv, random, readUint64, text, uint64, utf8 } from "./bytes.ts";
import { words, type Code } from "./code.ts";
import { Failure } from "./failure.ts";
import { InvalidShare, Party, type Key } from "./pake.ts";
import { other, type Side } from "./store.ts";

const version = 1;
const sidSize = 16, nonceSize = 16, padding = 128; // bytes

/** What is read and written of a description. */
export interface Document {
  type: string;
  sdp: string;
  p2pchat?: Dialect; // none: of a plain WebRTC program
}

/** One side's part of the handshake. Bytes are in base64. */
export interface Dialect {
  v: number;
  sid?: string;
  share: string;
  commit?: string;
  nonce?: string;
  confirm?: string;
  candidates?: unknown[];
}

/** What is sealed: a candidate, the end of them (an empty one), or the caller's nonce. */
export type Note = RTCIceCandidateInit & { nonce?: string };

/** All of a document that the other side must have seen just so. */
function bound(d: Document): Uint8Array {
  const bytes = (b?: string) => fromBase64(b) ?? new Uint8Array();
  return lv(Uint8Array.of(version), utf8(d.type), utf8(d.sdp), bytes(d.p2pchat!.commit), bytes(d.p2pchat!.nonce));
}

function begin(role: "initiator" | "responder", code: Code, sid: Uint8Array): Party {
  return new Party(role, utf8(code.secret), lv(utf8("p2pchat/1"), utf8(code.room)), sid);
}

function finish(party: Party, mine: Document, theirs: Document): Key {
  const d = theirs.p2pchat!;
  if (d.v !== version) {
    throw new Failure("garbled", `The other side speaks version ${Number(d.v)} of the handshake, and this page knows version ${version}.`);
  }
  try {
    return party.finish(bound(mine), fromBase64(d.share) ?? new Uint8Array(), bound(theirs));
  } catch (e) {
    if (e instanceof InvalidShare) throw new Failure("garbled", "The other side's part of the key exchange makes no sense.");
    throw e;
  }
}

/** The caller's half of a handshake, before there is an answer. */
export class Proposal {
  readonly document: Document;
  readonly nonce = random(nonceSize);
  readonly #sid = random(sidSize);
  readonly #party: Party;

  constructor(readonly code: Code, sdp: string) {
    this.#party = begin("initiator", code, this.#sid);
    this.document = {
      type: "offer", sdp,
      p2pchat: { v: version, sid: base64(this.#sid), share: base64(this.#party.share), commit: base64(sha256(this.nonce)) },
    };
  }

  /** Takes the answer, once. Nothing of it may be used when this throws. */
  settle(answer: Document): Trust {
    const key = finish(this.#party, this.document, answer);
    if (!key.confirms(fromBase64(answer.p2pchat!.confirm) ?? new Uint8Array())) {
      throw new Failure("unproven", "A person answered who does not know the code.");
    }
    return new Trust(this.code, "offer", this.#sid, key, this.nonce, fromBase64(answer.p2pchat!.nonce) ?? new Uint8Array());
  }
}

/** Makes the callee's answer to an offer. That the caller knows the code shows later. */
export function respond(code: Code, offer: Document, sdp: string): [Trust, Document] {
  const sid = fromBase64(offer.p2pchat!.sid) ?? new Uint8Array();
  const party = begin("responder", code, sid);
  const nonce = random(nonceSize);
  const reply: Document = { type: "answer", sdp, p2pchat: { v: version, share: base64(party.share), nonce: base64(nonce) } };
  const key = finish(party, reply, offer);
  reply.p2pchat!.confirm = base64(key.tag);
  return [new Trust(code, "answer", sid, key, undefined, nonce, fromBase64(offer.p2pchat!.commit)), reply];
}

/** Why a sealed note was not taken. */
export type Refusal = "sealed" | "repeated" | "nonsense";

/** What the two sides have in common: it seals this side's notes, and opens those of the other side. */
export class Trust {
  #sealed = 0;
  readonly #opened = new Set<number>();
  readonly #sealing: Uint8Array;
  readonly #opening: Uint8Array;

  constructor(
    readonly code: Code, readonly side: Side, readonly sid: Uint8Array, readonly key: Key,
    private callers: Uint8Array | undefined, private readonly callees: Uint8Array, private readonly commit?: Uint8Array,
  ) {
    this.#sealing = this.#derive(`${side} candidates`, 32);
    this.#opening = this.#derive(`${other(side)} candidates`, 32);
  }

  #derive(purpose: string, size: number, salt?: Uint8Array): Uint8Array {
    return hkdf(sha256, this.key.secret, salt, utf8(`p2pchat/1 ${purpose}`), size);
  }

  #cipher(key: Uint8Array, side: Side, n: number) {
    return chacha20poly1305(key, concat(new Uint8Array(4), uint64(n)), lv(utf8(this.code.room), utf8(side), this.sid));
  }

  /** Makes of a note the candidate that goes to the server, as JSON. */
  seal(n: Note): string {
    let body = utf8(JSON.stringify(n));
    const over = body.length % padding;
    if (over > 0) body = concat(body, new Uint8Array(padding - over).fill(0x20));
    const count = this.#sealed++;
    const sealed = concat(uint64(count), this.#cipher(this.#sealing, this.side, count).encrypt(body));
    return JSON.stringify({ sealed: base64(sealed) });
  }

  /** The inverse of seal at the other side; each note opens once. */
  open(candidate: unknown): Note | Refusal {
    const b = fromBase64((candidate as { sealed?: unknown } | null)?.sealed);
    if (!b) return "sealed";
    const n = readUint64(b);
    let body: Uint8Array;
    try {
      body = this.#cipher(this.#opening, other(this.side), n).decrypt(b.subarray(8));
    } catch {
      return "sealed";
    }
    if (this.#opened.has(n)) return "repeated";
    this.#opened.add(n); // as many at most as an attempt reads
    try {
      const note = JSON.parse(text(body)) as Note | null;
      if (typeof note !== "object" || note === null) return "nonsense";
      if (note.nonce !== undefined && !this.#reveal(fromBase64(note.nonce))) return "nonsense";
      return note;
    } catch {
      return "nonsense";
    }
  }

  /** Takes the caller's nonce, which has to be the one that the offer promised. */
  #reveal(nonce: Uint8Array | undefined): boolean {
    if (this.side !== "answer" || !nonce || !this.commit || !equal(sha256(nonce), this.commit)) return false;
    this.callers = nonce;
    return true;
  }

  /** Whether the other side has shown that it has the same key. */
  get proven(): boolean {
    return this.callers !== undefined;
  }

  /** The same four on both sides, unless someone is in the middle. */
  safetyWords(): string[] {
    const b = this.#derive("safety words", 32, lv(this.callers!, this.callees));
    const view = new DataView(b.buffer, b.byteOffset);
    return [0, 8, 16, 24].map((at) => words[Number(view.getBigUint64(at) % BigInt(words.length))]!);
  }

  /** The room and secret where only these two can meet again: it follows from the secret with which they met, and this meeting's key. */
  next(): Code {
    const key = this.#derive("session", 32, utf8(this.code.secret));
    const part = (name: string) => base32(expand(sha256, key, utf8(name), 16));
    return { room: part("room"), secret: part("secret") };
  }
}
