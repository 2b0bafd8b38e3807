// Encodings of the handshake and the frames.

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** Decodes UTF-8; it throws if bytes are not valid UTF-8. */
export const text = (bytes: Uint8Array): string => decoder.decode(bytes);

export function concat(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

/** Joins parts, each after its length in LEB128 (lv_cat of draft-irtf-cfrg-cpace-21). */
export function lv(...parts: Uint8Array[]): Uint8Array {
  const all: Uint8Array[] = [];
  for (const p of parts) {
    const length = [];
    let n = p.length;
    for (; n > 127; n >>>= 7) length.push((n & 127) | 128);
    all.push(Uint8Array.of(...length, n), p);
  }
  return concat(...all);
}

/** Writes n as 8 bytes, big-endian. */
export function uint64(n: number): Uint8Array {
  const b = new Uint8Array(8);
  new DataView(b.buffer).setBigUint64(0, BigInt(n));
  return b;
}

/** Reads 8 bytes, big-endian; NaN for a number over 2⁵³ − 1, or for fewer bytes. */
export function readUint64(b: Uint8Array, at = 0): number {
  if (b.length < at + 8) return NaN;
  const n = Number(new DataView(b.buffer, b.byteOffset).getBigUint64(at));
  return Number.isSafeInteger(n) ? n : NaN;
}

export function random(size: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(size));
}

/** Returns a random number below n. All are equally likely. */
export function below(n: number): number {
  const limit = 2 ** 32 - (2 ** 32 % n);
  for (;;) {
    const [r] = crypto.getRandomValues(new Uint32Array(1));
    if (r! < limit) return r! % n;
  }
}

/** Encodes in base64 (RFC 4648, section 4). */
export function base64(b: Uint8Array): string {
  let s = "";
  for (let i = 0; i < b.length; i += 8192) s += String.fromCharCode(...b.subarray(i, i + 8192));
  return btoa(s);
}

/** Decodes base64; undefined for any other value. */
export function fromBase64(s: unknown): Uint8Array | undefined {
  if (typeof s !== "string") return undefined;
  try {
    return Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** Encodes in base32 (RFC 4648, section 6), in lower case and without padding. */
export function base32(b: Uint8Array): string {
  let out = "", bits = 0, have = 0;
  for (const byte of b) {
    bits = ((bits & 31) << 8) | byte;
    for (have += 8; have >= 5; have -= 5) out += alphabet[(bits >> (have - 5)) & 31];
  }
  if (have > 0) out += alphabet[(bits << (5 - have)) & 31];
  return out;
}

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

export function hex(b: Uint8Array): string {
  return Array.from(b, (n) => n.toString(16).padStart(2, "0")).join("");
}

/** Compares in a time that does not depend on where the two differ. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let differ = 0;
  for (let i = 0; i < a.length; i++) differ |= a[i]! ^ b[i]!;
  return differ === 0;
}
