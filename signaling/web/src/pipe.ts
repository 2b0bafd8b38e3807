// A DataChannel that carries whole messages, and what is known of the connection.

import type { Code } from "./code.ts";
import { Failure } from "./failure.ts";

export const chatLabel = "chat", fileLabel = "file", protocol = "p2pchat.v1";

const maxMessage = 256 << 10; // bytes
const enoughBuffered = 1 << 20; // on their way out, before a sender waits
// Messages that come before listen is called: more than the other side's outbox holds.
export const earlyMessages = 5000, earlyBytes = 8 << 20;
// ms from look to look; without a packet before this side asks for one; and before the connection is lost.
const beat = 400, quiet = 1000, silence = 2400;
const reports = 12; // looks from one report to the next
const lost = "The connection to the other side was lost.";

export type Way = "host" | "srflx" | "prflx" | "relay"; // the longest that a packet takes is the last

/** What the attempt that made a connection knows of it. */
export interface Met {
  readonly code: Code;
  readonly announced: boolean; // the other side has made the channel
  readonly foreign: boolean; // a plain WebRTC program: it is sent texts
  readonly verified: boolean; // both sides knew the code's secret
  readonly safetyWords: string[];
  readonly next: Code | undefined; // where these two can meet again
  readonly took: number; // ms, from both descriptions to the open channel
}

/** A channel as messages in, and messages out with backpressure. */
export class Channel {
  /** Settles when messages can be sent, or the channel has ended. */
  readonly opened: Promise<unknown>;
  /** Settles with the reason when the channel has ended. */
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
    dc.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => { this.#take(typeof data === "string" ? data : new Uint8Array(data)); };
    if (dc.readyState === "closing" || dc.readyState === "closed") this.end(new Failure("ended", "The other side hung up.")); // and no event will say so
  }

  #take(message: Uint8Array | string) {
    if (message.length > maxMessage) return;
    if (!this.#early) {
      this.#handler(message);
      return;
    }
    this.#earlyBytes += message.length;
    if (this.#early.length < earlyMessages && this.#earlyBytes < earlyBytes) this.#early.push(message);
    else this.close();
  }

  /** Hands over each message, those first that came before. */
  listen(handler: (message: Uint8Array | string) => void) {
    this.#handler = handler;
    const waiting = this.#early ?? [];
    this.#early = undefined;
    waiting.forEach(handler);
  }

  /** Sends at once; false if the channel is full or closed: wait for room then. */
  send(message: Uint8Array | string): boolean {
    if (this.dc.readyState !== "open" || this.dc.bufferedAmount > enoughBuffered) return false;
    try {
      this.dc.send(message as string);
      return true;
    } catch { // it has ended, whatever its events say yet
      this.end(new Failure("lost", lost));
      return false;
    }
  }

  /** Settles when send may succeed, or the channel has ended. */
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

/** The connection of two who trust each other as far as they can. */
export class Pipe extends Channel {
  path: Way = "host";
  heard = false; // something of the other side
  /** Settles with the other side's first message, or with the end. */
  readonly settled: Promise<unknown>;
  #settle!: () => void;
  /** Is told of each channel for a file that the other side opens. */
  #onFile: ((dc: RTCDataChannel) => void) | undefined;
  #files: RTCDataChannel[] = [];

  constructor(readonly pc: RTCPeerConnection, dc: RTCDataChannel, public met: Met) {
    super(dc);
    const changed = () => {
      const state = pc.connectionState;
      if (state === "disconnected" || state === "failed") this.end(new Failure("lost", lost));
    };
    pc.onconnectionstatechange = changed;
    changed(); // it may have, a moment ago
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
   * Tells the way that packets take, and the time there and back in ms; and ends a pipe over
   * which nothing comes. `ask` sends something that the other machine acknowledges by itself: it is
   * called when nothing has come for a while. Without it the browser has to notice by itself.
   */
  async watch(report: (path: Way, rtt: number | undefined) => void, ask?: () => void): Promise<void> {
    let over = false;
    const ended = this.ended.then(() => (over = true));
    for (let n = 0, heard = NaN, still = 0, last = performance.now(); ; n++) {
      const now = await this.#measure();
      if (over) return;
      if (n % reports === 0 || now.path !== this.path) report((this.path = now.path), now.rtt);
      const at = performance.now();
      still = now.heard > 0 && now.heard === heard ? still + Math.min(at - last, quiet) : 0; // what was longer, this page slept through
      [heard, last] = [now.heard, at];
      if (ask && still >= silence) this.end(new Failure("lost", lost));
      else if (still >= quiet) ask?.();
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, beat))]);
    }
  }

  async #measure(): Promise<{ path: Way; rtt: number | undefined; heard: number }> {
    const stats = new Map<string, Record<string, unknown>>();
    if (this.pc.connectionState !== "closed") (await this.pc.getStats()).forEach((s: Record<string, unknown>) => stats.set(String(s.id), s));
    const transport = [...stats.values()].find((s) => s.type === "transport");
    const pairs = [...stats.values()].filter((s) => s.type === "candidate-pair");
    const count = (n: unknown) => (typeof n === "number" ? n : 0);
    const heard = pairs.reduce((sum, p) => sum + count(p.bytesReceived) + count(p.requestsReceived) + count(p.responsesReceived), 0);
    const pair = stats.get(String(transport?.selectedCandidatePairId)) ?? pairs.find((p) => p.nominated && p.state === "succeeded");
    if (!pair) return { path: this.path, rtt: undefined, heard };
    const ways: Way[] = ["host", "srflx", "prflx", "relay"];
    const way = (id: unknown) => ways.indexOf(stats.get(String(id))?.candidateType as Way);
    const path = ways[Math.max(0, way(pair.localCandidateId), way(pair.remoteCandidateId))]!;
    return { path, rtt: typeof pair.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : undefined, heard };
  }

  onFile(handler: (dc: RTCDataChannel) => void) {
    this.#onFile = handler;
    this.#files.splice(0).forEach(handler);
  }

  /** Takes a further channel that the other side has opened. One that is not for a file is closed. */
  announced(dc: RTCDataChannel) {
    if (dc.label !== fileLabel || dc.protocol !== protocol || !whole(dc)) dc.close();
    else if (this.#onFile) this.#onFile(dc);
    else if (this.#files.length < 64) this.#files.push(dc);
    else dc.close();
  }

  /** Opens a channel for a file. */
  openFile(): RTCDataChannel {
    return this.pc.createDataChannel(fileLabel, { protocol });
  }
}

/** Whether a channel is ordered and loses nothing. */
export const whole = (dc: RTCDataChannel): boolean => dc.ordered && dc.maxRetransmits === null && dc.maxPacketLifeTime === null;
