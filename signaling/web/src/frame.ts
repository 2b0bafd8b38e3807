// One message of the channel: a byte of kind, then its fields
// (docs/architecture.md has the table).

import { concat, readUint64, text, uint64, utf8 } from "./bytes.ts";

export const kind = {
  hello: 1, // JSON: the first frame of each side on every pipe
  message: 2, // seq, text
  end: 3, // seq: this side's input has ended
  ack: 4, // seq: everything up to it was handed to the reader
  goodbye: 5, // seq: the last one of its own known to be acknowledged
  offer: 6, // seq, JSON: this side would send a file
  accept: 7, // seq, JSON: send it
  cancel: 8, // seq, JSON: declined, or given up
  received: 9, // seq, JSON: it is whole, and in its place
  name: 10, // 0, then what this side is called from now on
  part: 11, // seq, text: of a message that goes on with the next part or message
  away: 12, // seconds: this side's page was closed or is reloading; unless it is back within that time, it has left
} as const;

export type FrameKind = (typeof kind)[keyof typeof kind];

export const maxText = 64 << 10; // bytes of UTF-8 in a message
const maxHello = 4 << 10;
const maxJSON = 4 << 10; // of what is said of a file

export interface Frame {
  readonly kind: FrameKind;
  readonly seq: number; // 0 for a hello
  readonly body: Uint8Array;
}

/** Introduces a side, and says where the two go on after a lost pipe. */
export interface Hello {
  conversation: string; // random; a new one means that the program was restarted, and has none of the files
  name: string;
  first: number; // the lowest seq that this side may still send
  heard: number; // the last seq of the other side that this side's reader had before this pipe,
  of: string; // counted in this conversation of the other side
  parts?: boolean; // this side knows the kind part
}

export const encode = (f: Frame): Uint8Array =>
  f.kind === kind.hello ? concat(Uint8Array.of(f.kind), f.body) : concat(Uint8Array.of(f.kind), uint64(f.seq), f.body);

/** Reads what a stranger sent: undefined if it makes no sense. */
export function decode(b: Uint8Array): Frame | undefined {
  const k = b[0] as FrameKind;
  if (k === kind.hello) return b.length - 1 <= maxHello ? { kind: k, seq: 0, body: b.subarray(1) } : undefined;
  if (!(k >= kind.message && k <= kind.away)) return undefined;
  const seq = readUint64(b, 1);
  const body = b.subarray(9);
  if (Number.isNaN(seq) || body.length > (k === kind.message || k === kind.part ? maxText : maxJSON)) return undefined;
  return { kind: k, seq, body };
}

export const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));

/** The object that bytes are in JSON: undefined if they are none. */
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
  const { conversation = "", name = "", first = 0, heard = 0, of = "" } = h;
  if (typeof conversation !== "string" || typeof name !== "string" || typeof of !== "string" || !isSeq(first) || !isSeq(heard)) return undefined;
  return { conversation, name, first, heard, of };
}

/** What the other side has not acknowledged yet, in order; the first `sent` of it has gone out. */
export class Outbox {
  readonly frames: Frame[] = [];
  #sent = 0;
  #bytes = 0;
  #last = 0;

  get full(): boolean {
    return this.frames.length >= 4096 || this.#bytes >= 4 << 20;
  }

  get last(): number {
    return this.#last;
  }

  /** Takes what an earlier page did not deliver. */
  restore(last: number, frames: Frame[]) {
    this.#last = last;
    this.frames.push(...frames);
    this.#bytes = frames.reduce((sum, f) => sum + f.body.length, 0);
  }

  get first(): number {
    return this.#last + 1 - this.frames.length;
  }

  /** How many messages were said and not acknowledged. */
  get messages(): number {
    return this.frames.filter((f) => f.kind === kind.message).length;
  }

  put(k: FrameKind, body: Uint8Array): number {
    this.frames.push({ kind: k, seq: ++this.#last, body });
    this.#bytes += body.length;
    return this.#last;
  }

  /** The next frame to go out on the current pipe; sent() notes that it has. */
  next(): Frame | undefined {
    return this.frames[this.#sent];
  }

  sent() {
    this.#sent++;
  }

  /** Makes everything go out again: on a new pipe. */
  rewind() {
    this.#sent = 0;
  }

  /** Drops and returns what was acknowledged, up to seq; undefined for what was never said. */
  ack(seq: number): Frame[] | undefined {
    if (seq > this.#last) return undefined;
    const gone = this.frames.splice(0, Math.max(0, seq - this.first + 1));
    this.#sent = Math.max(0, this.#sent - gone.length);
    for (const f of gone) this.#bytes -= f.body.length;
    return gone;
  }
}
