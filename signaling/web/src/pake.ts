// CPace, suite CPACE-X25519-SHA512, with the key confirmation of draft-irtf-cfrg-cpace-21: peer/pake for a browser, tested with the
// same vectors.

import { mod, pow } from "@noble/curves/abstract/modular.js";
import { montgomery } from "@noble/curves/abstract/montgomery.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, equal, lv, random, utf8 } from "./bytes.ts";

const P = 2n ** 255n - 19n;
const A = 486662n;
const domain = utf8("CPace255");
const domainISK = utf8("CPace255_ISK");
const domainMac = utf8("CPaceMac");
const blockSize = 128; // of SHA-512

const x25519 = montgomery({
  P,
  type: "x25519",
  adjustScalarBytes: (b: Uint8Array) => {
    b[0]! &= 248;
    b[31]! &= 127;
    b[31]! |= 64;
    return b;
  },
  powPminus2: (x: bigint) => pow(x, P - 2n, P),
});

/** Says that the other side's share has another length or is of low order. */
export class InvalidShare extends Error {}

export type Role = "initiator" | "responder";

/** One side of one run. */
export class Party {
  readonly share: Uint8Array;
  readonly #role: Role;
  readonly #session: Uint8Array;
  #scalar: Uint8Array | undefined; // until finish uses it

  /** Both sides need the same password, channel (CI in the draft) and session (sid). */
  constructor(role: Role, password: Uint8Array, channel: Uint8Array, session: Uint8Array, scalar = random(32)) {
    this.#role = role;
    this.#session = session;
    this.#scalar = scalar;
    this.share = multiply(scalar, generator(password, channel, session));
  }

  /** Ends the run: `ad` is this side's associated data, `theirs` the other side's. */
  finish(ad: Uint8Array, theirShare: Uint8Array, theirs: Uint8Array): Key {
    const scalar = this.#scalar;
    this.#scalar = undefined;
    if (!scalar) throw new Error("a run of the key exchange is over, and cannot be used again");
    const secret = multiply(scalar, theirShare);
    const mine = lv(this.share, ad), other = lv(theirShare, theirs);
    const transcript = this.#role === "initiator" ? concat(mine, other) : concat(other, mine);
    const isk = sha512(concat(lv(domainISK, this.#session, secret), transcript));
    const mac = sha512(concat(domainMac, this.#session, isk));
    return new Key(isk, hmac(sha512, mac, mine), hmac(sha512, mac, other));
  }
}

/** The result of a run. */
export class Key {
  readonly #other: Uint8Array;

  /** secret: 64 bytes, to derive keys from. tag: 64 bytes that prove this side has it. */
  constructor(readonly secret: Uint8Array, readonly tag: Uint8Array, other: Uint8Array) {
    this.#other = other;
  }

  /** Reports whether tag is the other side's: then it has the same key and saw the same data. */
  confirms(tag: Uint8Array): boolean {
    return equal(tag, this.#other);
  }
}

/** Maps the password to a point (draft, section 7.1). */
export function generator(password: Uint8Array, channel: Uint8Array, session: Uint8Array): Uint8Array {
  const padding = Math.max(0, blockSize - 1 - lv(password).length - lv(domain).length);
  return elligator2(sha512(lv(domain, password, new Uint8Array(padding), channel, session)).subarray(0, 32));
}

/** Maps 32 bytes to a point's u coordinate (RFC 9380, section 6.7.1, with Z = 2). */
function elligator2(b: Uint8Array): Uint8Array {
  let r = 0n;
  for (let i = 31; i >= 0; i--) r = (r << 8n) | BigInt(i === 31 ? b[i]! & 127 : b[i]!);
  const u = mod(-A * pow(1n + 2n * mod(r * r, P), P - 2n, P), P);
  const v2 = mod(u * (mod(u * (u + A), P) + 1n), P);
  const square = pow(v2, (P - 1n) / 2n, P) <= 1n;
  let n = square ? u : mod(-A - u, P);
  const out = new Uint8Array(32);
  for (let i = 0; i < 32; i++, n >>= 8n) out[i] = Number(n & 255n);
  return out;
}

/** Computes X25519 (RFC 7748, section 5). It throws InvalidShare for an invalid point of a stranger. */
export function multiply(scalar: Uint8Array, point: Uint8Array): Uint8Array {
  try {
    return x25519.scalarMult(scalar, point);
  } catch {
    throw new InvalidShare("the other side's share is not valid");
  }
}
