// The handshake, by which the two sides prove to each other that they know the code. docs/security.md has each label and encoding.
//
//   offer       "p2pchat": {v, sid, share, kem, commit}
//   answer      "p2pchat": {v, share, kem, nonce, confirm, candidates}
//   candidates  {"sealed"}: the caller's first one reveals its nonce

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { expand, hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { base32, base64, concat, equal, fromBase64, lv, random, readUint64, text, uint64, utf8 } from "./bytes.ts";
import { words, type Code } from "./code.ts";
import { Failure } from "./failure.ts";
import { InvalidShare, Party, type Key } from "./pake.ts";
import { other, type Side } from "./store.ts";

const version = 2;
const sidSize = 16, nonceSize = 16, padding = 128; // bytes

/** A description as JSON. */
export interface Document {
  type: string;
  sdp: string;
  p2pchat?: Dialect; // a plain WebRTC program has none
}

/** One side's part of the handshake. Bytes are in base64. */
export interface Dialect {
  v: number;
  sid?: string;
  share: string;
  kem: string; // of ML-KEM-768: in the offer the encapsulation key, in the answer the ciphertext
  commit?: string;
  nonce?: string;
  confirm?: string;
  candidates?: unknown[];
  unread?: boolean; // in an offer: its caller's program was started again, and has read no answer to the one before
  moves?: boolean; // this side can move the connection, see mover.ts
  renews?: boolean; // and renew it
}

/** A note that is sealed: a candidate, the end of the candidates (an empty one), or the caller's nonce. */
export type SealedNote = RTCIceCandidateInit & { nonce?: string };

/** Encodes the part of a document that both sides must have seen alike. */
function bound(d: Document): Uint8Array {
  const bytes = (b?: string) => fromBase64(b) ?? new Uint8Array();
  return lv(Uint8Array.of(version), utf8(d.type), utf8(d.sdp), bytes(d.p2pchat!.kem), bytes(d.p2pchat!.commit), bytes(d.p2pchat!.nonce));
}

function begin(role: "initiator" | "responder", code: Code, sid: Uint8Array): Party {
  return new Party(role, utf8(code.secret), lv(utf8("p2pchat/2"), utf8(code.room)), sid);
}

function checkVersion(d: Dialect) {
  if (d.v !== version) {
    throw new Failure("garbled", `The other side speaks ${typeof d.v === "number" ? `version ${d.v}` : "another version"} of the handshake, and this page knows version ${version}.`);
  }
}

function finish(party: Party, mine: Document, theirs: Document): Key {
  const d = theirs.p2pchat!;
  try {
    return party.finish(bound(mine), fromBase64(d.share) ?? new Uint8Array(), bound(theirs));
  } catch (e) {
    if (e instanceof InvalidShare) throw new Failure("garbled", "The other side's part of the key exchange makes no sense.");
    throw e;
  }
}

/** Runs a step of ML-KEM, which throws if the other side's bytes are no key or no ciphertext. */
function ofKEM<T>(step: () => T): T {
  try {
    return step();
  } catch {
    throw new Failure("garbled", "The other side's part of the key exchange makes no sense.");
  }
}

/** The caller's half of a handshake, before there is an answer. */
export class Proposal {
  readonly document: Document;
  readonly nonce = random(nonceSize);
  readonly #sid = random(sidSize);
  readonly #party: Party;
  readonly #kem = ml_kem768.keygen();

  constructor(readonly code: Code, sdp: string) {
    this.#party = begin("initiator", code, this.#sid);
    this.document = {
      type: "offer", sdp,
      p2pchat: { v: version, sid: base64(this.#sid), share: base64(this.#party.share), kem: base64(this.#kem.publicKey), commit: base64(sha256(this.nonce)) },
    };
  }

  /** Checks the answer, once. If it throws, the caller must use nothing of the answer. */
  verify(answer: Document): SessionKeys {
    checkVersion(answer.p2pchat!);
    const key = finish(this.#party, this.document, answer);
    if (!key.confirms(fromBase64(answer.p2pchat!.confirm) ?? new Uint8Array())) {
      throw new Failure("unproven", "A person answered who does not know the code.");
    }
    const shared = ofKEM(() => ml_kem768.decapsulate(fromBase64(answer.p2pchat!.kem) ?? new Uint8Array(), this.#kem.secretKey));
    return new SessionKeys(this.code, "offer", this.#sid, concat(key.secret, shared), this.nonce, fromBase64(answer.p2pchat!.nonce) ?? new Uint8Array());
  }
}

/** Makes the callee's answer to an offer. The caller's first note will prove that it knows the code. */
export function respond(code: Code, offer: Document, sdp: string): [SessionKeys, Document] {
  checkVersion(offer.p2pchat!);
  const sid = fromBase64(offer.p2pchat!.sid) ?? new Uint8Array();
  const party = begin("responder", code, sid);
  const nonce = random(nonceSize);
  const { cipherText, sharedSecret } = ofKEM(() => ml_kem768.encapsulate(fromBase64(offer.p2pchat!.kem) ?? new Uint8Array()));
  const reply: Document = { type: "answer", sdp, p2pchat: { v: version, share: base64(party.share), kem: base64(cipherText), nonce: base64(nonce) } };
  const key = finish(party, reply, offer);
  reply.p2pchat!.confirm = base64(key.tag);
  return [new SessionKeys(code, "answer", sid, concat(key.secret, sharedSecret), undefined, nonce, fromBase64(offer.p2pchat!.commit)), reply];
}

/**
 * The keys that the two sides derive from the secret of the handshake: that of the PAKE and that of ML-KEM, one behind the other. They seal
 * this side's notes and open the other side's.
 */
export class SessionKeys {
  #callerNonce: Uint8Array | undefined;
  readonly #calleeNonce: Uint8Array;
  readonly #commit: Uint8Array | undefined;
  #sealed = 0;
  readonly #opened = new Set<number>();
  readonly #sealing: Uint8Array;
  readonly #opening: Uint8Array;

  constructor(
    readonly code: Code, readonly side: Side, readonly sid: Uint8Array, readonly secret: Uint8Array, callerNonce: Uint8Array | undefined, calleeNonce: Uint8Array, commit?: Uint8Array,
  ) {
    this.#callerNonce = callerNonce;
    this.#calleeNonce = calleeNonce;
    this.#commit = commit;
    this.#sealing = this.#derive(`${side} candidates`, 32);
    this.#opening = this.#derive(`${other(side)} candidates`, 32);
  }

  #derive(purpose: string, size: number, salt?: Uint8Array): Uint8Array {
    return hkdf(sha256, this.secret, salt, utf8(`p2pchat/2 ${purpose}`), size);
  }

  #cipher(key: Uint8Array, side: Side, n: number) {
    return chacha20poly1305(key, concat(new Uint8Array(4), uint64(n)), lv(utf8(this.code.room), utf8(side), this.sid));
  }

  /** Encrypts a note as a candidate for the server, in JSON. */
  seal(n: SealedNote): string {
    let body = utf8(JSON.stringify(n));
    const over = body.length % padding;
    if (over > 0) body = concat(body, new Uint8Array(padding - over).fill(0x20));
    const count = this.#sealed++;
    const sealed = concat(uint64(count), this.#cipher(this.#sealing, this.side, count).encrypt(body));
    return JSON.stringify({ sealed: base64(sealed) });
  }

  /** Decrypts a candidate of the other side; undefined if that fails, or for the same one again: the first ones come with the answer and in the list. */
  open(candidate: unknown): SealedNote | undefined {
    const b = fromBase64((candidate as { sealed?: unknown } | null)?.sealed);
    if (!b) return undefined;
    const n = readUint64(b);
    let body: Uint8Array;
    try {
      body = this.#cipher(this.#opening, other(this.side), n).decrypt(b.subarray(8));
    } catch {
      return undefined;
    }
    if (this.#opened.has(n)) return undefined;
    this.#opened.add(n); // an attempt reads at most maxCandidates
    try {
      const note = JSON.parse(text(body)) as SealedNote | null;
      if (typeof note !== "object" || note === null || (note.nonce !== undefined && !this.#reveal(fromBase64(note.nonce)))) return undefined;
      return note;
    } catch {
      return undefined;
    }
  }

  /** Takes the caller's nonce; false if it is not the one that the offer committed to. */
  #reveal(nonce: Uint8Array | undefined): boolean {
    if (this.side !== "answer" || !nonce || !this.#commit || !equal(sha256(nonce), this.#commit)) return false;
    this.#callerNonce = nonce;
    return true;
  }

  /** Whether the other side has proven that it has the same key. */
  get proven(): boolean {
    return this.#callerNonce !== undefined;
  }

  /** Returns four words, which are the same on both sides unless someone is in the middle. */
  safetyWords(): string[] {
    const b = this.#derive("safety words", 32, lv(this.#callerNonce!, this.#calleeNonce));
    const view = new DataView(b.buffer, b.byteOffset);
    return [0, 8, 16, 24].map((at) => words[Number(view.getBigUint64(at) % BigInt(words.length))]!);
  }

  /** Returns the code with which only these two can meet again. It follows from the code's secret and this meeting's key. */
  next(): Code {
    const key = this.#derive("session", 32, utf8(this.code.secret));
    const part = (name: string) => base32(expand(sha256, key, utf8(name), 16));
    return { room: part("room"), secret: part("secret") };
  }

  /** Returns the key from which the keys of contacts follow. It tells nothing of the other keys, nor they of it. */
  contact(): Uint8Array {
    return this.#derive("contact", 32, lv(this.#callerNonce!, this.#calleeNonce));
  }
}
