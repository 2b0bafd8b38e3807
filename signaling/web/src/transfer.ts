// Files: frames about them are part of the conversation, and so not lost. Their bytes have a channel of their own, which the sender
// opens again on every connection (docs/architecture.md). chat/transfer for a browser.
//
// The life of a file, on either side:
//
//	offered ──accept──▶ accepted ──▶ ended
//	   └──────cancel──────────┴──────▲
//
// An accepted file moves while it has a channel, and waits for the next connection while it has none.

import { sha256 } from "@noble/hashes/sha2.js";
import type { Arrival } from "./arrival.ts";
import { concat, hex, readUint64, uint64 } from "./bytes.ts";
import type { Conversation } from "./conversation.ts";
import { blobLimit, writesToDisk, type Download, type Arrived } from "./download.ts";
import { json, kind, type FrameKind } from "./frame.ts";
import { properFile, properReason, visible } from "./name.ts";
import type { FileName } from "./outbox.ts";
import { Channel, type Pipe } from "./pipe.ts";
import { message, Receiver } from "./receiver.ts";

const maxFiles = 64; // of one side, that have not ended
const maxSending = 4; // of this side's, that have a channel at a time
const chunk = 64 << 10, ahead = 2 << 20, block = 1 << 20; // bytes
const maxFutile = 5; // channels in a row over which no byte arrived
const maxLowered = 16; // times that the receiver may have fewer bytes than before
const restarted = "the other side’s program was started again";
const retryInterval = 1000; // ms

/** Shows how a file proceeds. */
export interface FileView {
  /** Tells how many bytes the receiver has. */
  progress(bytes: number): void;
  /** received: the file, on the receiver's side; more: what a person should know besides. */
  done(sum: string, received: Arrived | undefined, more: string): void;
  failed(why: string): void;
}

interface Transfer {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly view: FileView;
  readonly hash: ReturnType<typeof sha256.create>;
  state: "offered" | "accepted" | "ended";
  hashed: number; // bytes that the hash includes
  bytes: number; // that the receiver has
  channel: Channel | undefined;
}

/** A file that this side sends. */
export interface Outgoing extends Transfer {
  readonly file: File;
  sum: Uint8Array | undefined; // of the whole file, once it was sent
  futile: number; // channels in a row over which no byte arrived
  lowered: number; // times that the receiver had fewer bytes than before
}

/** A file that the other side has offered. */
export interface Incoming extends Transfer {
  readonly of: string; // the conversation that counted the id
  readonly folder: boolean;
  readonly files: number; // in the folder
  download: Download | undefined;
  writing: Promise<void>; // of what has arrived in order
  arrival: Arrival | undefined; // once the sender has heard where to begin on the channel
}

export class Files {
  readonly #conversation: Conversation;
  readonly #show: (f: Omit<Incoming, "view">) => FileView;
  readonly #out = new Map<number, Outgoing>();
  readonly #in = new Map<number, Incoming>();
  readonly #receiver: Receiver;
  #pipe: Pipe | undefined;

  /** show makes the view of an offer of the other side. */
  constructor(conversation: Conversation, show: (f: Omit<Incoming, "view">) => FileView) {
    this.#conversation = conversation;
    this.#show = show;
    this.#receiver = new Receiver({
      incoming: this.#in, cancel: (f, why) => { this.cancel(f, why); },
      received: (f, sum, content, more) => {
        f.state = "ended"; // not by #end, which discards the download
        this.#in.delete(f.id);
        this.#tell(kind.received, f);
        f.view.done(sum, content, more);
      },
    });
  }

  /** The files on their way. */
  get open(): FileName[] {
    return this.#all.map((f) => ({ id: f.id, of: "of" in f ? f.of : this.#conversation.id }));
  }

  get #all(): (Outgoing | Incoming)[] {
    return [...this.#out.values(), ...this.#in.values()];
  }

  /** Offers a file. It throws a RangeError for a person to read if too many are on their way. */
  offer(file: File, view: FileView): Outgoing {
    if (this.#out.size >= maxFiles || this.#conversation.full) throw new RangeError(`${maxFiles} files are on their way already. Send more when some have arrived.`);
    const modified = file.lastModified ? { modified: new Date(file.lastModified).toISOString() } : {};
    const id = this.#conversation.put(kind.offer, json({ name: file.name, size: file.size, mode: 0o644, ...modified }));
    const f: Outgoing = { ...transfer(id, file.name, file.size, view), file, sum: undefined, futile: 0, lowered: 0 };
    this.#out.set(id, f);
    return f;
  }

  /** Accepts a file that the other side offered. */
  accept(f: Incoming, download: Download) {
    if (f.state !== "offered") {
      download.discard();
      return;
    }
    f.download = download;
    f.state = "accepted";
    this.#tell(kind.accept, f);
    f.view.progress(0);
  }

  /** Cancels a file, with a reason for the other side, and another one for this side if the two differ. */
  cancel(f: Outgoing | Incoming, why: string, here = why) {
    if (this.#end(f)) {
      if (!this.#conversation.parting) this.#tell(kind.cancel, f, why);
      f.view.failed(here);
    }
  }

  /** Ends all files with the conversation, and returns their number. */
  abandon(why: string): number {
    const all = this.#all;
    all.forEach((f) => this.#fail(f, why));
    return all.length;
  }

  /** Cancels all files because the person leaves their page, and returns their names. */
  interrupt(why: string): string[] {
    const all = this.#all;
    all.forEach((f) => this.cancel(f, why));
    return all.map((f) => f.name);
  }

  /** Continues over the next pipe. known: the other side's program is still the same one. */
  connected(pipe: Pipe, known: boolean) {
    this.#pipe = pipe;
    this.#closeChannels(); // on a pipe that this one has replaced
    pipe.onFile((dc) => { this.#receiver.accept(pipe, dc); });
    void pipe.ended.then(() => { // the last one: an earlier one ends a while after it was replaced
      if (this.#pipe === pipe) this.#closeChannels();
    });
    for (const f of this.#in.values()) if (!known) this.#fail(f, restarted);
    for (const f of this.#out.values()) if (!known && (f.state === "accepted" || f.id <= this.#conversation.receivedBefore)) this.#fail(f, restarted);
    this.#runTransfers();
  }

  #closeChannels() {
    this.#out.forEach((f) => f.channel?.close());
    this.#receiver.close();
  }

  /** Handles a frame of the other side about a file. */
  handleFrame(k: FrameKind, seq: number, body: Record<string, unknown>, from: string) {
    if (k === kind.offer) {
      this.#handleOffer(seq, body, from);
      return;
    }
    const id = body.id as number; // or anything else, which is no key
    const mine = body.of === this.#conversation.id ? this.#out.get(id) : undefined;
    const f = mine ?? (body.of === from ? this.#in.get(id) : undefined);
    if (!f) return; // it has ended on this side
    if (k === kind.cancel) this.#fail(f, properReason(body.reason));
    else if (!mine) return;
    else if (k === kind.accept) {
      mine.state = "accepted";
      this.#runTransfers();
    } else if (!mine.sum) {
      this.cancel(mine, "the receiver confirmed data that was not sent");
    } else if (this.#end(mine)) {
      mine.view.done(hex(mine.sum), undefined, typeof body.as === "string" ? `, saved as “${visible(body.as)}”` : "");
    }
  }

  #handleOffer(id: number, body: Record<string, unknown>, from: string) {
    const { size, folder = false, files = 0 } = body;
    const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
    if (!isCount(size) || !isCount(files) || this.#in.has(id)) return;
    const offer = {
      ...transfer(id, properFile(body.name), size), of: from, folder: folder === true, files, download: undefined, writing: Promise.resolve(), arrival: undefined,
    };
    if (this.#in.size >= maxFiles || this.#conversation.full) {
      this.#conversation.dropped++;
      if (!this.#conversation.full) this.#tell(kind.cancel, offer, "too many files are waiting for an answer");
      return;
    }
    const f: Incoming = Object.assign(offer, { view: this.#show(offer) });
    this.#in.set(id, f);
    if (size > blobLimit && !writesToDisk()) this.cancel(f, `this browser keeps a file in memory until it is complete, so it takes ${blobLimit >> 30} GiB at most`);
  }

  #tell(k: FrameKind, f: { id: number; of?: string }, reason?: string) {
    this.#conversation.put(k, json({ id: f.id, of: f.of ?? this.#conversation.id, ...(reason && { reason }) }));
  }

  #fail(f: Outgoing | Incoming, why: string) {
    if (this.#end(f)) f.view.failed(why);
  }

  /** Ends a file and removes what is left of it; false if it had ended before. */
  #end(f: Outgoing | Incoming): boolean {
    if (f.state === "ended") return false;
    f.state = "ended";
    if ("of" in f) {
      this.#in.delete(f.id);
      f.channel?.close();
      f.download?.discard();
    } else {
      this.#out.delete(f.id);
      f.channel?.close();
      this.#runTransfers();
    }
    return true;
  }

  // Sending.

  get #sending(): number {
    return [...this.#out.values()].filter((f) => f.channel).length;
  }

  /** Opens channels for the next accepted files. */
  #runTransfers() {
    const pipe = this.#pipe;
    if (!pipe || this.#conversation.connected !== pipe || this.#conversation.parting) return;
    for (const f of this.#out.values()) {
      if (this.#sending >= maxSending) return;
      if (f.state === "accepted" && !f.channel) void this.#sendFile(pipe, f);
    }
  }

  /** Sends a file, or the rest of it, over a channel of its own. */
  async #sendFile(pipe: Pipe, f: Outgoing): Promise<void> {
    const before = f.bytes;
    let channel: Channel;
    try {
      channel = f.channel = new Channel(pipe.openFile());
    } catch {
      return; // the pipe has ended
    }
    try {
      await this.#stream(channel, f);
    } catch {
      this.cancel(f, "the file can no longer be read");
    }
    channel.close();
    f.channel = undefined;
    if (ended(f)) return;
    if (this.#conversation.connected !== pipe) return this.#runTransfers(); // which skipped this file while it had a channel
    f.futile = f.bytes > before ? 0 : f.futile + 1;
    if (f.futile >= maxFutile) this.cancel(f, "the other side keeps closing the channel");
    else setTimeout(() => this.#runTransfers(), f.futile > 0 ? retryInterval : 0);
  }

  async #stream(channel: Channel, f: Outgoing): Promise<void> {
    let wake = () => {}, begun = false, over = false;
    void channel.ended.then(() => {
      over = true;
      wake();
    });
    const more = () => new Promise<void>((resolve) => (wake = resolve));
    channel.listen((m) => {
      const have = typeof m !== "string" && m[0] === message.have && m.length === 9 ? readUint64(m, 1) : NaN;
      const less = have < f.bytes && !begun && ++f.lowered <= maxLowered; // the receiver's machine was restarted
      if (!((have >= f.bytes || less) && have <= f.hashed)) {
        this.cancel(f, "the receiver’s program made a mistake");
        return;
      }
      begun = true;
      f.bytes = have;
      if (!ended(f)) f.view.progress(have);
      wake();
    });
    await channel.opened;
    channel.send(concat(Uint8Array.of(message.begin), uint64(f.id)));
    while (!begun && !over) await more();
    for (let at = f.bytes; at < f.size && !over; ) {
      const part = new Uint8Array(await f.file.slice(at, Math.min(at + block, f.size)).arrayBuffer());
      if (part.length === 0) throw new Error("the file is shorter than it was");
      for (let i = 0; i < part.length && !over; i += chunk) {
        const bytes = part.subarray(i, i + chunk);
        while (at - f.bytes >= ahead / Math.max(1, this.#sending) && !over) await more(); // so that messages do not wait behind files
        at += bytes.length;
        if (at > f.hashed) { // the hash includes what goes out again
          f.hash.update(bytes.subarray(bytes.length - (at - f.hashed)));
          f.hashed = at;
        }
        while (!over && !channel.send(concat(Uint8Array.of(message.data), bytes))) await channel.room();
      }
    }
    if (over) return;
    f.sum ??= f.hash.digest();
    while (!over && !channel.send(concat(Uint8Array.of(message.done), f.sum))) await channel.room();
    await channel.ended; // the other side answers with a frame of the conversation
  }
}

/** Whether a file has ended. TypeScript does not see that an await may change its state. */
export const ended = (f: Transfer): boolean => f.state === "ended";

const transfer = (id: number, name: string, size: number, view?: FileView) => ({
  id, name, size, view: view!, hash: sha256.create(), state: "offered" as Transfer["state"], hashed: 0, bytes: 0, channel: undefined as Channel | undefined,
});
