// One RTCPeerConnection, from its description to an open channel with somebody who knows
// the code: peer/attempt.go for a browser.

import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { hex } from "./bytes.ts";
import { Candidates } from "./candidates.ts";
import { lobby, same, type Code } from "./code.ts";
import { Failure, isAbort, kindOf } from "./failure.ts";
import { Proposal, respond, Trust, type Document, type Note } from "./handshake.ts";
import { chatLabel, earlyBytes, earlyMessages, Pipe, protocol, whole } from "./pipe.ts";
import { forever, other, type Store, type Ticket } from "./store.ts";

export const connectLimit = 15_000; // ms
const connectNotice = 3000; // ms
const firstCandidate = 20; // ms that an answer waits for the first one to take along
const maxCandidates = 256; // that are read of the other side

/** An offer as the callee read it. */
export interface Offer {
  readonly code: Code;
  readonly body: string;
  readonly version: string;
}

export interface Report {
  waiting(code: Code): void;
  connecting(): void;
  slow(): void;
  dropped(why: string): void;
}

/** What became of an attempt: a pipe, a newer offer to answer instead, an error. */
export interface Outcome {
  pipe?: Pipe;
  newer?: Offer | undefined;
  error?: unknown;
}

export class Attempt {
  readonly outcome: Promise<Outcome>;
  readonly #settle: (o: Outcome) => void;
  readonly #pc: RTCPeerConnection;
  readonly #life = new AbortController();
  readonly #signal: AbortSignal;

  #proposal: Proposal | undefined; // the caller's
  #trust: Trust | undefined; // none before both descriptions are there
  #foreign = false;
  #published = false; // this side's description is at the server
  readonly #theirs: Candidates;
  #held: Note[] = []; // of this side, until there is somebody to seal them for
  #outgoing: string[] = []; // sealed, until they are sent
  #sending = false;
  #sent = 0;
  #told = false; // the server has the first of them: with the caller's nonce
  #reply: Document | undefined; // the callee's, until it has candidates to take along
  #limit = connectLimit;
  #begun = 0; // when both descriptions were there
  #promised = ""; // fingerprint of the other side's certificate
  #channel: RTCDataChannel | undefined; // open, and held until the two trust each other
  #early: RTCDataChannel[] = []; // other channels that came before
  #newer: Offer | undefined;
  #closed = false; // the room was, as its reader says
  #pipe: Pipe | undefined;

  constructor(
    private readonly store: Store, private readonly ticket: Ticket, private readonly code: Code, private readonly config: RTCConfiguration,
    private readonly publish: (body: string, signal: AbortSignal) => Promise<unknown>, private readonly report: Report, signal: AbortSignal,
  ) {
    this.#signal = AbortSignal.any([signal, this.#life.signal]);
    let settle!: (o: Outcome) => void;
    this.outcome = new Promise((resolve) => (settle = resolve));
    this.#settle = (o) => settle({ newer: this.#newer, ...o });
    this.#signal.addEventListener("abort", () => settle({ error: this.#signal.reason }), { once: true });
    this.#theirs = new Candidates(code.secret !== "");
    this.#pc = connection(config);
    this.#pc.onicecandidate = ({ candidate }) => { this.#trickle(candidate); };
    this.#pc.onconnectionstatechange = () => {
      if (this.#pc.connectionState !== "failed") return;
      this.#fail(new Failure("no-path", "The two machines could not reach each other: no address answered."));
    };
    this.#pc.ondatachannel = ({ channel }) => { this.#announced(channel); };
  }

  /** Begins as the caller, who gives the two so many ms to connect. */
  async offer(limit: number): Promise<void> {
    this.#limit = limit;
    const dc = this.#pc.createDataChannel(chatLabel, { protocol });
    dc.onopen = () => { this.#guard(() => this.#open(dc)); };
    const offer = await this.#pc.createOffer();
    this.#proposal = new Proposal(this.code, offer.sdp!);
    this.#send(this.#proposal.document);
    // The offer is on its way before gathering starts here: it holds no candidate.
    await this.#pc.setLocalDescription(offer);
  }

  /** Begins as the callee. */
  async answer(o: Offer): Promise<void> {
    const offer = this.#read(o.body);
    if (this.#foreign && this.code.secret !== "") {
      throw new Failure("impostor", "The caller in this room uses another program, which cannot check the code.");
    }
    await this.#meet("offer", offer);
    const answer = await this.#pc.createAnswer();
    let reply: Document = { type: "answer", sdp: answer.sdp! };
    if (!this.#foreign) [this.#trust, reply] = respond(this.code, offer, answer.sdp!);
    // In a room for all, somebody may take the token's place though the caller has read this answer.
    void this.#readCandidates(this.#forAll ? { ...this.ticket, token: "" } : this.ticket);
    this.#reply = reply;
    if (this.#foreign) this.#dispatch();
    else setTimeout(() => this.#dispatch(), firstCandidate);
    await this.#pc.setLocalDescription(answer);
  }

  /** A newer offer came to the callee. */
  replaced(o: Offer) {
    if (!this.#unproven) {
      this.#settle({ newer: o });
      return;
    }
    // Its answer was turned down, or came too late: only the token tells.
    const first = !this.#newer;
    this.#newer = o;
    if (first && this.#published) void this.#lookAgain();
  }

  /** The room was closed. */
  closed() {
    this.#closed = true;
    if (this.#published && this.#unproven) this.#lost(new Failure("closed", "The call is over."));
  }

  /** Whether closed was called and meant nothing to this attempt. */
  get sawClosed(): boolean {
    return this.#closed;
  }

  /** Whether a callee still waits for the caller to show that it has the same code. */
  get #unproven(): boolean {
    return this.ticket.side === "answer" && !this.#forAll && !this.#foreign && !this.#trust?.proven;
  }

  get unproven(): boolean {
    return this.#unproven;
  }

  get #forAll(): boolean {
    return same(this.code, { room: lobby, secret: "" });
  }

  /** Ends what the attempt started; a connection that a Pipe has lives on. */
  end() {
    this.#life.abort();
    if (!this.#pipe) this.#pc.close();
  }

  #fail(error: unknown) {
    this.#settle({ error });
  }

  /** Runs a step; what it throws is the end. */
  #guard(step: () => unknown) {
    void (async () => {
      try {
        await step();
      } catch (e) {
        this.#fail(e);
      }
    })();
  }

  // Descriptions.

  #read(body: string): Document {
    let d: Document;
    try {
      d = JSON.parse(body) as Document;
      this.#promised = fingerprint(d.sdp);
    } catch (e) {
      throw e instanceof Failure ? e : new Failure("garbled", "The other side's description makes no sense.");
    }
    this.#foreign = typeof d.p2pchat !== "object" || d.p2pchat === null;
    if (!this.#foreign && d.sdp.includes("a=candidate")) {
      // Ours come sealed. Before the other side has proven anything, no packet goes out.
      throw new Failure("garbled", "The other side's description has candidates that are not sealed.");
    }
    return d;
  }

  async #meet(type: "offer" | "answer", d: Document): Promise<void> {
    try {
      await this.#pc.setRemoteDescription({ type, sdp: this.#foreign ? this.#theirs.bounded(d.sdp) : d.sdp });
    } catch {
      throw new Failure("garbled", "The other side's description makes no sense.");
    }
    this.#begun = performance.now();
    this.report.connecting();
    const limit = setTimeout(() => this.#fail(new Failure("no-path", `The two machines could not reach each other within ${Math.round(this.#limit / 1000)} seconds.`)), this.#limit);
    const notice = setTimeout(() => this.report.slow(), connectNotice);
    void this.outcome.then(() => {
      clearTimeout(limit);
      clearTimeout(notice);
    });
  }

  /** Takes the answer as the caller, who uses nothing of it before it has proven itself. */
  async #answered(body: string): Promise<void> {
    const answer = this.#read(body);
    if (!this.#foreign) this.#trust = this.#proposal!.settle(answer);
    else if (this.code.secret !== "") throw new Failure("unproven", "A person answered who does not know the code.");
    void this.#readCandidates(this.ticket);
    await this.#meet("answer", answer);
    if (!this.#foreign) {
      this.#tell({ nonce: btoa(String.fromCharCode(...this.#proposal!.nonce)) });
      const theirs = answer.p2pchat?.candidates;
      if (Array.isArray(theirs)) this.#add(theirs.slice(0, maxCandidates));
    }
    this.#held.splice(0).forEach((n) => this.#tell(n));
    this.#add(this.#waiting.splice(0));
  }

  /** Publishes this side's description, then waits for the other side. */
  #send(d: Document) {
    this.#guard(async () => {
      try {
        await this.publish(JSON.stringify(d), this.#signal);
      } catch (e) {
        if (!isAbort(e, this.#signal)) throw e;
        return;
      }
      this.#published = true;
      if (this.ticket.side === "offer") {
        this.report.waiting(this.code);
        void this.#readAnswer();
      } else if (this.#newer) {
        void this.#lookAgain();
      } else if (this.#closed && this.#unproven) {
        this.closed();
      }
      void this.#pump();
    });
  }

  #dispatch() {
    if (!this.#reply || this.#signal.aborted) return;
    const reply = this.#reply;
    this.#reply = undefined;
    this.#send(reply);
  }

  // Candidates.

  #trickle(c: RTCIceCandidate | null) {
    const n: Note = c ? c.toJSON() : { candidate: "", sdpMid: "0", sdpMLineIndex: 0 };
    if (this.config.iceTransportPolicy === "relay") n.candidate = n.candidate!.replace(/ raddr (\S+) rport \d+/, (_, a: string) => ` raddr ${a.includes(":") ? "::" : "0.0.0.0"} rport 9`); // what it is to hide
    if (this.#begun === 0) this.#held.push(n);
    else this.#tell(n);
  }

  #tell(n: Note) {
    if (this.#foreign && !n.candidate) return; // such a program may take it for nonsense
    const body = this.#foreign ? JSON.stringify(n) : this.#trust!.seal(n);
    this.#outgoing.push(body);
    if (this.#reply?.p2pchat) {
      (this.#reply.p2pchat.candidates ??= []).push(JSON.parse(body));
      const { port1, port2 } = new MessageChannel(); // a timer may take a second where nobody looks
      port1.onmessage = () => { this.#dispatch(); };
      port2.postMessage(null);
    }
    void this.#pump();
  }

  /** Sends what waits, as much as there is in one request. */
  async #pump(): Promise<void> {
    await Promise.resolve(); // all of this step go together
    if (this.#sending || !this.#published) return;
    this.#sending = true;
    try {
      while (this.#outgoing.length > 0) {
        const batch = this.#outgoing.splice(0);
        const at = this.ticket.room === lobby ? -1 : this.#sent; // the list may hold those of somebody else
        this.#sent += batch.length;
        await this.store.addCandidates(this.ticket, at, batch, this.#signal);
        this.#told = true;
        this.#guard(() => this.#openHeld());
      }
      this.#sending = false;
    } catch (e) {
      if (kindOf(e) === "candidates-full") this.report.dropped("The server takes no more candidates.");
      else if (!isAbort(e, this.#signal)) this.#guard(() => this.#lost(e));
    }
  }

  readonly #waiting: unknown[] = []; // the other side's, until its description is in use

  async #readCandidates(as: Ticket): Promise<void> {
    try {
      for (let after = 0; after < maxCandidates; ) {
        const list = (await this.store.candidates(as, other(this.ticket.side), after, forever, this.#signal)).slice(0, maxCandidates - after);
        after += list.length;
        if (this.#begun === 0) this.#waiting.push(...list);
        else this.#add(list);
      }
    } catch (e) {
      if (!isAbort(e, this.#signal)) this.#guard(() => this.#lost(e));
    }
  }

  async #readAnswer(): Promise<void> {
    try {
      const d = await this.store.description(this.ticket, "answer", "", forever, this.#signal);
      this.#guard(() => this.#answered(d.body));
    } catch (e) {
      if (!isAbort(e, this.#signal)) this.#guard(() => this.#lost(e));
    }
  }

  /** Finds out whether this side was turned down. */
  async #lookAgain(): Promise<void> {
    try {
      await this.store.candidates(this.ticket, "offer", 0, 0, this.#signal);
      this.#settle({});
    } catch (e) {
      if (!isAbort(e, this.#signal)) this.#guard(() => {
        this.#lost(e);
        this.#settle({});
      });
    }
  }

  #add(list: unknown[]) {
    for (const c of list) {
      const n = this.#foreign ? (c as Note) : this.#trust!.open(c);
      if (n === "repeated") continue; // the first ones come with the answer and in the list
      if (typeof n === "string") {
        this.report.dropped("A candidate of the other side was not sealed as it should be.");
      } else if (n?.candidate && !this.#theirs.accepts(String(n.candidate))) {
        this.report.dropped("The other side names too many addresses.");
      } else if (n?.candidate) {
        // One that the browser does not understand, as a name that it cannot resolve, is left out.
        this.#pc.addIceCandidate(this.#foreign ? tolerated(n) : n).catch(() => this.report.dropped("A candidate of the other side makes no sense."));
      }
    }
    this.#guard(() => this.#openHeld());
  }

  /** What it means that the room says no more. */
  #lost(why: unknown) {
    const kind = kindOf(why);
    if (this.#begun === 0) throw why;
    if (this.#unproven && kind === "turned-down") this.#fail(new Failure("wrong-code", "Wrong code."));
    else if (this.#unproven && kind === "closed" && this.#published && this.code.secret !== "") {
      this.#fail(new Failure("wrong-code", "Wrong code, or the caller has just hung up."));
    }
    // With both descriptions there, the two may find each other all the same.
  }

  // Channels.

  #announced(dc: RTCDataChannel) {
    dc.binaryType = "arraybuffer";
    if (this.#pipe) this.#pipe.announced(dc);
    else if (!this.#foreign && dc.label !== chatLabel && this.#early.length < 64) this.#early.push(dc);
    else if (this.ticket.side === "offer") dc.close();
    else if (dc.readyState === "open") this.#guard(() => this.#open(dc));
    else dc.onopen = () => { this.#guard(() => this.#open(dc)); };
  }

  get #trusted(): boolean {
    return this.#foreign || (!!this.#trust?.proven && (this.ticket.side === "answer" || this.#told));
  }

  async #openHeld(): Promise<void> {
    if (this.#channel && this.#trusted && !this.#pipe) await this.#open(this.#channel);
  }

  /** Makes the Pipe of the channel, as soon as the other side has shown that it knows the code. */
  async #open(dc: RTCDataChannel): Promise<void> {
    if (this.#signal.aborted || this.#pipe) return;
    if ((!this.#foreign && (dc.label !== chatLabel || dc.protocol !== protocol || !whole(dc))) || (this.#channel && this.#channel !== dc)) {
      dc.close();
      return;
    }
    if (!this.#channel) {
      this.#channel = dc;
      this.#messages = hold(dc);
    }
    if (!this.#trusted) return;
    this.#check();
    const t = this.#trust;
    const pipe = new Pipe(this.#pc, dc, {
      code: this.code, announced: this.ticket.side === "answer", foreign: this.#foreign, verified: !!t && this.code.secret !== "", safetyWords: t?.safetyWords() ?? [],
      next: t?.next(), took: performance.now() - this.#begun,
    });
    this.#pipe = pipe;
    this.#messages!(dc);
    this.#early.splice(0).forEach((c) => pipe.announced(c));
    this.#pc.ondatachannel = ({ channel }) => { pipe.announced(channel); };
    this.#settle({ pipe });
  }

  #messages: ((dc: RTCDataChannel) => void) | undefined;

  /** Compares the certificate that the other side has shown, where the browser tells it. */
  #check() {
    const transport = this.#pc.sctp?.transport as (RTCDtlsTransport & { getRemoteCertificates?(): ArrayBuffer[] }) | undefined;
    const shown = transport?.getRemoteCertificates?.()[0];
    if (!shown) return; // the browser has compared it; there is one that it may be
    const [algorithm, value] = this.#promised.split(" ");
    const hash = { "sha-256": sha256, "sha-384": sha384, "sha-512": sha512 }[algorithm!];
    if (!hash || hex(hash(new Uint8Array(shown))) !== value!.replaceAll(":", "")) {
      throw new Failure("impostor", "The other side is not who it should be: it does not show the certificate that its description promised.");
    }
  }
}

/** A candidate as plain programs write it, in the form that every browser takes. */
function tolerated(n: Note): Note {
  const candidate = String(n.candidate).trim().replace(/^a=/, "");
  return typeof n.sdpMid === "string" || typeof n.sdpMLineIndex === "number" ? { ...n, candidate } : { candidate, sdpMLineIndex: 0 };
}

/** Keeps what arrives on a channel until somebody else listens: all that the other side may have in its outbox. */
function hold(dc: RTCDataChannel): (dc: RTCDataChannel) => void {
  const kept: MessageEvent[] = [];
  let bytes = 0;
  dc.binaryType = "arraybuffer";
  dc.onmessage = (m: MessageEvent<ArrayBuffer | string>) => {
    bytes += typeof m.data === "string" ? m.data.length : m.data.byteLength;
    if (kept.length < earlyMessages && bytes < earlyBytes) kept.push(m);
    else dc.close();
  };
  return (dc) => kept.forEach((m) => dc.onmessage?.(m));
}

/** A connection with those of the servers that the browser takes. */
function connection(config: RTCConfiguration): RTCPeerConnection {
  const fit = config.iceServers!.filter((s) => {
    try {
      new RTCPeerConnection({ iceServers: [s] }).close();
      return true;
    } catch {
      return false;
    }
  });
  return new RTCPeerConnection({ ...config, iceServers: fit });
}

/** The fingerprint of an SDP, "algorithm value", which has to be one. */
function fingerprint(sdp: string): string {
  const all = new Set<string>();
  for (const line of sdp.split(/[\r\n]+/)) {
    if (line.startsWith("a=fingerprint:")) all.add(line.slice("a=fingerprint:".length).trim().toLowerCase().replace(/ +/g, " "));
  }
  if (all.size !== 1) throw new Failure("garbled", "The other side's description has to have one fingerprint.");
  return [...all][0]!;
}
