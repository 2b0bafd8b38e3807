// A conversation over one pipe after another: messages, names and leaving. reliable.ts has what was said until the other side's
// reader has it. chat for a browser.

import { equal, text, utf8 } from "./bytes.ts";
import type { Reader } from "./event.ts";
import { Failure, sleep, type Kind } from "./failure.ts";
import { dateOf, decode, encode, json, kind, maxText, parseHello, type Frame, type FrameKind, type Hello, type Unread } from "./frame.ts";
import { Incoming } from "./incoming.ts";
import { draft, type Draft, type Letter } from "./letter.ts";
import { maxLetter } from "./mail.ts";
import { noJournal, type Correspondent, type FileName, type Journal, type Undelivered } from "./outbox.ts";
import { Keeping, type Keeper, type Known } from "./keep.ts";
import { after, goodbyeLate, hasHeard, hasSaid, lastFrames, type Leaving, type Step } from "./leaving.ts";
import { properName, stranger } from "./name.ts";
import type { Pipe } from "./pipe.ts";
import { ReliableStream, type Heard } from "./reliable.ts";
import { away, type Saved } from "./resume.ts";
import { HelloWait } from "./ring.ts";

const unmet = new Set<Kind>(["silent", "declined", "unanswered"]); // why no conversation begins on a pipe
const wordsDiffer = "words-differ"; // the body of a goodbye, if that is why
const replaced = new Failure("ended", "Another connection has taken the place of this one.");
const maxAway = 60_000; // ms that this side waits for another page

export class Conversation {
  #name: string;
  readonly #reader: Reader;
  readonly #keeper: Keeper;
  readonly #contact: Known | undefined;
  readonly keeping: Keeping;
  readonly #stream: ReliableStream;
  readonly #incoming: Incoming;
  readonly #parting = new AbortController(); // aborted when the state is no longer "open"
  #leaving: Leaving = "open";
  #told: boolean; // the reader knows that the two have met
  #overheard = false; // the safety words differ
  #rename: "told" | "untold" = "told"; // whether the other side knows this side's name
  #away: number | undefined; // ms to wait for the other side's page
  #closed = false; // which did not come back
  #pipe: Pipe | undefined; // once both hellos are there
  #wakeSender: () => void = () => {};
  #stored: Pick<Hello, "first" | "heard">; // what the journal was last told of
  dropped = 0; // frames that made no sense
  journal: Journal = noJournal;
  filesOnTheirWay: () => readonly FileName[] = () => [];

  /** contact: whom the conversation is with, if they have kept each other before. */
  constructor(name: string, reader: Reader, keeper: Keeper, contact?: Correspondent, saved?: Saved) {
    this.#name = name;
    this.#reader = reader;
    this.#keeper = keeper;
    this.#contact = contact;
    this.#told = saved !== undefined;
    this.keeping = new Keeping(keeper, (k, body) => { this.put(k, body); }, (news) => { this.#incoming.peerName = news.kept ?? this.#incoming.peerName; reader.keeping(news); }, saved?.keep);
    this.#stream = new ReliableStream(saved, contact?.heard, contact?.undelivered);
    this.#stored = this.#stream.place;
    this.#incoming = new Incoming(reader, this.#stream, keeper, this.keeping, contact);
    if (!saved) {
      for (const { id, of } of contact?.undelivered?.files ?? []) this.put(kind.cancel, json({ id, of, reason: "the page was closed" }));
      return;
    }
    this.#incoming.peerName = saved.peer.name;
    this.#incoming.partial = saved.partial;
  }

  save(): Saved {
    const stream = this.#stream.save();
    return { ...stream, peer: { ...stream.peer, name: this.#incoming.peerName }, name: this.#name, partial: this.#incoming.partial, keep: this.keeping.state };
  }

  /** What the next tab needs to go on with what the contact does not have. */
  get undelivered(): Undelivered {
    return { ...this.#stream.saveFrames(), files: this.filesOnTheirWay() };
  }

  /** Whether what was not delivered can still be: the other side has not said goodbye. */
  get resumable(): boolean {
    return !hasHeard(this.#leaving) || this.#closed;
  }

  /** Returns a letter with the messages after the ID after; bare: also if there are none. */
  letter(after: number, bare: boolean): Draft {
    return draft(this.#stream.place, this.#stream.unacknowledged, after, maxLetter, bare);
  }

  /** Whether the two can keep each other: they are no contacts yet, and the other side's program can. */
  get peerKeeps(): boolean {
    return !this.#contact && this.#stream.peerKeeps;
  }

  get id(): string {
    return this.#stream.id;
  }

  /** The messages that are not delivered yet. */
  get waiting(): Unread[] {
    return this.#stream.unacknowledged.filter((f) => f.kind === kind.message).map((f) => ({ id: f.seq, text: text(f.body), at: dateOf(f.at) }));
  }

  /** The other side's conversation. A program that was started again has a new one, and none of the files. */
  get peer(): string {
    return this.#stream.peer;
  }

  /** The last of this side's frames that an earlier program of the other side received, and not its current one. */
  get receivedBefore(): number {
    return this.#stream.receivedBefore;
  }

  get heard(): Heard {
    return this.#stream.heard;
  }

  get connected(): Pipe | undefined {
    return this.#pipe;
  }

  get full(): boolean {
    return this.#stream.full;
  }

  get parting(): boolean {
    return this.#leaving !== "open";
  }

  /** Says text, now or as soon as there is a pipe; delivered will name the ID. It throws a RangeError for a person to read. */
  say(message: string): number {
    const body = utf8(message);
    if (body.length > maxText) throw new RangeError(`This message is too long: ${body.length} bytes, of at most ${maxText}. Send it in parts, or as a file.`);
    if (this.full) throw new RangeError("Too much is waiting to be delivered. Try again in a moment.");
    return this.put(kind.message, body);
  }

  /** Changes the name that the other side sees. */
  rename(name: string) {
    this.#name = name;
    this.#rename = "untold";
    this.#wakeSender();
  }

  put(k: FrameKind, body: Uint8Array): number {
    const seq = this.#stream.put(k, body);
    this.journal.changed();
    this.#wakeSender();
    return seq;
  }

  /** Says goodbye once every message has gone out; overheard: because the safety words differ. */
  leave(overheard = false) {
    this.#overheard ||= overheard;
    if (this.#leaving === "open") this.#move("leave");
    this.#wakeSender();
  }

  #move(step: Step) {
    this.#leaving = after(this.#leaving, step) ?? this.#leaving;
    this.#parting.abort();
  }

  /** Tells the other side that this page is closed or reloading; false if that cannot be sent. */
  pause(): boolean {
    const p = this.#pipe;
    return p !== undefined && !p.met.foreign && p.send(encode({ kind: kind.away, seq: away / 1000, body: new Uint8Array() }));
  }

  /** Says goodbye at once, for a page that is being closed: it sends what the channel takes. */
  abandon() {
    this.leave();
    const p = this.#pipe;
    if (!p) return;
    for (let f = this.#next(p.met.foreign); f; f = this.#next(p.met.foreign)) if (!this.#write(p, f)) break;
  }

  /** Holds the conversation over the pipes that next brings, until one side leaves. */
  async run(next: (signal: AbortSignal) => Promise<Pipe>, signal: AbortSignal): Promise<void> {
    for (let moved: Pipe | undefined; ; ) {
      let pipe: Pipe;
      try {
        pipe = moved ?? (await this.#await(next, signal));
      } catch (e) {
        if (this.parting) return;
        throw e;
      }
      const why = await this.#talk(pipe, signal);
      this.#pipe = moved = undefined;
      if (why === replaced && !signal.aborted) {
        moved = await pipe.next;
        this.#leaving = after(this.#leaving, "moved") ?? this.#leaving;
        pipe.listen(() => {}); // what still comes over it comes again
        continue;
      }
      pipe.close();
      (await pipe.next)?.close(); // it is too late
      if (this.parting) return;
      signal.throwIfAborted();
      if (unmet.has(why.kind)) throw why;
      this.#reader.disconnected(this.#away !== undefined ? `The other side closed or reloaded its page. If the page is not back within ${this.#away / 1000} s, the call ends.`
        : why.kind === "ended" ? "The connection dropped." : why.message);
    }
  }

  /** Waits for a pipe. A page that is away has only as long as it asked for; then the conversation is over. */
  async #await(next: (signal: AbortSignal) => Promise<Pipe>, signal: AbortSignal): Promise<Pipe> {
    const late = this.#away === undefined ? [] : [AbortSignal.timeout(this.#away)];
    try {
      return await next(AbortSignal.any([signal, this.#parting.signal, ...late]));
    } catch (e) {
      if (late[0]?.aborted && !this.parting && !signal.aborted) {
        this.#closed = true;
        this.#move("heard");
        this.#reader.left(false, true);
      }
      throw e;
    }
  }

  /** Talks over one pipe, until it breaks or is replaced, or both sides have said goodbye. */
  async #talk(pipe: Pipe, signal: AbortSignal): Promise<Failure> {
    this.#stream.rewind();
    this.keeping.begin(pipe.met.contactKey);
    const over = new AbortController();
    const hangUp = new Failure("ended", "The conversation is over.");
    const ended = Promise.race([
      pipe.next.then((p) => (p ? replaced : pipe.ended)),
      goodbyeLate(this.#parting.signal, AbortSignal.any([over.signal, signal])).then(() => hangUp),
      new Promise<Failure>((resolve) => signal.addEventListener("abort", () => resolve(hangUp), { once: true })),
    ]);
    const wait = new HelloWait(pipe, () => this.#reader.ringing(), () => {
      void this.#contact?.declined(pipe.holds).catch(() => {}); // then both generations stay, and the next call takes longer
    });
    const greeted = () => {
      wait.end();
      this.#greeted(pipe);
    };
    if (pipe.met.foreign) this.#listenPlain(pipe, over.signal, greeted);
    else this.#listen(pipe, over.signal, wait, greeted);
    const why = await ended;
    wait.end();
    over.abort();
    this.#wakeSender(); // so that #send ends
    return pipe.met.foreign && why.kind === "ended" ? this.#plainGoodbye(why) : why;
  }

  #greeted(pipe: Pipe) {
    this.#pipe = pipe;
    this.#reader.connected(pipe, this.#incoming.peerName, this.#told);
    this.#told = true;
    const ask = () => pipe.send(encode(this.#stream.ack(true)!));
    void pipe.watch((path, rtt) => { if (this.#pipe === pipe) this.#reader.path(path, rtt); }, pipe.met.foreign ? undefined : ask);
    this.#wakeSender();
  }

  #listen(pipe: Pipe, over: AbortSignal, wait: HelloWait, greeted: () => void) {
    let state: "opened" | "introduced" | "greeted" = "opened";
    const introduce = () => {
      state = "introduced";
      this.#rename = "told";
      pipe.send(this.#stream.hello(this.#name, { stripes: pipe.moves, contacts: this.#keeper.able, ...(pipe.holds && { holds: pipe.holds }) }));
      void this.#send(pipe, over);
    };
    // Chromium calls a channel that the other side has made open a moment before it can send on it. That side speaks first.
    if (!pipe.met.announced) introduce();
    pipe.listen((m) => {
      if (state === "opened") introduce();
      const f = typeof m === "string" ? undefined : decode(m);
      if (f && state === "introduced" && wait.handle(f)) return;
      if (!f || (f.kind === kind.hello) === (state === "greeted")) this.dropped++;
      else if (state === "greeted") this.#handleFrame(f);
      else {
        const h = parseHello(f.body);
        if (!h) return void this.dropped++;
        state = "greeted";
        this.#incoming.peerName = this.#contact?.name ?? (this.keeping.name || properName(h.name));
        if (h.holds) void this.#contact?.shown(h.holds).catch(() => {}); // then both generations of keys stay
        this.#away = undefined;
        pipe.haves = h.haves ?? false;
        if (this.#stream.handleHello(h)) this.#incoming.partial = false;
        greeted();
        if (h.of === this.id) this.#sound(this.#incoming.ack(h.heard));
        this.#wakeSender();
      }
    });
  }

  #listenPlain(pipe: Pipe, over: AbortSignal, greeted: () => void) {
    this.#incoming.peerName = stranger;
    greeted();
    void this.#send(pipe, over);
    pipe.listen((m) => { this.#sound(this.#incoming.plain(m)); });
  }

  /** Writes every frame that is due, until the last goodbye is out or the pipe has ended. */
  async #send(pipe: Pipe, over: AbortSignal): Promise<void> {
    let ended = false;
    void pipe.ended.then(() => {
      ended = true;
      this.#wakeSender();
    });
    while (!ended && !over.aborted) {
      const f = this.#next(pipe.met.foreign);
      if (f) {
        if (!this.#write(pipe, f)) await pipe.room();
      } else if (this.#mayHangUp(pipe)) {
        await sleep(lastFrames, over).catch(() => {});
        pipe.close();
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wakeSender = resolve));
      }
    }
  }

  #write(pipe: Pipe, f: Frame): boolean {
    const plain = pipe.met.foreign;
    if (!(plain && f.kind !== kind.message) && !pipe.send(plain ? text(f.body) : encode(f))) return false;
    if (f.kind === kind.name) this.#rename = "told";
    else if (f.kind === kind.goodbye) this.#move("said");
    else if (plain) this.#stream.handleAck(f.seq); // a plain program does not acknowledge
    else this.#stream.sent(f);
    return true;
  }

  /** Returns the next frame to write. */
  #next(foreign: boolean): Frame | undefined {
    const ack = foreign ? undefined : this.#stream.ack();
    if (ack) return ack;
    const silent = foreign || hasSaid(this.#leaving);
    if (this.#rename === "untold" && !silent) return { kind: kind.name, seq: 0, body: utf8(this.#name) };
    const due = hasHeard(this.#leaving) ? undefined : this.#stream.next(), f = due && due.seq <= this.journal.stored ? due : undefined;
    if (due && !f && !this.journal.refused) return undefined;
    if (f?.kind === kind.keep || f?.kind === kind.kept) { // which only the other side's hello allows
      if (!foreign && !this.#pipe) return undefined;
      if (!this.#stream.peerKeeps) return { ...f, kind: kind.cancel, body: json({}) }; // of no file
    }
    if (f || !this.parting || silent) return f;
    return { kind: kind.goodbye, seq: this.#stream.acknowledged, body: utf8(this.#overheard ? wordsDiffer : "") };
  }

  /** Whether this side hangs up: the side that said goodbye first does, once the other side has acknowledged everything. */
  #mayHangUp(pipe: Pipe): boolean {
    return pipe.met.foreign ? this.parting : this.#leaving === "closing" && this.#stream.empty;
  }

  #handleFrame(f: Frame) {
    switch (f.kind) {
      case kind.ack:
        this.#sound(this.#incoming.ack(f.seq));
        break;
      case kind.goodbye:
        if (hasHeard(this.#leaving)) this.dropped++;
        else {
          const reply = this.#leaving === "said";
          this.#move("heard");
          this.#reader.left(reply, false, equal(f.body, utf8(wordsDiffer)));
        }
        break;
      case kind.name:
        this.#sound(this.#incoming.name(f.body));
        break;
      case kind.away:
        this.#away = Math.min(f.seq * 1000, maxAway);
        break;
      default:
        this.#sound(this.#incoming.frame(f));
    }
    this.#wakeSender();
  }

  /** Hands the reader what is in a letter of the contact, and reports whether it is whole, see Incoming. Only while there is no pipe. */
  open(l: Letter): boolean {
    const { sound, whole } = this.#incoming.letter(l);
    this.#sound(sound);
    this.#wakeSender();
    return whole;
  }

  /** Notes what the other side has said, and whether it made sense. */
  #sound(sound: boolean) {
    if (!sound) this.dropped++;
    const { first, heard } = this.#stream.place, changed = first !== this.#stored.first || heard !== this.#stored.heard;
    this.#stored = { first, heard };
    if (changed) this.journal.changed();
  }

  /** Goes on with what the journal has stored. */
  stored() {
    this.#wakeSender();
  }

  /** Takes the end of a plain program's channel for its goodbye. */
  #plainGoodbye(why: Failure): Failure {
    if (!this.parting) {
      this.#move("heard");
      this.#reader.left(false, false);
    }
    return why;
  }
}
