// Files: what is said of them rides on the conversation, and is not lost; their bytes have
// a channel of their own, which the sending side opens again on every connection
// (docs/architecture.md). chat/transfer for a browser.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, equal, hex, readUint64, uint64 } from "./bytes.ts";
import type { Conversation } from "./conversation.ts";
import { json, kind, type FrameKind } from "./frame.ts";
import { properFile, properReason, visible } from "./name.ts";
import { Channel, type Pipe } from "./pipe.ts";
import { blobLimit, streams, type Landed, type Sink } from "./sink.ts";

const message = { begin: 1, have: 2, data: 3, done: 4 } as const; // the first byte of each on a file's channel

const maxFiles = 64; // of one side, offered or on their way
const moving = 4; // of this side that have a channel at a time
const chunk = 64 << 10, ahead = 2 << 20, haves = 128 << 10, block = 1 << 20; // bytes
const maxChannels = 16; // of the other side, at a time
const patience = 10_000; // ms that the first word on a channel may take
const maxFutile = 5; // channels in a row on which nothing moved
const maxLowered = 16; // times that the receiver may begin with less than it had
const anew = "the other side’s program was started again";
const retryInterval = 1000; // ms

/** Is told how a file proceeds. */
export interface FileView {
  /** It moves: the receiver has so many bytes. */
  progress(bytes: number): void;
  /** landed: of a file that this side has received; more: what a person should know beside. */
  done(sum: string, landed: Landed | undefined, more: string): void;
  failed(why: string): void;
}

interface Transfer {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly view: FileView;
  readonly hash: ReturnType<typeof sha256.create>;
  hashed: number; // bytes that are in it
  bytes: number; // that the receiver has
  accepted: boolean;
  ended: boolean;
  channel: Channel | undefined;
}

/** A file that this side sends. */
export interface Outgoing extends Transfer {
  readonly file: File;
  sum: Uint8Array | undefined; // of all of it, once all was sent
  futile: number;
  lowered: number; // times that the receiver had less than before
}

/** A file that the other side has offered. */
export interface Incoming extends Transfer {
  readonly of: string; // the conversation that counted the id
  readonly folder: boolean;
  readonly files: number; // in the folder
  sink: Sink | undefined;
  writing: Promise<void>;
  queued: number; // bytes that are not written yet
}

export class Files {
  readonly #out = new Map<number, Outgoing>();
  readonly #in = new Map<number, Incoming>();
  #pipe: Pipe | undefined;
  #channels = 0; // of the other side's files

  /** show makes the view of an offer of the other side. */
  constructor(private readonly talk: Conversation, private readonly show: (f: Omit<Incoming, "view">) => FileView) {}

  get #all(): (Outgoing | Incoming)[] {
    return [...this.#out.values(), ...this.#in.values()];
  }

  /** Offers a file. It throws RangeError where it cannot be. */
  offer(file: File, view: FileView): Outgoing {
    if (this.#out.size >= maxFiles || this.talk.full) throw new RangeError(`${maxFiles} files are on their way already. Send more when some have arrived.`);
    const modified = file.lastModified ? { modified: new Date(file.lastModified).toISOString() } : {};
    const id = this.talk.put(kind.offer, json({ name: file.name, size: file.size, mode: 0o644, ...modified }));
    const f: Outgoing = { ...fresh(id, file.name, file.size, view), file, sum: undefined, futile: 0, lowered: 0 };
    this.#out.set(id, f);
    return f;
  }

  /** Takes the file that the other side offered, into a sink. */
  accept(f: Incoming, sink: Sink) {
    if (f.ended || f.accepted) {
      sink.discard();
      return;
    }
    f.sink = sink;
    f.accepted = true;
    this.#note(kind.accept, f);
    f.view.progress(0);
  }

  /** Gives a file up, with a reason for the other side, and one for this side if that is another. */
  cancel(f: Outgoing | Incoming, why: string, here = why) {
    if (this.#end(f)) {
      if (!this.talk.parting) this.#note(kind.cancel, f, why);
      f.view.failed(here);
    }
  }

  /** Ends all files when the conversation does, and says how many there were. */
  abandon(why: string): number {
    const all = this.#all;
    all.forEach((f) => this.#fail(f, why));
    return all.length;
  }

  /** Cancels all files, because the page that has them is left, and says how many there were. */
  interrupt(why: string): number {
    const all = this.#all;
    all.forEach((f) => this.cancel(f, why));
    return all.length;
  }

  /** Goes on over the next pipe. known: the other side is the program that it was. */
  connected(pipe: Pipe, known: boolean) {
    this.#pipe = pipe;
    pipe.onFile((dc) => this.#receive(new Channel(dc)));
    void pipe.ended.then(() => this.#all.forEach((f) => f.channel?.close()));
    for (const f of this.#in.values()) if (!known) this.#fail(f, anew);
    for (const f of this.#out.values()) if (!known && (f.accepted || f.id <= this.talk.forgotten)) this.#fail(f, anew);
    this.#work();
  }

  /** Takes what the other side says of a file. */
  hear(said: FrameKind, seq: number, body: Record<string, unknown>, from: string) {
    if (said === kind.offer) {
      this.#offered(seq, body, from);
      return;
    }
    const id = Number(body.id);
    const mine = body.of === this.talk.id ? this.#out.get(id) : undefined;
    const f = mine ?? (body.of === from ? this.#in.get(id) : undefined);
    if (!f) return; // it has ended here
    if (said === kind.cancel) this.#fail(f, properReason(body.reason));
    else if (!mine) return;
    else if (said === kind.accept) {
      mine.accepted = true;
      this.#work();
    } else if (!mine.sum) {
      this.cancel(mine, "the receiver confirmed data that was not sent");
    } else if (this.#end(mine)) {
      mine.view.done(hex(mine.sum), undefined, typeof body.as === "string" ? `, saved as “${visible(body.as)}”` : "");
    }
  }

  #offered(id: number, body: Record<string, unknown>, from: string) {
    const { size, folder = false, files = 0 } = body;
    const counts = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
    if (!counts(size) || !counts(files) || this.#in.has(id)) return;
    const offer = {
      ...fresh(id, properFile(body.name), size), of: from, folder: folder === true, files, sink: undefined, writing: Promise.resolve(), queued: 0,
    };
    if (this.#in.size >= maxFiles || this.talk.full) {
      this.talk.dropped++;
      if (!this.talk.full) this.#note(kind.cancel, offer, "too many files are waiting for an answer");
      return;
    }
    const f: Incoming = Object.assign(offer, { view: this.show(offer) });
    this.#in.set(id, f);
    if (size > blobLimit && !streams()) this.cancel(f, `this browser keeps a file in memory until it is complete, so it takes ${blobLimit >> 30} GiB at most`);
  }

  #note(k: FrameKind, f: { id: number; of?: string }, reason?: string) {
    this.talk.put(k, json({ id: f.id, of: f.of ?? this.talk.id, ...(reason && { reason }) }));
  }

  #fail(f: Outgoing | Incoming, why: string) {
    if (this.#end(f)) f.view.failed(why);
  }

  /** Is true for the first who ends f. */
  #end(f: Outgoing | Incoming): boolean {
    if (f.ended) return false;
    f.ended = true;
    if ("of" in f) {
      this.#in.delete(f.id);
      f.channel?.close();
      f.sink?.discard();
    } else {
      this.#out.delete(f.id);
      f.channel?.close();
      this.#work();
    }
    return true;
  }

  // Sending.

  get #moving(): number {
    return [...this.#out.values()].filter((f) => f.channel).length;
  }

  /** Gives the next accepted files a channel. */
  #work() {
    const pipe = this.#pipe;
    if (!pipe || this.talk.connected !== pipe || this.talk.parting) return;
    for (const f of this.#out.values()) {
      if (this.#moving >= moving) return;
      if (f.accepted && !f.channel) void this.#ship(pipe, f);
    }
  }

  /** Sends a file, or the rest of it, over a channel of its own. */
  async #ship(pipe: Pipe, f: Outgoing): Promise<void> {
    const before = f.bytes;
    let channel: Channel;
    try {
      channel = f.channel = new Channel(pipe.openFile());
    } catch {
      return; // the pipe has ended
    }
    try {
      await this.#pour(channel, f);
    } catch {
      this.cancel(f, "the file can no longer be read");
    }
    channel.close();
    f.channel = undefined;
    if (f.ended) return;
    if (this.talk.connected !== pipe) return this.#work(); // which could not see that the file waits
    f.futile = f.bytes > before ? 0 : f.futile + 1;
    if (f.futile >= maxFutile) this.cancel(f, "the other side keeps closing the channel");
    else setTimeout(() => this.#work(), f.futile > 0 ? retryInterval : 0);
  }

  async #pour(channel: Channel, f: Outgoing): Promise<void> {
    let wake = () => {}, begun = false, over = false;
    void channel.ended.then(() => {
      over = true;
      wake();
    });
    const more = () => new Promise<void>((resolve) => (wake = resolve));
    channel.listen((m) => {
      const have = typeof m !== "string" && m[0] === message.have && m.length === 9 ? readUint64(m, 1) : NaN;
      const less = have < f.bytes && !begun && ++f.lowered <= maxLowered; // the receiver’s machine was restarted
      if (!((have >= f.bytes || less) && have <= f.hashed)) {
        this.cancel(f, "the receiver’s program made a mistake");
        return;
      }
      begun = true;
      f.bytes = have;
      if (!f.ended) f.view.progress(have);
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
        while (at - f.bytes >= ahead / Math.max(1, this.#moving) && !over) await more(); // so that chat stays quick
        at += bytes.length;
        if (at > f.hashed) { // what goes out again is in it already
          f.hash.update(bytes.subarray(bytes.length - (at - f.hashed)));
          f.hashed = at;
        }
        while (!over && !channel.send(concat(Uint8Array.of(message.data), bytes))) await channel.room();
      }
    }
    if (over) return;
    f.sum ??= f.hash.digest();
    while (!over && !channel.send(concat(Uint8Array.of(message.done), f.sum))) await channel.room();
    await channel.ended; // the other side's word comes on the conversation
  }

  // Receiving.

  /** Takes a file that comes over a channel which the other side has opened. */
  #receive(channel: Channel) {
    if (this.#channels >= maxChannels || ![...this.#in.values()].some((f) => f.accepted)) {
      channel.close(); // no file of this side is expected on it
      return;
    }
    this.#channels++;
    let f: Incoming | undefined, told = 0;
    const late = setTimeout(() => f ?? channel.close(), patience);
    void channel.ended.then(() => {
      clearTimeout(late);
      this.#channels--;
    });
    const have = (offset: number) => {
      told = offset;
      channel.send(concat(Uint8Array.of(message.have), uint64(offset)));
    };
    channel.listen((m) => {
      if (typeof m === "string" || m.length === 0) {
        channel.close();
      } else if (!f) {
        f = m[0] === message.begin && m.length === 9 ? this.#in.get(readUint64(m, 1)) : undefined;
        if (!f?.accepted || f.channel) {
          channel.close();
          return;
        }
        const mine = f;
        mine.channel = channel;
        void channel.ended.then(() => (mine.channel = undefined));
        void mine.writing.then(() => have(mine.bytes));
      } else if (f.ended) {
        channel.close();
      } else if (m[0] === message.data) {
        this.#write(f, m.subarray(1), () => f!.bytes - told >= haves || f!.bytes === f!.size ? have(f!.bytes) : undefined);
      } else if (m[0] === message.done && m.length >= 33) {
        const mine = f, sum = m.subarray(1, 33), spoiled = m.length > 33;
        void mine.writing.then(() => this.#landed(mine, sum, spoiled ? ". Files in it changed while it was sent: they are not complete" : ""));
      } else {
        this.cancel(f, "the sender’s program made a mistake");
      }
    });
  }

  #write(f: Incoming, bytes: Uint8Array, written: () => void) {
    f.queued += bytes.length;
    if (f.bytes + f.queued > f.size || f.queued > 2 * ahead) {
      this.cancel(f, "the sender sent more than it had offered");
      return;
    }
    const on = f.channel;
    f.writing = f.writing.then(async () => {
      if (f.ended || f.channel !== on) { // it comes again
        f.queued -= bytes.length;
        return;
      }
      try {
        await f.sink!.write(bytes);
      } catch (e) {
        f.queued -= bytes.length;
        this.cancel(f, `the file cannot be written: ${e instanceof Error ? e.message : String(e)}`);
        return;
      }
      f.hash.update(bytes);
      f.queued -= bytes.length;
      f.bytes += bytes.length;
      if (f.ended) return;
      f.view.progress(f.bytes);
      written();
    });
  }

  async #landed(f: Incoming, sum: Uint8Array, more: string): Promise<void> {
    if (f.ended) return;
    const mine = f.hash.clone().digest();
    if (f.bytes !== f.size || !equal(mine, sum)) {
      this.cancel(f, "the file was damaged on the way (its SHA-256 differs)");
      return;
    }
    let landed: Landed;
    try {
      landed = await f.sink!.finish();
    } catch (e) {
      this.cancel(f, `the file cannot be written: ${e instanceof Error ? e.message : String(e)}`);
      return;
    }
    if (f.ended) return;
    f.ended = true; // and the sink is not discarded
    this.#in.delete(f.id);
    this.#note(kind.received, f);
    f.view.done(hex(mine), landed, more);
  }
}

const fresh = (id: number, name: string, size: number, view?: FileView) => ({
  id, name, size, view: view!, hash: sha256.create(), hashed: 0, bytes: 0, accepted: false, ended: false, channel: undefined as Channel | undefined,
});
