// A conversation over one pipe after another: what was said stays in the outbox until the other
// side's reader has it. When a pipe breaks, the next one goes on from there: nothing is lost, and
// nothing comes twice. It mirrors chat/talk.go.

import { base32, base64, fromBase64, random, text, utf8 } from "./bytes.ts";
import { Failure, kindOf, sleep } from "./failure.ts";
import { decode, encode, json, kind, maxText, Outbox, parse, parseHello, type Frame, type FrameKind, type Hello } from "./frame.ts";
import { properName, stranger } from "./name.ts";
import type { Pipe, Way } from "./pipe.ts";

const patience = 10_000; // ms that the other side's hello may take
const wordsDiffer = "words-differ"; // the body of a goodbye, if that is why
const farewell = 2000; // ms that a goodbye waits for the other side's goodbye
const lastWords = 200; // ms for what is on its way when this side hangs up
const away = 20_000; // ms that the other side waits for a page that was closed or is reloading
const mostAway = 60_000; // ms that this side waits for another page
/** ms after which a page that was told of no longer goes on: the rest of `away` is for meeting again. */
export const backIn = 10_000;

export interface Reader {
  connected(pipe: Pipe, name: string, again: boolean): void;
  path(way: Way, rtt: number | undefined): void;
  /** continues: it is more of the message before. */
  message(id: number, from: string, text: string, continues: boolean): void;
  delivered(id: number): void;
  disconnected(why: string): void;
  inputEnded(): void;
  renamed(was: string, now: string): void;
  /** closed: the other side closed its page. */
  left(reply: boolean, closed: boolean, overheard?: boolean): void;
  /** About a file: a frame of the other side, of its conversation `from`. */
  file(frame: FrameKind, seq: number, body: Record<string, unknown>, from: string): void;
}

/** What a page needs to go on with a conversation of an earlier one. */
export interface Saved {
  readonly id: string;
  readonly name: string;
  readonly peer: Hello;
  readonly heard: number;
  readonly partial: boolean;
  readonly last: number; // seq of this side
  readonly frames: [FrameKind, number, string][]; // not acknowledged: kind, seq, body in base64
}

export class Conversation {
  readonly id: string;
  readonly #out = new Outbox();
  readonly #parting = new AbortController();
  #peer: Hello = { conversation: "", name: "", first: 0, heard: 0, of: "" };
  #heard = 0; // the last seq of the other side that was taken, and shown
  #acked = 0; // and acknowledged
  #forgotten = 0;
  #partial = false; // the other side's last message goes on with its next one
  #strange = 0; // messages of a plain program
  #overheard = false; // the safety words differ
  #goodbye = false; // this side has said it
  #first = false; // before the other side did
  #untold = false; // this side has a new name that the other side does not know
  #left = false; // the other side has
  #away: number | undefined; // ms to wait for the other side's page
  #pipe: Pipe | undefined; // once both hellos are there
  #wake: () => void = () => {};
  dropped = 0; // frames that made no sense

  constructor(private name: string, private readonly reader: Reader, private readonly saved?: Saved) {
    this.id = saved?.id ?? base32(random(16));
    if (!saved) return;
    this.#peer = saved.peer;
    this.#heard = this.#acked = saved.heard;
    this.#partial = saved.partial;
    this.#out.restore(saved.last, saved.frames.map(([kind, seq, body]) => ({ kind, seq, body: fromBase64(body)! })));
  }

  save(): Saved {
    return {
      id: this.id, name: this.name, peer: this.#peer, heard: this.#heard, partial: this.#partial, last: this.#out.last,
      frames: this.#out.frames.map((f) => [f.kind, f.seq, base64(f.body)]),
    };
  }

  /** The messages that are not delivered yet. */
  get waiting(): { id: number; text: string }[] {
    return this.#out.frames.filter((f) => f.kind === kind.message).map((f) => ({ id: f.seq, text: text(f.body) }));
  }

  /** The other side's conversation. A program that was restarted has a new one, and none of the files. */
  get peer(): string {
    return this.#peer.conversation;
  }

  /** The last of this side's frames that the other side's program did not hear itself. */
  get forgotten(): number {
    return this.#forgotten;
  }

  get connected(): Pipe | undefined {
    return this.#pipe;
  }

  /** How many messages were said and not acknowledged. */
  get undelivered(): number {
    return this.#out.messages;
  }

  get full(): boolean {
    return this.#out.full;
  }

  get parting(): boolean {
    return this.#parting.signal.aborted;
  }

  /** Says text, now or as soon as the other side is there; delivered will name the ID. */
  say(message: string): number {
    const body = utf8(message);
    if (body.length > maxText) throw new RangeError(`This message is too long: ${body.length} bytes, and ${maxText} are the most. Send it in parts.`);
    if (this.full) throw new RangeError("Too much is waiting to be delivered. Try again in a moment.");
    return this.put(kind.message, body);
  }

  /** Changes the name that the other side sees. */
  rename(name: string) {
    this.name = name;
    this.#untold = true;
    this.#wake();
  }

  put(k: FrameKind, body: Uint8Array): number {
    const seq = this.#out.put(k, body);
    this.#wake();
    return seq;
  }

  /** Says goodbye once what was said has gone out; overheard: because the safety words differ. */
  leave(overheard = false) {
    this.#overheard ||= overheard;
    this.#parting.abort();
    this.#wake();
  }

  /** Tells the other side that this page is closed or reloading; false if that cannot be sent. */
  pause(): boolean {
    const p = this.#pipe;
    return p !== undefined && !p.met.foreign && p.send(encode({ kind: kind.away, seq: away / 1000, body: new Uint8Array() }));
  }

  /** Says goodbye at once, for a page that is being closed: what can go out goes out. */
  abandon() {
    this.leave();
    const p = this.#pipe;
    if (!p) return;
    for (let f = this.#next(p.met.foreign); f; f = this.#next(p.met.foreign)) if (!this.#write(p, f)) break;
  }

  /** Holds the conversation over the pipes that next brings, until one side leaves. */
  async run(next: (signal: AbortSignal) => Promise<Pipe>, signal: AbortSignal): Promise<void> {
    for (let again = this.saved !== undefined; ; again = true) {
      let pipe: Pipe;
      try {
        pipe = await this.#await(next, signal);
      } catch (e) {
        if (this.parting) return;
        throw e;
      }
      const why = await this.#talk(pipe, again, signal);
      this.#pipe = undefined;
      pipe.close();
      if (this.parting) return;
      signal.throwIfAborted();
      if (why.kind === "silent") throw why;
      this.reader.disconnected(this.#away !== undefined ? `The other side closed or reloaded its page. If the page is not back within ${this.#away / 1000} s, the call ends.`
        : why.kind === "ended" ? "The connection dropped." : why.message);
    }
  }

  /** Waits for a pipe; for a page that is away only as long as it asked, and then the conversation is over. */
  async #await(next: (signal: AbortSignal) => Promise<Pipe>, signal: AbortSignal): Promise<Pipe> {
    const late = this.#away === undefined ? [] : [AbortSignal.timeout(this.#away)];
    try {
      return await next(AbortSignal.any([signal, this.#parting.signal, ...late]));
    } catch (e) {
      if (late[0]?.aborted && !this.parting && !signal.aborted) {
        this.#left = true;
        this.reader.left(false, true);
        this.leave();
      }
      throw e;
    }
  }

  /** Talks over one pipe, until that breaks or both sides have said goodbye. */
  async #talk(pipe: Pipe, again: boolean, signal: AbortSignal): Promise<Failure> {
    this.#out.rewind();
    const over = new AbortController();
    const hangUp = new Failure("ended", "The conversation is over.");
    const ended = Promise.race([
      pipe.ended,
      this.#farewell(AbortSignal.any([over.signal, signal])).then(() => hangUp),
      new Promise<Failure>((resolve) => signal.addEventListener("abort", () => resolve(hangUp), { once: true })),
    ]);
    const silent = setTimeout(() => pipe.end(new Failure("silent", "The other side connected, but sent nothing that p2pchat understands.")), patience);
    const greeted = () => {
      clearTimeout(silent);
      this.#pipe = pipe;
      this.reader.connected(pipe, this.#peer.name, again);
      const ask = () => pipe.send(encode({ kind: kind.ack, seq: this.#acked, body: new Uint8Array() })); // once more
      void pipe.watch((way, rtt) => this.reader.path(way, rtt), pipe.met.foreign ? undefined : ask);
      this.#wake();
    };
    if (pipe.met.foreign) {
      this.#peer.name = stranger;
      greeted();
      void this.#send(pipe, over.signal);
      pipe.listen((m) => this.#hearPlain(m));
    } else {
      // A channel that the other side has made may call itself open a moment before Chromium can send on it.
      let begun = false, met = false;
      const begin = () => {
        if (begun) return;
        begun = true;
        pipe.send(this.#introduce());
        void this.#send(pipe, over.signal);
      };
      if (!pipe.met.announced) begin();
      pipe.listen((m) => {
        begin();
        const f = typeof m === "string" ? undefined : decode(m);
        if (!f || (f.kind === kind.hello) === met) this.dropped++;
        else if (met) this.#hear(f);
        else if (this.#greet(f)) {
          met = true;
          greeted();
          if (this.#peer.of === this.id) this.#delivered(this.#peer.heard);
        }
      });
    }
    const why = await ended;
    clearTimeout(silent);
    over.abort();
    this.#wake(); // and so send ends
    return pipe.met.foreign && why.kind === "ended" ? this.#plainGoodbye(why) : why;
  }

  #introduce(): Uint8Array {
    this.#acked = this.#heard;
    this.#untold = false;
    const hello: Hello = { conversation: this.id, name: this.name, first: this.#out.first, heard: this.#heard, of: this.#peer.conversation, parts: true };
    return encode({ kind: kind.hello, seq: 0, body: json(hello) });
  }

  /** Ends when a goodbye has waited long enough. */
  async #farewell(over: AbortSignal): Promise<void> {
    const parting = this.#parting.signal;
    if (!parting.aborted) await new Promise((resolve) => parting.addEventListener("abort", resolve, { once: true }));
    await sleep(farewell, over).catch(() => {});
  }

  /** Writes what there is to write, until the last goodbye is out, or the pipe has ended. */
  async #send(pipe: Pipe, over: AbortSignal): Promise<void> {
    let ended = false;
    void pipe.ended.then(() => {
      ended = true;
      this.#wake();
    });
    while (!ended && !over.aborted) {
      const f = this.#next(pipe.met.foreign);
      if (f) {
        if (!this.#write(pipe, f)) await pipe.room();
      } else if (this.#mayHangUp(pipe)) {
        await sleep(lastWords, over).catch(() => {});
        pipe.close();
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  #write(pipe: Pipe, f: Frame): boolean {
    const plain = pipe.met.foreign;
    if (!(plain && f.kind !== kind.message) && !pipe.send(plain ? text(f.body) : encode(f))) return false;
    if (f.kind === kind.ack) this.#acked = f.seq;
    else if (f.kind === kind.name) this.#untold = false;
    else if (f.kind === kind.goodbye) [this.#goodbye, this.#first] = [true, !this.#left];
    else if (plain) this.#out.ack(f.seq); // sent is all one can know
    else this.#out.sent();
    return true;
  }

  /** The next frame to write. */
  #next(foreign: boolean): Frame | undefined {
    const none = new Uint8Array();
    if (this.#heard > this.#acked && !foreign) return { kind: kind.ack, seq: this.#heard, body: none };
    if (this.#untold && !foreign && !this.#goodbye) return { kind: kind.name, seq: 0, body: utf8(this.name) };
    const f = this.#left ? undefined : this.#out.next();
    if (f) return f;
    if (this.parting && !this.#goodbye && !foreign) return { kind: kind.goodbye, seq: this.#out.first - 1, body: this.#overheard ? utf8(wordsDiffer) : none };
    return undefined;
  }

  /** Tells whether this side hangs up: the side that said goodbye first does, once the last acknowledgements are there. */
  #mayHangUp(pipe: Pipe): boolean {
    if (pipe.met.foreign) return this.parting;
    return this.#goodbye && this.#left && this.#first && this.#out.frames.length === 0;
  }

  #greet(f: Frame): boolean {
    const h = parseHello(f.body);
    if (!h) {
      this.dropped++;
      return false;
    }
    h.name = properName(h.name);
    this.#away = undefined;
    if (h.conversation !== this.#peer.conversation) { // a program that is new to this one
      this.#heard = this.#acked = Math.max(h.first, 1) - 1;
      this.#partial = false;
    }
    this.#forgotten = Math.max(this.#out.first - 1, h.of === this.id ? h.heard : 0);
    this.#peer = h;
    return true;
  }

  #hear(f: Frame) {
    switch (f.kind) {
      case kind.ack:
        this.#delivered(f.seq);
        break;
      case kind.goodbye:
        if (this.#left) this.dropped++;
        else {
          this.#left = true;
          this.reader.left(this.#goodbye, false, text(f.body) === wordsDiffer);
          this.leave();
        }
        break;
      case kind.name:
        this.#renamed(f.body);
        break;
      case kind.away:
        this.#away = Math.min(f.seq * 1000, mostAway);
        break;
      default:
        if (f.seq === this.#heard + 1) this.#take(f);
        else if (f.seq > this.#heard) this.dropped++; // or else it came before, on another pipe
    }
    this.#wake();
  }

  /** Hands the reader what is next. */
  #take(f: Frame) {
    if (f.kind === kind.message || f.kind === kind.part) {
      let message: string;
      try {
        message = text(f.body);
      } catch {
        this.dropped++;
        return;
      }
      this.reader.message(f.seq, this.#peer.name, message, this.#partial);
      this.#partial = f.kind === kind.part;
    } else if (f.kind === kind.end) {
      this.reader.inputEnded();
    } else {
      const body = parse(f.body);
      if (body) this.reader.file(f.kind, f.seq, body, this.#peer.conversation);
      else this.dropped++;
    }
    this.#heard = f.seq;
  }

  #renamed(body: Uint8Array) {
    const was = this.#peer.name;
    try {
      this.#peer.name = properName(text(body));
    } catch {
      this.dropped++;
    }
    if (this.#peer.name !== was) this.reader.renamed(was, this.#peer.name);
  }

  #delivered(seq: number) {
    const gone = this.#out.ack(seq);
    if (!gone) this.dropped++;
    else for (const f of gone) if (f.kind === kind.message) this.reader.delivered(f.seq);
    this.#wake();
  }

  #hearPlain(m: Uint8Array | string) {
    try {
      this.reader.message(++this.#strange, stranger, typeof m === "string" ? m : text(m), false);
    } catch {
      this.dropped++;
    }
  }

  /** The only goodbye that a plain program knows. */
  #plainGoodbye(why: Failure): Failure {
    if (!this.parting) this.reader.left(false, false);
    this.#parting.abort();
    return why;
  }
}

/** Makes an error of run fit for a person. */
export const reason = (e: unknown): Failure =>
  kindOf(e) ? (e as Failure) : new Failure("refused", e instanceof Error ? e.message : String(e));
