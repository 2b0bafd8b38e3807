// A message of the channel: a byte that names its kind, then its fields. docs/architecture.md has the table.

import { concat, readUint64, text, uint64, utf8 } from "./bytes.ts";
import { parseWaited, type Waited } from "./waited.ts";

export const kind = {
  hello: 1, // JSON: the first frame of each side on every pipe
  message: 2, // seq, text
  end: 3, // seq: this side's input has ended
  ack: 4, // seq: the reader has every frame up to it
  goodbye: 5, // seq: the last frame of this side that the other one has acknowledged
  offer: 6, // seq, JSON: this side would send a file
  accept: 7, // seq, JSON: send it
  cancel: 8, // seq, JSON: declined, or given up
  received: 9, // seq, JSON: the file is complete and saved
  name: 10, // 0, then this side's new name
  part: 11, // seq, text: of a message that continues in the next part or message
  away: 12, // seconds: this side's page was closed or is reloading; if it is not back within that time, it has left
  keep: 14, // seq, JSON: this side keeps the other one as a contact; for a side whose hello has contacts, like the next
  kept: 15, // seq, then an ID: this side has stored the contact, and the ID is that of its keys
  ringing: 16, // 0: before the hello, this side's person is being asked whether to answer; see ring.ts
  declined: 17, // 0, then "unanswered" if the person has not decided: no hello will come
} as const;

export type FrameKind = (typeof kind)[keyof typeof kind];

export const maxText = 64 << 10; // bytes of UTF-8 in a message
const maxHello = 4 << 10;
const maxJSON = 4 << 10; // of a frame about a file

export interface Frame {
  readonly kind: FrameKind;
  readonly seq: number; // 0 for a hello
  readonly body: Uint8Array;
  readonly at?: number | undefined; // when it was queued, Unix time in seconds; 0 if an older page has kept it. It is not sent
}

/** Introduces a side, and says from where the two continue after a lost pipe. */
export interface Hello {
  conversation: string; // random; a new one means that the program was started again, and has no files
  name: string;
  first: number; // the lowest seq that this side may still send
  heard: number; // the last seq of the other side that this side's reader had before this pipe,
  of: string; // counted in this conversation of the other side
  parts?: boolean; // this side understands the kind part
  stripes?: boolean; // and takes files over stripes
  haves?: boolean; // it reads there how much of a file has arrived
  contacts?: boolean; // and the kinds keep and kept
  holds?: string; // between contacts: the ID of the keys that this side has stored for this call
  waited?: readonly Waited[]; // of what this side sends first
}

export const encode = (f: Frame): Uint8Array =>
  f.kind === kind.hello ? concat(Uint8Array.of(f.kind), f.body) : concat(Uint8Array.of(f.kind), uint64(f.seq), f.body);

/** Reads a frame of a stranger; undefined if it is not valid. */
export function decode(b: Uint8Array): Frame | undefined {
  const k = b[0] as FrameKind;
  if (k === kind.hello) return b.length - 1 <= maxHello ? { kind: k, seq: 0, body: b.subarray(1) } : undefined;
  if (!(k >= kind.message && k <= kind.away) && !(k >= kind.keep && k <= kind.declined)) return undefined;
  const seq = readUint64(b, 1);
  const body = b.subarray(9);
  if (Number.isNaN(seq) || body.length > (k === kind.message || k === kind.part ? maxText : maxJSON)) return undefined;
  return { kind: k, seq, body };
}

export const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));

/** Returns the object that bytes hold in JSON; undefined if they hold none. */
export function parse(b: Uint8Array): Record<string, unknown> | undefined {
  try {
    const v: unknown = JSON.parse(text(b));
    return typeof v === "object" && v !== null && !Array.isArray(v) ? (v as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const isSeq = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

export function parseHello(b: Uint8Array): Hello | undefined {
  const h = parse(b);
  if (!h) return undefined;
  const { conversation = "", name = "", first = 0, heard = 0, of = "", contacts = false, holds = "" } = h;
  const waited = parseWaited(h.waited), haves = h.haves === true;
  if (!waited || typeof contacts !== "boolean" || typeof holds !== "string") return undefined;
  if (typeof conversation !== "string" || typeof name !== "string" || typeof of !== "string" || !isSeq(first) || !isSeq(heard)) return undefined;
  return { conversation, name, first, heard, of, haves, contacts, holds, waited };
}

/** A message that is not delivered yet, and when it was written, if that is known. */
export interface Unread {
  readonly id: number;
  readonly text: string;
  readonly at: Date | undefined;
}

/** Returns the time of a frame; undefined if an older page kept none. */
export const dateOf = (at = 0): Date | undefined => (at > 0 ? new Date(at * 1000) : undefined);
