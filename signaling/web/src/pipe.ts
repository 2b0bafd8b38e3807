// A DataChannel with backpressure, and the connection that the chat has. peer/pipe.go for a browser.

import { candidateType } from "./candidates.ts";
import type { Code } from "./code.ts";
import { Failure } from "./failure.ts";
import type { Moved, PathKind } from "./path.ts";

export const chatLabel = "chat", fileLabel = "file", apartLabel = "apart", moveLabel = "move", renewLabel = "renew", protocol = "p2pchat.v1";

const maxMessage = 256 << 10; // bytes
const enoughBuffered = 1 << 20; // bytes in the browser's buffer at which a sender waits
// Messages held before listen is called: more than the other side's outbox has.
const earlyMessages = 5000, earlyBytes = 8 << 20;
// ms between two checks; without a packet before this side asks for one; and before the connection counts as lost.
const checkInterval = 400, quietLimit = 1000, lossLimit = 2400;
const checksPerReport = 12;
export const lateCandidates = 2000; // ms after the connection in which candidates still count: less than until the kind of a path is certain
const lost = "The connection to the other side was lost.";

/** A connection as the attempt that made it knows it. */
export interface Met {
  readonly code: Code;
  readonly announced: boolean; // the other side has made the channel
  readonly foreign: boolean; // a plain WebRTC program, which gets plain texts
  readonly verified: boolean; // both sides knew the code's secret
  readonly safetyWords: string[];
  readonly next: Code | undefined; // where these two can meet again
  readonly contactKey: string; // from which the two derive the keys of contacts, in base64; empty for a plain program
  readonly took: number; // ms, from both descriptions to the open channel
}

/** A channel for messages, with backpressure for a sender. */
export class Channel {
  /** Resolves when messages can be sent, or the channel has ended. */
  readonly opened: Promise<unknown>;
  /** Resolves with the reason when the channel has ended. */
  readonly ended: Promise<Failure>;
  #end!: (why: Failure) => void;
  #early: (Uint8Array | string)[] | undefined = [];
  #earlyBytes = 0;
  #handler: (message: Uint8Array | string) => void = () => {};
  #room: (() => void)[] = [];

  constructor(readonly dc: RTCDataChannel) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    void this.ended.then(() => this.#room.splice(0).forEach((f) => f()));
    this.opened = dc.readyState === "open" ? Promise.resolve() : Promise.race([new Promise((resolve) => { dc.onopen = resolve; }), this.ended]);
    dc.binaryType = "arraybuffer";
    dc.bufferedAmountLowThreshold = enoughBuffered / 2;
    dc.onbufferedamountlow = () => { this.#room.splice(0).forEach((f) => f()); };
    dc.onclose = () => { this.end(new Failure("ended", "The other side hung up.")); };
    dc.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => { this.#handle(typeof data === "string" ? data : new Uint8Array(data)); };
    if (dc.readyState === "closing" || dc.readyState === "closed") this.end(new Failure("ended", "The other side hung up.")); // no event follows
  }

  #handle(message: Uint8Array | string) {
    if (message.length > maxMessage) return;
    if (!this.#early) {
      this.#handler(message);
      return;
    }
    this.#earlyBytes += message.length;
    if (this.#early.length < earlyMessages && this.#earlyBytes < earlyBytes) this.#early.push(message);
    else this.close();
  }

  /** Gives the handler each message, first those that were held. */
  listen(handler: (message: Uint8Array | string) => void) {
    this.#handler = handler;
    const waiting = this.#early ?? [];
    this.#early = undefined;
    waiting.forEach(handler);
  }

  /** Sends at once; false if the channel is full or closed: then wait for room. */
  send(message: Uint8Array | string): boolean {
    if (this.dc.readyState !== "open" || this.dc.bufferedAmount > enoughBuffered) return false;
    try {
      this.dc.send(message as string);
      return true;
    } catch { // the channel has ended, and its event follows
      this.end(new Failure("lost", lost));
      return false;
    }
  }

  /** Resolves when send may succeed, or the channel has ended. */
  async room(): Promise<void> {
    if (this.dc.readyState !== "open") await this.ended;
    else if (this.dc.bufferedAmount > enoughBuffered) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  end(why: Failure) {
    this.#end(why);
  }

  close() {
    this.dc.close();
    this.end(new Failure("ended", "The connection was closed."));
  }
}

/** The chat channel of a connection, once the two sides have proven what they can. */
export class Pipe extends Channel {
  path: PathKind = "host";
  heard = false; // the other side has sent something
  haves = false; // it reads over stripes how much of a file has arrived
  holds = ""; // between contacts: the ID of the keys that this side has stored for this connection
  servers: RTCIceServer[] = []; // with which the two met
  moves = false; // both sides can move the connection
  renews = false; // and renew it
  moved: Moved | undefined; // why it has taken the place of another one, if it has
  readonly begun = performance.now();
  /** Resolves with the Pipe that takes the place of this one, or with undefined once this one has ended without. A Mover calls replace. */
  readonly next: Promise<Pipe | undefined>;
  replace!: (next: Pipe | undefined) => void;
  onMove: (dc: RTCDataChannel) => void = (dc) => { dc.close(); };
  /** Resolves with the other side's first message, or with the end. */
  readonly settled: Promise<unknown>;
  #settle!: () => void;
  #onFile: ((dc: RTCDataChannel) => void) | undefined;
  #files: RTCDataChannel[] = [];

  constructor(readonly pc: RTCPeerConnection, dc: RTCDataChannel, public met: Met) {
    super(dc);
    this.next = new Promise((resolve) => (this.replace = resolve));
    const changed = () => {
      const state = pc.connectionState;
      if (state === "disconnected" || state === "failed") this.end(new Failure("lost", lost));
    };
    pc.onconnectionstatechange = changed;
    changed(); // the state may have changed before
    pc.onicecandidate = null;
    this.settled = new Promise<void>((resolve) => (this.#settle = resolve));
    void this.ended.then(() => {
      this.#settle();
      pc.close();
    });
  }

  override listen(handler: (message: Uint8Array | string) => void) {
    super.listen((m) => {
      this.heard = true;
      this.#settle();
      handler(m);
    });
  }

  /**
   * Reports the kind of path that packets take and their round-trip time in ms, and ends a pipe without packets. `ask`, which is called
   * after quietLimit, sends a frame that the other machine's SCTP acknowledges; without `ask` only the browser notices a loss.
   */
  async watch(report: (path: PathKind, rtt: number | undefined) => void, ask?: () => void): Promise<void> {
    let over = false;
    const ended = this.ended.then(() => (over = true));
    for (let n = 0, heard = NaN, silent = 0, last = performance.now(); ; n++) {
      const now = await this.#measure();
      if (over) return;
      if (n % checksPerReport === 0 || now.path !== this.path) report((this.path = now.path), now.rtt);
      const at = performance.now();
      silent = now.heard > 0 && now.heard === heard ? silent + Math.min(at - last, quietLimit) : 0; // a longer time means that this page slept
      [heard, last] = [now.heard, at];
      if (ask && silent >= lossLimit) this.end(new Failure("lost", lost));
      else if (silent >= quietLimit) ask?.();
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, checkInterval))]);
    }
  }

  /** Resolves when no candidate that is on its way can show either side any more that an address is a relay's. */
  async certain(): Promise<void> {
    const { path } = await this.#measure();
    if (path === "prflx" || path === "relay") await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, lateCandidates))]);
  }

  async #measure(): Promise<{ path: PathKind; rtt: number | undefined; heard: number }> {
    const stats = new Map<string, Record<string, unknown>>();
    if (this.pc.connectionState !== "closed") (await this.pc.getStats()).forEach((s: Record<string, unknown>) => stats.set(String(s.id), s));
    const transport = [...stats.values()].find((s) => s.type === "transport");
    const pairs = [...stats.values()].filter((s) => s.type === "candidate-pair");
    const count = (n: unknown) => (typeof n === "number" ? n : 0);
    const heard = pairs.reduce((sum, p) => sum + count(p.bytesReceived) + count(p.requestsReceived) + count(p.responsesReceived), 0);
    const pair = stats.get(String(transport?.selectedCandidatePairId)) ?? pairs.find((p) => p.nominated && p.state === "succeeded");
    if (!pair) return { path: this.path, rtt: undefined, heard };
    const kinds: PathKind[] = ["host", "srflx", "prflx", "relay"], { localDescription: ours, remoteDescription: theirs } = this.pc;
    const rank = (id: unknown, side: RTCSessionDescription | null) => kinds.indexOf(candidateType(stats.get(String(id)), side?.sdp ?? "") as PathKind);
    const found = kinds[Math.max(0, rank(pair.localCandidateId, ours), rank(pair.remoteCandidateId, theirs))]!;
    const path = found === "prflx" && this.moved?.renewed ? this.moved.from : found; // it stood before the candidate came, and goes as before
    return { path, rtt: typeof pair.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : undefined, heard };
  }

  onFile(handler: (dc: RTCDataChannel) => void) {
    this.#onFile = handler;
    this.#files.splice(0).forEach(handler);
  }

  /** Takes another channel that the other side has opened, and closes it if it is for no file, no stripe and no move. A side that hides its address has no stripes. */
  announced(dc: RTCDataChannel) {
    const ours = dc.protocol === protocol && isReliable(dc);
    if (ours && (this.moves && dc.label === moveLabel || this.renews && dc.label === renewLabel)) this.onMove(dc);
    else if (!ours || dc.label !== fileLabel && !(this.moves && dc.label === apartLabel)) dc.close();
    else if (this.#onFile) this.#onFile(dc);
    else if (this.#files.length < 64) this.#files.push(dc);
    else dc.close();
  }

  /** Opens a channel for a file. */
  openFile(): RTCDataChannel {
    return this.pc.createDataChannel(fileLabel, { protocol });
  }
}

/** Reports whether a channel is ordered and loses no message. */
export const isReliable = (dc: RTCDataChannel): boolean => dc.ordered && dc.maxRetransmits === null && dc.maxPacketLifeTime === null;

/** Holds the messages of a channel, as many as the other side's outbox may have; the function that it returns gives them to a new handler. */
export function hold(dc: RTCDataChannel): (dc: RTCDataChannel) => void {
  const held: MessageEvent[] = [];
  let bytes = 0;
  dc.binaryType = "arraybuffer";
  dc.onmessage = (m: MessageEvent<ArrayBuffer | string>) => {
    bytes += typeof m.data === "string" ? m.data.length : m.data.byteLength;
    if (held.length < earlyMessages && bytes < earlyBytes) held.push(m);
    else dc.close();
  };
  return (dc) => held.forEach((m) => dc.onmessage?.(m));
}
