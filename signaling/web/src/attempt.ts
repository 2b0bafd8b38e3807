// One RTCPeerConnection, from its description to an open channel with a person who knows the code: peer/attempt.go for a
// browser.

import { base64 } from "./bytes.ts";
import { candidateText, CandidateLimit, CandidateSender, maxCandidates, readCandidates, tolerated, withoutBase } from "./candidates.ts";
import { lobby, same, type Code } from "./code.ts";
import { checkCertificate, invalid, newConnection, readDescription, saysUnread, type RemoteDescription } from "./descriptions.ts";
import { Failure, isAbort, kindOf } from "./failure.ts";
import { Proposal, respond, type Document, type SealedNote, type SessionKeys } from "./handshake.ts";
import { chatLabel, hold, isReliable, lateCandidates, Pipe, protocol } from "./pipe.ts";
import { forever, type Documents, type Ticket } from "./store.ts";

export const connectLimit = 15_000; // ms
const connectNotice = 3000; // ms
const firstCandidate = 20; // ms that an answer waits for its first candidate, to take it along
const maxEarly = 64; // channels that open before the two trust each other

/** An offer as the callee read it. */
export interface Offer {
  readonly code: Code;
  readonly body: string;
  readonly version: string;
  readonly interruptions: number; // of the Store by then
}

export interface Report {
  waiting(code: Code): void;
  connecting(): void;
  slow(): void;
}

/** How an attempt ended: with a pipe, with a newer offer to answer instead, or with an error. */
export interface Outcome {
  pipe?: Pipe;
  newer?: Offer | undefined;
  error?: unknown;
}

export class Attempt {
  readonly #store: Documents;
  readonly #ticket: Ticket;
  readonly #code: Code;
  readonly #config: RTCConfiguration;
  readonly #publish: (body: string, signal: AbortSignal) => Promise<unknown>;
  readonly #report: Report;
  readonly outcome: Promise<Outcome>;
  readonly #resolve: (o: Outcome) => void;
  readonly #pc: RTCPeerConnection;
  readonly #life = new AbortController();
  readonly #signal: AbortSignal;
  readonly #limits: CandidateLimit; // on the other side's candidates
  readonly #sender: CandidateSender;

  #proposal: Proposal | undefined; // of a caller
  #keys: SessionKeys | undefined; // set once both descriptions are known
  #theirs: RemoteDescription | undefined; // the other side's description
  #reply: Document | undefined; // of a callee, until it has candidates to take along
  #published = false; // the server has this side's description
  #begun = 0; // when the connection had both descriptions
  #limit = connectLimit;
  #held: SealedNote[] = []; // this side's, until there are keys to seal them with
  #unused: unknown[] = []; // the other side's, until its description is in use
  #nonceStored = false; // the server has the caller's first note, which reveals its nonce
  #newer: Offer | undefined;
  #closed = false; // the server has closed the room
  #channel: RTCDataChannel | undefined; // open, and not used until the two trust each other
  #replay: ((dc: RTCDataChannel) => void) | undefined;
  #early: RTCDataChannel[] = []; // other channels that opened before the pipe
  #pipe: Pipe | undefined;

  constructor(
    store: Documents, ticket: Ticket, code: Code, config: RTCConfiguration, publish: (body: string, signal: AbortSignal) => Promise<unknown>, report: Report,
    signal: AbortSignal,
  ) {
    this.#store = store;
    this.#ticket = ticket;
    this.#code = code;
    this.#config = config;
    this.#publish = publish;
    this.#report = report;
    this.#signal = this.#life.signal;
    const given = () => { if (!this.#pipe) this.#life.abort(signal.reason); }; // later, only end counts
    if (signal.aborted) given(); else signal.addEventListener("abort", given, { signal: this.#signal });
    let resolve!: (o: Outcome) => void;
    this.outcome = new Promise((r) => (resolve = r));
    this.#resolve = (o) => resolve({ newer: this.#newer, ...o });
    this.#signal.addEventListener("abort", () => resolve({ error: this.#signal.reason }), { once: true });
    this.#limits = new CandidateLimit(code.secret !== "");
    this.#sender = new CandidateSender(store, ticket, () => {
      this.#nonceStored = true;
      this.#guard(() => this.#openTrusted());
    }, (e) => {
      if (kindOf(e) !== "candidates-full") this.#guard(() => this.#roomLost(e));
    }, this.#signal);
    this.#pc = newConnection(config);
    this.#pc.onicecandidate = ({ candidate }) => { this.#gathered(candidate); };
    this.#pc.onconnectionstatechange = () => {
      if (this.#pc.connectionState === "failed") this.#fail(new Failure("no-path", "The two machines could not reach each other: no address answered."));
    };
    this.#pc.ondatachannel = ({ channel }) => { this.#announced(channel); };
  }

  /** Starts as the caller; the two have limit ms to connect once both descriptions are known. */
  async offer(limit: number): Promise<void> {
    this.#limit = limit;
    const dc = this.#pc.createDataChannel(chatLabel, { protocol });
    dc.onopen = () => { this.#guard(() => this.#open(dc)); };
    const offer = await this.#pc.createOffer();
    this.#proposal = new Proposal(this.#code, offer.sdp!);
    this.#announce(this.#proposal.document);
    this.#send(this.#proposal.document);
    // Gathering begins with setLocalDescription, and the offer has no candidates: so it can go out first.
    await this.#pc.setLocalDescription(offer);
  }

  /** Starts as the callee. */
  async answer(o: Offer): Promise<void> {
    const { document: offer, foreign } = (this.#theirs = readDescription(o.body));
    if (foreign && this.#code.secret !== "") {
      throw new Failure("impostor", "The caller in this room uses another program, which cannot check the code.");
    }
    await this.#connect("offer", offer.sdp);
    const answer = await this.#pc.createAnswer();
    let reply: Document = { type: "answer", sdp: answer.sdp! };
    if (!foreign) {
      [this.#keys, reply] = respond(this.#code, offer, answer.sdp!);
      this.#announce(reply);
    }
    // In the open lobby another guest may take over the token's place after the caller has read this answer.
    this.#readCandidates(this.#inLobby ? { ...this.#ticket, token: "" } : this.#ticket);
    this.#reply = reply;
    if (foreign) this.#sendReply();
    else setTimeout(() => this.#sendReply(), firstCandidate);
    await this.#pc.setLocalDescription(answer);
  }

  /** Takes a newer offer of the callee's room. */
  replaced(o: Offer) {
    if (!this.unproven) {
      this.#resolve({ newer: o });
      return;
    }
    // The caller has refused this answer, or never saw it: the server tells which.
    const first = !this.#newer;
    this.#newer = o;
    if (first && this.#published) void this.#askWhetherRefused();
  }

  /** Notes that the server has closed the room. */
  closed() {
    this.#closed = true;
    if (this.#published && this.unproven) this.#guard(() => this.#roomLost(new Failure("closed", "The call is over.")));
  }

  get sawClosed(): boolean {
    return this.#closed;
  }

  /** Whether a callee still waits for the caller's proof that it knows the code. */
  get unproven(): boolean {
    return this.#ticket.side === "answer" && !this.#inLobby && !this.#theirs?.foreign && !this.#keys?.proven;
  }

  get #inLobby(): boolean {
    return same(this.#code, { room: lobby, secret: "" });
  }

  /**
   * Ends what the attempt started. A connection that became a Pipe stays open, and the candidates that are on their way still come and go: a
   * browser knows only from them that an address is a relay's.
   */
  end(): void {
    if (this.#pipe) return void setTimeout(() => { this.#life.abort(); }, lateCandidates);
    this.#life.abort();
    this.#pc.close();
  }

  #fail(error: unknown) {
    this.#resolve({ error });
  }

  /** Runs a step; an error that it throws ends the attempt. */
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

  /** Uses the other side's description: from here on the time to connect counts. */
  async #connect(type: "offer" | "answer", sdp: string): Promise<void> {
    try {
      await this.#pc.setRemoteDescription({ type, sdp: this.#theirs!.foreign ? this.#limits.bounded(sdp) : sdp });
    } catch {
      throw invalid();
    }
    this.#begun = performance.now();
    this.#report.connecting();
    const limit = setTimeout(() => this.#fail(new Failure("no-path", `The two machines could not reach each other within ${Math.round(this.#limit / 1000)} seconds.`)), this.#limit);
    const notice = setTimeout(() => this.#report.slow(), connectNotice);
    void this.outcome.then(() => {
      clearTimeout(limit);
      clearTimeout(notice);
    });
  }

  /** Takes the answer as the caller, who uses nothing of it before the callee has proven that it knows the code. */
  async #answered(body: string): Promise<void> {
    const { document: answer, foreign } = (this.#theirs = readDescription(body));
    if (!foreign) this.#keys = this.#proposal!.verify(answer);
    else if (this.#code.secret !== "") throw new Failure("unproven", "A person answered who does not know the code.");
    this.#readCandidates(this.#ticket);
    await this.#connect("answer", answer.sdp);
    if (!foreign) {
      this.#tell({ nonce: btoa(String.fromCharCode(...this.#proposal!.nonce)) });
      const sent = answer.p2pchat?.candidates;
      if (Array.isArray(sent)) this.#add(sent.slice(0, maxCandidates));
    }
    this.#held.splice(0).forEach((n) => this.#tell(n));
    this.#add(this.#unused.splice(0));
  }

  /** Whether this side can move the connection: what a move finds must not show an address that the relay hides. */
  get #moves(): boolean {
    return this.#config.iceTransportPolicy !== "relay";
  }

  /** Says in a description what this side can do. */
  #announce(d: Document) {
    d.p2pchat!.renews = true;
    if (this.#moves) d.p2pchat!.moves = true;
  }

  /** Publishes this side's description, and then what waits for that. */
  #send(d: Document) {
    this.#guard(async () => {
      try {
        await this.#publish(JSON.stringify(d), this.#signal);
      } catch (e) {
        if (!isAbort(e, this.#signal)) throw e;
        return;
      }
      this.#published = true;
      if (this.#ticket.side === "offer") {
        this.#report.waiting(this.#code);
        void this.#readAnswer();
      } else if (this.#newer) {
        void this.#askWhetherRefused();
      } else if (this.#closed && this.unproven) {
        this.closed();
      }
      this.#sender.start();
    });
  }

  #sendReply() {
    if (!this.#reply || this.#signal.aborted) return;
    const reply = this.#reply;
    this.#reply = undefined;
    this.#send(reply);
  }

  async #readAnswer(): Promise<void> {
    try {
      const d = await this.#store.description(this.#ticket, "answer", "", forever, this.#signal);
      this.#guard(() => this.#answered(d.body));
    } catch (e) {
      if (!isAbort(e, this.#signal)) this.#guard(() => this.#roomLost(e));
    }
  }

  /** Ends the attempt for a newer offer; with the error "wrong-code" if the caller has refused this answer. */
  async #askWhetherRefused(): Promise<void> {
    try {
      await this.#store.candidates(this.#ticket, "offer", 0, 0, this.#signal);
      this.#resolve({});
    } catch (e) {
      if (!isAbort(e, this.#signal)) this.#guard(async () => {
        await this.#roomLost(e);
        this.#resolve({});
      });
    }
  }

  /** Handles that the server tells no more of the room. */
  async #roomLost(why: unknown): Promise<void> {
    const kind = kindOf(why);
    if (this.#begun === 0) throw why;
    if (this.unproven && kind === "turned-down") await this.#turnedDown();
    else if (this.unproven && kind === "closed" && this.#published && this.#code.secret !== "") {
      this.#fail(new Failure("wrong-code", "Wrong code, or the caller has just hung up.", true));
    }
    // Otherwise the two, which have both descriptions, may still connect.
  }

  /** Ends the attempt because the caller has replaced its offer: for a wrong code, or, as the newer offer says, without reading the answer. */
  async #turnedDown(): Promise<void> {
    const room: Ticket = { ...this.#ticket, token: "" };
    const newer = this.#newer ?? await this.#store.description(room, "offer", "", 0, this.#signal).catch(() => undefined);
    if (saysUnread(newer?.body ?? "")) this.#resolve({});
    else this.#fail(new Failure("wrong-code", "Wrong code."));
  }

  // Candidates.

  #gathered(c: RTCIceCandidate | null) {
    const n: SealedNote = c ? c.toJSON() : { candidate: "", sdpMid: "0", sdpMLineIndex: 0 };
    if (this.#config.iceTransportPolicy === "relay") n.candidate = withoutBase(n.candidate!);
    if (this.#begun === 0) this.#held.push(n);
    else this.#tell(n);
  }

  /** Tells the other side a note: with this side's answer, if that is still here, and in the list. */
  #tell(n: SealedNote) {
    const foreign = this.#theirs!.foreign;
    if (foreign && !n.candidate) return; // a plain program may not know the empty candidate
    const body = foreign ? JSON.stringify(n) : this.#keys!.seal(n);
    if (this.#reply?.p2pchat) {
      (this.#reply.p2pchat.candidates ??= []).push(JSON.parse(body));
      const { port1, port2 } = new MessageChannel(); // browsers delay timers in hidden tabs by up to a second
      port1.onmessage = () => { this.#sendReply(); };
      port2.postMessage(null);
    }
    this.#sender.send(body);
  }

  #readCandidates(ticket: Ticket) {
    void readCandidates(this.#store, ticket, (list) => {
      if (this.#begun === 0) this.#unused.push(...list);
      else this.#add(list);
    }, (e) => this.#guard(() => this.#roomLost(e)), this.#signal);
  }

  /** Uses the other side's candidates, but those over the limit and those that were not sealed as they should be. */
  #add(list: unknown[]) {
    const foreign = this.#theirs!.foreign;
    for (const c of list) {
      const n = foreign ? (c as SealedNote | null) : this.#keys!.open(c), text = candidateText(n);
      if (text === undefined || !this.#limits.accepts(text)) continue;
      this.#pc.addIceCandidate(foreign ? tolerated(n!) : n).catch(() => {}); // the browser cannot parse or resolve it
    }
    this.#guard(() => this.#openTrusted());
  }

  // Channels.

  #announced(dc: RTCDataChannel) {
    dc.binaryType = "arraybuffer";
    if (this.#pipe) this.#pipe.announced(dc);
    else if (!this.#theirs?.foreign && dc.label !== chatLabel && this.#early.length < maxEarly) this.#early.push(dc);
    else if (this.#ticket.side === "offer") dc.close();
    else if (dc.readyState === "open") this.#guard(() => this.#open(dc));
    else dc.onopen = () => { this.#guard(() => this.#open(dc)); };
  }

  /** Whether both sides have shown that they know the code. */
  get #trusted(): boolean {
    return this.#theirs!.foreign || (!!this.#keys?.proven && (this.#ticket.side === "answer" || this.#nonceStored));
  }

  async #openTrusted(): Promise<void> {
    if (this.#channel && this.#trusted && !this.#pipe) await this.#open(this.#channel);
  }

  /** Makes the channel a Pipe as soon as the other side has shown that it knows the code. */
  async #open(dc: RTCDataChannel): Promise<void> {
    if (this.#signal.aborted || this.#pipe) return;
    const { foreign, fingerprint } = this.#theirs!;
    if ((!foreign && (dc.label !== chatLabel || dc.protocol !== protocol || !isReliable(dc))) || (this.#channel && this.#channel !== dc)) {
      dc.close();
      return;
    }
    if (!this.#channel) {
      this.#channel = dc;
      this.#replay = hold(dc);
    }
    if (!this.#trusted) return;
    checkCertificate(this.#pc, fingerprint);
    const keys = this.#keys;
    const pipe = new Pipe(this.#pc, dc, {
      code: this.#code, announced: this.#ticket.side === "answer", foreign, verified: !!keys && this.#code.secret !== "", safetyWords: keys?.safetyWords() ?? [],
      next: keys?.next(), contactKey: keys ? base64(keys.contact()) : "", took: performance.now() - this.#begun,
    });
    this.#pipe = pipe;
    pipe.servers = this.#config.iceServers!;
    const dialect = foreign ? undefined : this.#theirs!.document.p2pchat;
    pipe.moves = this.#moves && dialect?.moves === true;
    pipe.renews = dialect?.renews === true;
    this.#replay!(dc);
    this.#early.splice(0).forEach((c) => pipe.announced(c));
    this.#pc.ondatachannel = ({ channel }) => { pipe.announced(channel); };
    this.#resolve({ pipe });
  }
}
