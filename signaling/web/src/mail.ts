// Letters in a mailbox at a server that can neither open nor forge them: peer/mail for a browser, with the same vectors. This module
// only computes. Its caller stores the box after a letter before it uses the letter.

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { base32, concat, fromBase64, uint64, utf8 } from "./bytes.ts";
import { next, type Box } from "./contact.ts";

export const blockSizes = [512, 2 << 10, 16 << 10] as const; // bytes
const lengthSize = 2, tagSize = 16, overhead = lengthSize + tagSize;
export const maxLetter = blockSizes[2] - overhead; // bytes
const maxGap = 1 << 12; // blocks that may be missing before one, and so the steps that invented blocks cost a read

/** One sealed letter. Its number is from 1. */
export interface Block {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** What was wrong with the blocks that a server sent. */
export interface Report {
  readonly missing: number; // letters before one that came: withheld, or expired
  readonly repeated: number; // blocks that were read before, or come twice
  readonly invented: number; // blocks that the contact has not put there like this
}

/** A box at the server, and what proves that a request may put into it, or take from it. */
export interface Address {
  readonly name: string;
  readonly putter: string; // credentials
  readonly taker: string;
}

/** Returns where a box is at the server: signaling.NewBox for a browser. */
export function address(b: Box): Address {
  const [put, take] = [base32(b.put), base32(b.take)], [p, t] = [sha256(utf8(put)), sha256(utf8(take))];
  return { name: base32(sha256(concat(utf8("p2pchat mailbox"), p, t))), putter: `${put}.${base32(t)}`, taker: `${take}.${base32(p)}` };
}

/** Seals the next letter of a box. It throws a RangeError if the letter is too long. */
export function seal(b: Box, letter: Uint8Array): { after: Box; block: Block } {
  const size = blockSizes.find((s) => letter.length + overhead <= s);
  if (!size) throw new RangeError(`A letter has ${maxLetter} bytes at most.`);
  const padded = new Uint8Array(size - tagSize), { key, after } = next(b);
  padded.set([letter.length >> 8, letter.length & 255]);
  padded.set(letter, lengthSize);
  return { after, block: { number: after.number, bytes: cipher(key, b).encrypt(padded) } };
}

/**
 * Opens what a server sent of a box, in the order of the numbers, whatever the server's order was. Only a block that opens moves the
 * chain. Those that do not open cost maxGap steps of it together, because ahead never goes back. since: the index of the letter after the
 * last missing one.
 */
export function open(b: Box, list: readonly Block[]): { after: Box; letters: Uint8Array[]; since: number; report: Report } {
  const letters: Uint8Array[] = [];
  let after = b, ahead = b, since = 0, missing = 0, repeated = 0, invented = 0;
  for (const block of [...list].sort((x, y) => x.number - y.number)) {
    const gap = block.number - after.number - 1;
    if (gap < 0) {
      repeated++;
      continue;
    }
    if (gap > maxGap) {
      invented++;
      continue;
    }
    while (ahead.number + 1 < block.number) ahead = next(ahead).after;
    const letter = openNext(ahead, block.bytes);
    if (!letter) {
      invented++;
      continue;
    }
    missing += gap;
    if (gap > 0) since = letters.length;
    letters.push(letter);
    after = ahead = next(ahead).after;
  }
  return { after, letters, since, report: { missing, repeated, invented } };
}

/** Opens the next block of a box; undefined if the contact has not sealed it. */
function openNext(b: Box, bytes: Uint8Array): Uint8Array | undefined {
  try {
    const padded = cipher(next(b).key, b).decrypt(bytes), length = padded[0]! << 8 | padded[1]!;
    return length <= padded.length - lengthSize ? padded.slice(lengthSize, lengthSize + length) : undefined;
  } catch {
    return undefined;
  }
}

/** The key is for this block alone, so the nonce is zero. A block is bound to its box and its number. */
const cipher = (key: Uint8Array, b: Box) => chacha20poly1305(key, new Uint8Array(12), concat(b.put, b.take, uint64(b.number)));

/** Returns what a person should know of a report, or "". */
export function reportText({ missing, repeated, invented }: Report): string {
  const told = [];
  if (missing === 1) told.push("1 letter is missing: it expired, or the server withholds it. Its sender still has it.");
  if (missing > 1) told.push(`${missing} letters are missing: they expired, or the server withholds them. Their sender still has them.`);
  if (repeated === 1) told.push("The server sent 1 letter again; it is shown once.");
  if (repeated > 1) told.push(`The server sent ${repeated} letters again; each is shown once.`);
  if (invented === 1) told.push("The server sent 1 letter that your contact did not write; it is not shown.");
  if (invented > 1) told.push(`The server sent ${invented} letters that your contact did not write; none is shown.`);
  return told.join(" ");
}

/** Returns the blocks in a server's reply; undefined if one makes no sense. */
export function parseBlocks(list: unknown): Block[] | undefined {
  if (!Array.isArray(list)) return undefined;
  const blocks = (list as ({ number?: unknown; block?: unknown } | null)[]).map((b) => ({ number: b?.number, bytes: fromBase64(b?.block) }));
  const sound = blocks.every(({ number, bytes }) => Number.isSafeInteger(number) && (number as number) >= 1 && blockSizes.some((s) => s === bytes?.length));
  return sound ? (blocks as Block[]) : undefined;
}
