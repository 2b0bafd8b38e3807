// Receives the files of the other side: chat/transfer/receiver.go for a browser.

import { acceptApart } from "./apart.ts";
import { Arrival, heldMost } from "./arrival.ts";
import { concat, equal, hex, readUint64, uint64 } from "./bytes.ts";
import type { Arrived } from "./download.ts";
import { apartLabel, Channel, type Pipe } from "./pipe.ts";
import { ended, type Incoming } from "./transfer.ts";

/** The first byte of each message on a file's channel. */
export const message = { begin: 1, have: 2, data: 3, done: 4, piece: 5 } as const;

const pieceHead = 1 + 8 + 8, sha256Size = 32; // bytes
const maxChannels = 16, maxAparts = 4; // of the other side, at a time
const maxWritten = 2048; // pieces at a time: more than become ready with one that was missing
const beginLimit = 10_000; // ms that the first message on a channel may take

/** What a Receiver asks of its Files. */
export interface Host {
  readonly incoming: ReadonlyMap<number, Incoming>;
  readonly cancel: (f: Incoming, why: string) => void;
  /** The file is complete and saved. */
  readonly received: (f: Incoming, sum: string, content: Arrived, more: string) => void;
}

export class Receiver {
  readonly #host: Host;
  readonly #open = new Set<Channel>(); // of files, and those that control stripes
  #striped: Incoming | undefined; // one file at a time has stripes, so that all together hold heldMost bytes

  constructor(host: Host) {
    this.#host = host;
  }

  /** Closes all channels. */
  close() {
    this.#open.forEach((c) => { c.close(); });
  }

  /** Takes a channel that the other side has opened, and closes it if no file is to come, or nothing comes. */
  accept(pipe: Pipe, dc: RTCDataChannel) {
    const channel = new Channel(dc), apart = dc.label === apartLabel, all = [...this.#open];
    if (all.length >= maxChannels || apart && all.filter((c) => c.dc.label === apartLabel).length >= maxAparts
      || ![...this.#host.incoming.values()].some((f) => f.state === "accepted")) {
      channel.close();
      return;
    }
    this.#open.add(channel);
    const late = setTimeout(() => { channel.close(); }, beginLimit), begun = () => { clearTimeout(late); };
    void channel.ended.then(() => {
      begun();
      this.#open.delete(channel);
    });
    if (apart) void acceptApart(pipe, channel, (stripe) => { this.#receiveStripe(pipe, channel, stripe, begun); });
    else this.#receiveFile(channel, begun);
  }

  /** Receives a file, or the rest of it. */
  #receiveFile(channel: Channel, begun: () => void) {
    let f: Incoming | undefined;
    channel.listen((m) => {
      if (typeof m === "string" || m.length === 0) {
        channel.close();
      } else if (!f) {
        f = this.#begin(m, channel);
        if (f) begun();
        else channel.close();
      } else if (ended(f) || f.channel !== channel) {
        channel.close();
      } else if (m[0] === message.data) {
        this.#take(f, f.arrival?.append(m.subarray(1)) ?? false);
      } else if (m[0] === message.done && m.length > sha256Size) {
        const mine = f, sum = m.subarray(1, 1 + sha256Size), spoiled = m.length > 1 + sha256Size; // JSON about files in a folder follows
        void mine.writing.then(() => this.#commit(mine, sum, spoiled ? ". Files in it changed while it was sent: they are not complete" : ""));
      } else {
        this.#mistake(f);
      }
    });
  }

  /** Takes the first message on a channel, and says where the sender is to begin; undefined if no file can be received. */
  #begin(m: Uint8Array, channel: Channel): Incoming | undefined {
    const f = m[0] === message.begin && m.length === 9 ? this.#host.incoming.get(readUint64(m, 1)) : undefined;
    if (f?.state !== "accepted" || f.channel) return undefined;
    f.channel = channel;
    void channel.ended.then(() => {
      f.channel = f.arrival = undefined;
      if (this.#striped === f) this.#striped = undefined;
    });
    void f.writing.then(() => {
      if (f.channel !== channel) return;
      f.arrival = new Arrival(f.size, f.bytes);
      channel.send(concat(Uint8Array.of(message.have), uint64(f.bytes)));
    });
    return f;
  }

  /** Receives pieces of a file over a stripe, until it ends or the file's channel does. */
  #receiveStripe(pipe: Pipe, control: Channel, stripe: Channel, begun: () => void) {
    let f: Incoming | undefined;
    stripe.listen((m) => {
      const of = typeof m !== "string" && m[0] === message.piece && m.length >= pieceHead ? this.#host.incoming.get(readUint64(m, 1)) : undefined;
      if (!of?.arrival || (f ?? this.#striped ?? of) !== of) {
        control.close();
        return;
      }
      if (!f) {
        begun();
        void of.channel!.ended.then(() => { control.close(); });
      }
      f = this.#striped = of;
      of.arrival.striped = true;
      const b = m as Uint8Array;
      this.#take(f, f.arrival!.take(readUint64(b, 9), b.subarray(pieceHead)), pipe.haves ? stripe : undefined);
    });
  }

  #mistake(f: Incoming) {
    this.#host.cancel(f, "the sender’s program made a mistake");
  }

  /** Writes what is in order now that something has come, and tells the sender over the stripe, too, if one is named; sound: an honest sender may send it. */
  #take(f: Incoming, sound: boolean, stripe?: Channel) {
    const a = f.arrival;
    if (!a || !sound || a.next - f.bytes > heldMost) {
      this.#mistake(f);
      return;
    }
    if (a.ready.length > 0) f.writing = f.writing.then(() => this.#write(f, a, stripe));
    this.#tell(f, a, stripe);
  }

  async #write(f: Incoming, a: Arrival, stripe?: Channel): Promise<void> {
    const bytes = concat(...a.ready.splice(0, maxWritten)); // to a disk, many small ones would take much longer
    if (ended(f) || f.arrival !== a || bytes.length === 0) return; // they come again, or were written with others
    try {
      await f.download!.write(bytes);
    } catch (e) {
      this.#host.cancel(f, unwritable(e));
      return;
    }
    f.hash.update(bytes);
    f.bytes += bytes.length;
    if (ended(f)) return;
    f.view.progress(f.bytes);
    this.#tell(f, a, stripe);
  }

  /** Tells the sender how much has arrived. */
  #tell(f: Incoming, a: Arrival, stripe?: Channel) {
    for (const [over, to] of [f.channel, stripe].entries()) {
      const have = to && f.arrival === a ? a.have(f.bytes, over as 0 | 1) : undefined;
      if (have) to!.send(concat(Uint8Array.of(message.have), have));
    }
  }

  /** Checks a complete file against the sender's hash and saves it. */
  async #commit(f: Incoming, sum: Uint8Array, more: string): Promise<void> {
    if (ended(f)) return;
    const mine = f.hash.clone().digest();
    if (f.bytes !== f.size || !equal(mine, sum)) {
      this.#host.cancel(f, "the file was damaged on the way (its SHA-256 differs)");
      return;
    }
    try {
      const content = await f.download!.commit();
      if (!ended(f)) this.#host.received(f, hex(mine), content, more);
    } catch (e) {
      this.#host.cancel(f, unwritable(e));
    }
  }
}

const unwritable = (e: unknown): string => `the file cannot be written: ${e instanceof Error ? e.message : String(e)}`;
