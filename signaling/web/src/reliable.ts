// Numbered frames that arrive exactly once and in order, over one pipe after another: this side keeps each frame until the other
// side has acknowledged it. chat/reliable for a browser; it knows nothing of chat.

import { base32, base64, fromBase64, random } from "./bytes.ts";
import { encode, json, kind, type Frame, type FrameKind, type Hello } from "./frame.ts";
import { unixTime, waitedOf, writtenAt } from "./waited.ts";

const maxFrames = 4096, maxBytes = 4 << 20; // that wait for an acknowledgement
const maxBefore = 8; // streams of earlier programs of the other side

/** This side's half of a stream. */
export interface SavedFrames {
  readonly id: string;
  readonly last: number; // seq of this side
  readonly frames: [FrameKind, number, string, number?][]; // not acknowledged: kind, seq, body in base64, when it was queued
}

/** What a page needs to continue the stream of an earlier one. */
export interface SavedStream extends SavedFrames {
  readonly peer: Hello;
  readonly heard: number;
  readonly before?: readonly Read[];
}

/** How far this side has read a stream of the other one. */
export interface Read {
  readonly conversation: string;
  readonly through: number;
}

/** How far this side has read the current stream of the other one, and those of its earlier programs, the newest first. */
export interface Heard extends Read {
  readonly before?: readonly Read[];
}

export class ReliableStream {
  readonly id: string;
  /** The frames that the other side has not acknowledged, in order; the first #sent of them went out on the current pipe. */
  #outbox: Frame[] = [];
  #sent = 0;
  #bytes = 0;
  #last = 0;
  #peer: Hello = { conversation: "", name: "", first: 0, heard: 0, of: "" };
  #consumed = 0; // the last seq of the other side that the reader has
  #acked = 0; // and that this side has acknowledged
  #before: readonly Read[] = [];
  #receivedBefore = 0;

  /** sent: this side's half of an earlier stream, and heard: how far it has read the other half, if there is no saved one of both. */
  constructor(saved?: SavedStream, heard?: Heard, sent?: SavedFrames) {
    const own = saved ?? sent;
    this.id = own?.id ?? base32(random(16));
    this.#last = own?.last ?? 0;
    this.#outbox = (own?.frames ?? []).map(([kind, seq, body, at]) => ({ kind, seq, body: fromBase64(body)!, at }));
    this.#bytes = this.#outbox.reduce((sum, f) => sum + f.body.length, 0);
    if (heard && !saved) {
      this.#peer = { ...this.#peer, conversation: heard.conversation };
      this.#consumed = this.#acked = heard.through;
      this.#before = heard.before ?? [];
    }
    if (!saved) return;
    this.#peer = saved.peer;
    this.#consumed = this.#acked = saved.heard;
    this.#before = saved.before ?? [];
  }

  save(): SavedStream {
    return { ...this.saveFrames(), peer: this.#peer, heard: this.#consumed, before: this.#before };
  }

  saveFrames(): SavedFrames {
    return { id: this.id, last: this.#last, frames: this.#outbox.map((f) => [f.kind, f.seq, base64(f.body), f.at ?? 0]) };
  }

  /** The other side's stream. A program that was started again has a new one. */
  get peer(): string {
    return this.#peer.conversation;
  }

  get heard(): Heard {
    return { conversation: this.#peer.conversation, through: this.#consumed, before: this.#before };
  }

  /** When the other side wrote a message, if it has waited for this side. */
  written(seq: number): Date | undefined {
    return writtenAt(this.#peer.waited, seq);
  }

  /** Whether the other side can keep contacts. */
  get peerKeeps(): boolean {
    return this.#peer.contacts ?? false;
  }

  /** The last of this side's frames that an earlier program of the other side received, and not its current one. */
  get receivedBefore(): number {
    return this.#receivedBefore;
  }

  /** The frames that the other side has not acknowledged. */
  get unacknowledged(): readonly Frame[] {
    return this.#outbox;
  }

  get empty(): boolean {
    return this.#outbox.length === 0;
  }

  get full(): boolean {
    return this.#outbox.length >= maxFrames || this.#bytes >= maxBytes;
  }

  get #first(): number {
    return this.#last + 1 - this.#outbox.length;
  }

  /** The last of this side's frames that the other side has acknowledged. */
  get acknowledged(): number {
    return this.#first - 1;
  }

  put(k: FrameKind, body: Uint8Array): number {
    this.#outbox.push({ kind: k, seq: ++this.#last, body, at: unixTime() });
    this.#bytes += body.length;
    return this.#last;
  }

  /** Starts a new pipe: every frame without an acknowledgement goes out again. */
  rewind() {
    this.#sent = 0;
  }

  /** Returns this side's hello, which acknowledges what the reader has. */
  hello(name: string, more: Pick<Hello, "stripes" | "contacts" | "holds">): Uint8Array {
    this.#acked = this.#consumed;
    const hello: Hello = { ...this.place, name, parts: true, ...more, ...waitedOf(this.#outbox) };
    return encode({ kind: kind.hello, seq: 0, body: json(hello) });
  }

  /** Where this stream is. */
  get place(): Pick<Hello, "conversation" | "first" | "heard" | "of"> {
    return { conversation: this.id, first: this.#first, heard: this.#consumed, of: this.#peer.conversation };
  }

  /** Takes the other side's hello, and reports whether its program is new to this one. */
  handleHello(h: Hello): boolean {
    const isNew = h.conversation !== this.#peer.conversation;
    // What lies before first, an earlier page has read, perhaps after the last time that it stored how far.
    const first = Math.max(h.first, 1) - 1, read = isNew ? this.#readBefore(h.conversation) : this.#consumed;
    if (isNew) this.#before = [this.heard, ...this.#before].filter((b) => b.conversation !== "" && b.conversation !== h.conversation).slice(0, maxBefore).map(({ conversation, through }) => ({ conversation, through }));
    if (isNew || first > read) [this.#consumed, this.#acked] = [Math.max(first, read), first];
    const heard = h.of === this.id ? h.heard : 0;
    this.#receivedBefore = Math.max(this.acknowledged, heard);
    this.#peer = h;
    return isNew;
  }

  #readBefore(conversation: string): number {
    return this.#before.find((b) => b.conversation === conversation)?.through ?? 0;
  }

  /** Whether this side has read a stream of an earlier program of the other side up to seq. */
  hasRead(conversation: string, seq: number): boolean {
    return this.#before.some((b) => b.conversation === conversation) && seq <= this.#readBefore(conversation);
  }

  /** Tells where a frame of the other side belongs: it is the next one, came on an earlier pipe, or others are missing before it. */
  order(f: Pick<Frame, "seq">): "next" | "repeated" | "gap" {
    return f.seq === this.#consumed + 1 ? "next" : f.seq > this.#consumed ? "gap" : "repeated";
  }

  /** Notes that the reader has the next frame. */
  consumed() {
    this.#consumed++;
  }

  /** Drops and returns the frames up to seq, which the other side has acknowledged; undefined if seq was never sent. */
  handleAck(seq: number): Frame[] | undefined {
    if (seq > this.#last) return undefined;
    const gone = this.#outbox.splice(0, Math.max(0, seq - this.#first + 1));
    this.#sent = Math.max(0, this.#sent - gone.length);
    for (const f of gone) this.#bytes -= f.body.length;
    return gone;
  }

  /** Returns an acknowledgement; unless repeated, only if one is due. */
  ack(repeated = false): Frame | undefined {
    return repeated || this.#consumed > this.#acked ? { kind: kind.ack, seq: repeated ? this.#acked : this.#consumed, body: new Uint8Array() } : undefined;
  }

  /** Returns the next frame to go out on the current pipe. */
  next(): Frame | undefined {
    return this.#outbox[this.#sent];
  }

  /** Notes that a frame of ack or next has gone out. */
  sent(f: Frame) {
    if (f.kind === kind.ack) this.#acked = f.seq;
    else this.#sent++;
  }
}
