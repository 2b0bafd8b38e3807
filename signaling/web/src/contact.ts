// The keys of two people who have kept each other, and so meet without a code: peer/contact for a browser, with the same vectors.
// This module only computes. Its caller stores Keys before it shows their ID.

import { expand, hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { base32, concat, hex, utf8 } from "./bytes.ts";
import type { Code } from "./code.ts";

const keySize = 32, tokenSize = 16; // bytes
const hour = 3_600_000; // ms

/** One of the two who have kept each other, the same for both and for ever: first was the caller when they kept. */
export type ContactSide = "first" | "second";

const sides: readonly ContactSide[] = ["first", "second"];

const otherSide = (s: ContactSide): ContactSide => (s === "first" ? "second" : "first");

/** What one side keeps of a contact. It is secret. */
export interface Keys {
  readonly side: ContactSide;
  readonly generations: readonly Generation[]; // the newest first; two until the other side has shown that it has the newest
  readonly shown: boolean; // the other side has kept this one, or a call has shown it since
}

/** What follows from one call. */
export interface Generation {
  readonly root: Uint8Array;
  readonly boxes: readonly Box[]; // at a server, of the side that puts: the first's, then the second's
}

/** Where one side leaves blocks for the other at a server. */
export interface Box {
  readonly put: Uint8Array; // the token that puts a block
  readonly take: Uint8Array; // the token that reads and deletes blocks
  readonly chain: Uint8Array; // from which the key of the next block follows
  readonly number: number; // of the next block
}

/** A place where the two meet in one hour, and the ID of its generation. */
export interface Place extends Code {
  readonly generation: string;
}

/** Makes the keys of one side once both have agreed to keep each other, of the key of their call and the nonces of the two. */
export const keep = (side: ContactSide, key: Uint8Array, firsts: Uint8Array, seconds: Uint8Array): Keys =>
  ({ side, generations: [generation(key, concat(firsts, seconds), "keep")], shown: false });

/**
 * Makes the keys after a meeting with the generation whose ID is met; undefined if that is no longer kept. key is that of the new
 * call. The generation with which the two met stays until show.
 */
export function roll(k: Keys, met: string, key: Uint8Array): Keys | undefined {
  const g = k.generations.find((g) => id(g) === met);
  return g && { ...k, generations: [generation(concat(g.root, key), undefined, "roll"), g] };
}

/**
 * Returns the keys without the generation of an ID, which roll has made for a call that the other side declined: that side has not
 * rolled, and will not. Without that word from it unroll must not be used. Keys that do not have another generation stay as they are.
 */
export const unroll = (k: Keys, of: string): Keys =>
  of === newest(k) && k.generations.length > 1 ? { ...k, generations: k.generations.slice(1) } : k;

/** Drops the older generation if the other side has shown the ID of the newest one. */
export const show = (k: Keys, shown: string): Keys =>
  shown === newest(k) ? { ...k, generations: k.generations.slice(0, 1), shown: true } : k;

/** Returns what this side shows to the other once k is stored: the ID of the newest generation. */
export const newest = (k: Keys): string => id(k.generations[0]!);

/**
 * Lists where the two meet at now if this side calls, or if the other one does. The first place is where a caller should be if both
 * clocks are right; then come the older generation's, and those of the hours before and after, because clocks are wrong.
 */
export function places(k: Keys, calls: boolean, now: number): Place[] {
  const caller = calls ? k.side : otherSide(k.side), epoch = Math.floor(now / hour);
  return [epoch, epoch - 1, epoch + 1].flatMap((e) => k.generations.map((g) => ({ ...place(g, caller, e), generation: id(g) })));
}

/** Returns the ms until the next hour begins. */
export const untilNextHour = (now: number): number => hour - (now % hour);

/** Whether this side answers where both call at the same time. */
export const yields = (k: Keys): boolean => k.side === "second";

export function generation(secret: Uint8Array, salt: Uint8Array | undefined, purpose: "keep" | "roll"): Generation {
  const seed = hkdf(sha256, secret, salt, utf8(`p2pchat/2 contact ${purpose}`), keySize);
  const box = (s: ContactSide) => ({ put: derive(seed, `put ${s}`, tokenSize), take: derive(seed, `take ${s}`, tokenSize), chain: derive(seed, `chain ${s}`, keySize), number: 0 });
  return { root: derive(seed, "root", keySize), boxes: sides.map(box) };
}

/** Returns the name of a generation between the two. It tells nothing of the keys. */
export const id = (g: Generation): string => hex(derive(g.root, "id", tokenSize));

/** Returns where the two meet in an hour if caller calls. */
export function place(g: Generation, caller: ContactSide, epoch: number): Code {
  const key = derive(g.root, `place ${caller} ${epoch}`, keySize);
  return { room: base32(derive(key, "room", tokenSize)), secret: base32(derive(key, "secret", tokenSize)) };
}

/** Returns the key of the next block, and the box after it, in which nothing is left of that key. */
export const next = (b: Box): { key: Uint8Array; after: Box } =>
  ({ key: derive(b.chain, "key", keySize), after: { ...b, chain: derive(b.chain, "chain", keySize), number: b.number + 1 } });

const boxIndex = (k: Keys, whose: "ours" | "theirs") => sides.indexOf(whose === "ours" ? k.side : otherSide(k.side));

/** Returns the box of a generation in which this side leaves letters, or the other one; undefined if its keys are gone. */
export const boxOf = (k: Keys, generation: string, whose: "ours" | "theirs"): Box | undefined =>
  k.generations.find((g) => id(g) === generation)?.boxes[boxIndex(k, whose)];

/** Returns the keys with another state of that box. */
export const withBox = (k: Keys, generation: string, whose: "ours" | "theirs", box: Box): Keys => ({
  ...k, generations: k.generations.map((g) => (id(g) === generation ? { ...g, boxes: g.boxes.map((b, i) => (i === boxIndex(k, whose) ? box : b)) } : g)),
});

const derive = (secret: Uint8Array, purpose: string, size: number): Uint8Array => expand(sha256, secret, utf8(purpose), size);
