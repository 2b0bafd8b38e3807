// A DataChannel that carries whole messages, and what is known of the connection.

import type { Code } from "./code.ts";
import { Failure } from "./failure.ts";

export const chatLabel = "chat", fileLabel = "file", protocol = "p2pchat.v1";

const maxMessage = 256 << 10; // bytes
const enoughBuffered = 1 << 20; // on their way out, before a sender waits
// What comes before there is anybody to take it: more than the other side's outbox holds.
export const earlyMessages = 5000, earlyBytes = 8 << 20;
const statsInterval = 5000;

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
    this.opened = dc.readyState === "open" ? Promise.resolve() : Promise.race([new Promise((resolve) => (dc.onopen = resolve)), this.ended]);
    dc.binaryType = "arraybuffer";
    dc.bufferedAmountLowThreshold = enoughBuffered / 2;
    dc.onbufferedamountlow = () => this.#room.splice(0).forEach((f) => f());
    dc.onclose = () => this.end(new Failure("ended", "The other side hung up."));
    dc.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => this.#take(typeof data === "string" ? data : new Uint8Array(data));
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
      this.end(new Failure("lost", "The connection to the other side was lost."));
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
  #stats: ReturnType<typeof setInterval> | undefined;

  constructor(readonly pc: RTCPeerConnection, dc: RTCDataChannel, public met: Met) {
    super(dc);
    const changed = () => {
      const state = pc.connectionState;
      if (state === "disconnected" || state === "failed") this.end(new Failure("lost", "The connection to the other side was lost."));
    };
    pc.onconnectionstatechange = changed;
    changed(); // it may have, a moment ago
    pc.onicecandidate = null;
    this.settled = new Promise<void>((resolve) => (this.#settle = resolve));
    void this.ended.then(() => {
      clearInterval(this.#stats);
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

  /** Tells the way that packets take, and the time there and back in ms, now and then. */
  async watch(report: (path: Way, rtt: number | undefined) => void): Promise<void> {
    const look = async () => {
      const rtt = await this.#measure();
      report(this.path, rtt);
    };
    this.#stats = setInterval(() => void look(), statsInterval);
    await look();
  }

  async #measure(): Promise<number | undefined> {
    if (this.pc.connectionState === "closed") return undefined;
    const stats = new Map<string, Record<string, unknown>>();
    (await this.pc.getStats()).forEach((s: Record<string, unknown>) => stats.set(String(s.id), s));
    const transport = [...stats.values()].find((s) => s.type === "transport");
    const pair = stats.get(String(transport?.selectedCandidatePairId)) ??
      [...stats.values()].find((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded");
    if (!pair) return undefined;
    const ways: Way[] = ["host", "srflx", "prflx", "relay"];
    const way = (id: unknown) => ways.indexOf(stats.get(String(id))?.candidateType as Way);
    this.path = ways[Math.max(0, way(pair.localCandidateId), way(pair.remoteCandidateId))]!;
    return typeof pair.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : undefined;
  }

  onFile(handler: (dc: RTCDataChannel) => void) {
    this.#onFile = handler;
    this.#files.splice(0).forEach(handler);
  }

  /** Takes a channel that the other side has opened besides: for a file, or it is closed. */
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
