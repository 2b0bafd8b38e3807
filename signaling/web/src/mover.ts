// Moves a connection to a better path while it is used: peer/mover.go and peer/move.go for a browser. The two meet as they do after a
// loss, with the code of their rendezvous. Their documents go over a channel of the Pipe, not to the server:
//
//	either side                    channel "move"                     other side
//	  | opens it ─────────────────────────────────────────────────────────▶ |
//	  |     caller: offer ▶    ◀ callee: answer    candidates ◀▶ candidates |
//	  |◀═════════════════ a second connection, its Pipe ══════════════════▶|
//	  | stands ──────────────────────────────────────────────────────────▶ |
//	  | ◀────────────────────────────────────────────────────────── stands |
//
// A side that has both a new Pipe and the other side's "stands" takes the new Pipe. If the old connection ends before, a side with a new
// Pipe takes it. If the two disagree then, they meet at the server, as after each loss.
//
// A connection through a relay is renewed in the same way over a channel "renew", see peer/renew.go: the two meet at the server, where each
// gets new credentials, and only "stands" goes over the channel. No browser tells a page that a TURN server refuses to keep an allocation:
// the connection is lost then. So a page begins before its credentials end.

import { Attempt, connectLimit } from "./attempt.ts";
import { Carrier } from "./carrier.ts";
import { sleep } from "./failure.ts";
import { endOf, withoutTURN } from "./iceservers.ts";
import type { Reason } from "./path.ts";
import { Channel, moveLabel, protocol, renewLabel, type Pipe } from "./pipe.ts";
import { forever, newTicket, type Side } from "./store.ts";

const movesMost = 12, movesWithin = 3_600_000; // of each side, in ms: a malicious one can make this one gather candidates that often
const moveLimit = 20_000; // ms from the channel to both sides' "stands"
const retireLimit = 1000; // ms that a replaced Pipe goes on, because the other side may not have left it
const relayFirst = 2000, relayMost = 600_000; // ms before a connection through a relay looks for another path: then three times as long each time, up to this
const renewBefore = 60_000; // ms before the end of the credentials, or half of what is left, if that is less
const renewFirst = 5000, renewMost = 30_000; // ms between two attempts to renew: three times as long each time, up to this
const longestTimer = 2 ** 31 - 1; // ms
const endingLimit = 50; // ms: the channels of a connection end so much before it at most

/** Bounds how often something is done. */
class Budget {
  #spent: number[] = [];

  /** Reports whether it may be done once more, and counts that. */
  take(): boolean {
    const now = performance.now();
    this.#spent = this.#spent.filter((at) => now - at < movesWithin);
    return this.#spent.length < movesMost && this.#spent.push(now) > 0;
  }
}

/** The moves and renewals of a Session, of each side. */
export class Budgets {
  readonly #all = new Map<string, Budget>();

  take(label: string, theirs: boolean): boolean {
    const of = label + String(theirs), b = this.#all.get(of) ?? new Budget();
    this.#all.set(of, b);
    return b.take();
  }
}

interface Move {
  readonly label: string; // of its channel
  readonly theirs: boolean; // the other side began it
  readonly given: AbortController; // aborted to give it up
  stands: boolean; // this side has the new connection
}

/** Moves the connection of one Pipe. */
export class Mover {
  readonly #pipe: Pipe;
  readonly #side: Side;
  readonly #budgets: Budgets;
  readonly #meetAtServer: (signal: AbortSignal) => Promise<Pipe>;
  readonly #take: (next: Pipe) => void;
  readonly #life = new AbortController(); // of the Pipe, until another one takes its place
  #move: Move | undefined; // under way
  #running: Promise<void> | undefined;

  /** ahead: how many ms this machine's clock is ahead of the server's. take is called with the Pipe that takes the place of this one. */
  constructor(pipe: Pipe, side: Side, budgets: Budgets, ahead: number, meetAtServer: (signal: AbortSignal) => Promise<Pipe>, take: (next: Pipe) => void) {
    this.#pipe = pipe;
    this.#side = side;
    this.#budgets = budgets;
    this.#meetAtServer = meetAtServer;
    this.#take = take;
    pipe.onMove = (dc) => { this.#accept(dc); };
    if (pipe.moves) {
      if (side === "offer") void this.#leaveRelay().catch(() => {}); // it is for both sides; one of them tries
      onNetworkChange(() => { this.#moveNow(); }, this.#life.signal);
    }
    const left = endOf(pipe.servers) - (Date.now() - ahead); // ms
    if (pipe.renews && left > 0) void this.#renew(left).catch(() => {});
    void pipe.ended.then(async () => {
      this.#life.abort();
      if (!this.#move?.stands) this.#move?.given.abort();
      await this.#running;
      pipe.replace(undefined);
    });
  }

  /** Whether the connection can be moved over a channel with a label: both sides can, and the conversation has begun. */
  #ready(label: string): boolean {
    return (label === moveLabel ? this.#pipe.moves : this.#pipe.renews) && this.#pipe.heard && !this.#life.signal.aborted;
  }

  /** Takes the move that the other side begins, if one may begin. If both have begun, a renewal counts, and the caller's of two that are alike. */
  #accept(dc: RTCDataChannel) {
    const { label } = dc, move = this.#move;
    const yields = !move || move.theirs || (label === move.label ? this.#side === "answer" : label === renewLabel);
    if (!this.#ready(label) || !yields || !this.#budgets.take(label, true)) {
      dc.close();
      return;
    }
    move?.given.abort();
    this.#running = this.#start(dc, true, "");
  }

  /** Begins a move, if one may begin. */
  #begin(label: string, why: Reason | "") {
    if (!this.#ready(label) || this.#move || !this.#budgets.take(label, false)) return;
    this.#running = this.#start(this.#pipe.pc.createDataChannel(label, { protocol }), false, why);
  }

  /** Looks for another path again and again while the connection goes through a relay. A renewal has taken the direct one if there was one. */
  async #leaveRelay(): Promise<void> {
    for (let wait = this.#pipe.moved?.renewed ? relayMost : relayFirst; ; wait = Math.min(3 * wait, relayMost)) {
      await sleep(wait, this.#life.signal);
      if (this.#pipe.path === "relay") this.#begin(moveLabel, "relay");
    }
  }

  /** Renews a connection through a relay before the credentials end, in that many ms. */
  async #renew(left: number): Promise<void> {
    let wait = Math.min(Math.max(left - renewBefore, left / 2), longestTimer);
    for (let next = renewFirst; ; wait = next, next = Math.min(3 * next, renewMost)) {
      await sleep(wait, this.#life.signal);
      if (this.#pipe.path === "relay") this.#begin(renewLabel, "");
    }
  }

  /** Begins a move in place of one that began in another network. A renewal goes on: it takes a direct path if there is one. */
  #moveNow() {
    if (this.#move?.label === moveLabel && !this.#move.theirs && !this.#move.stands) {
      this.#move.given.abort();
      this.#move = undefined;
    }
    this.#begin(moveLabel, "address");
  }

  async #start(dc: RTCDataChannel, theirs: boolean, why: Reason | ""): Promise<void> {
    const move = (this.#move = { label: dc.label, theirs, given: new AbortController(), stands: false });
    const channel = new Channel(dc);
    let next: Pipe | undefined;
    try {
      next = await this.#run(move, channel, why);
    } catch {
      channel.close(); // and the connection stays as it is
    }
    if (this.#move === move) this.#move = undefined;
    if (next) this.#replace(next);
  }

  /** Makes a second connection, and returns its Pipe once the other side has it, too, or the first one is lost. */
  async #run(move: Move, channel: Channel, why: Reason | ""): Promise<Pipe> {
    const pipe = this.#pipe, k = new Carrier(channel, why);
    void pipe.ended.then(() => { channel.close(); });
    void channel.ended.then(async () => {
      if (!(await this.#ending())) move.given.abort(); // the other side has given up
    });
    const signal = AbortSignal.any([move.given.signal, AbortSignal.timeout(moveLimit)]);
    const renewed = move.label === renewLabel, next = await (renewed ? this.#meetAtServer(signal) : this.#meet(k, why, signal));
    move.stands = true;
    try {
      await Promise.race([k.stand(signal), pipe.ended]);
    } catch (e) {
      if (!(await this.#ending())) {
        next.close();
        throw e;
      }
    }
    next.moved = { from: pipe.path, since: pipe.begun, at: performance.now(), why: move.theirs ? k.theirs : why, theirs: move.theirs, renewed };
    return next;
  }

  /** Reports whether the connection has ended, or is about to. */
  #ending(): Promise<boolean> {
    return Promise.race([this.#pipe.ended.then(() => true), new Promise<boolean>((resolve) => setTimeout(() => { resolve(false); }, endingLimit))]);
  }

  /** Makes the second connection, as the same side as the first one. A way out of a relay needs no TURN server. */
  async #meet(k: Carrier, why: Reason | "", signal: AbortSignal): Promise<Pipe> {
    const code = this.#pipe.met.next!, t = newTicket(code.room, this.#side);
    const iceServers = why === "address" ? this.#pipe.servers : withoutTURN(this.#pipe.servers);
    const a = new Attempt(k, t, code, { iceServers, iceTransportPolicy: "all" }, (body, signal) => k.describe(body, signal), { waiting: () => {}, connecting: () => {}, slow: () => {} }, signal);
    try {
      if (this.#side === "offer") await a.offer(connectLimit);
      else await a.answer({ code, body: (await k.description(t, "offer", "", forever, signal)).body, version: "", interruptions: 0 });
      const { pipe: next, error } = await a.outcome;
      if (!next) throw error;
      return next;
    } finally {
      a.end();
    }
  }

  /** Puts another Pipe in the place of this one. */
  #replace(next: Pipe) {
    const pipe = this.#pipe;
    this.#life.abort();
    pipe.onMove = (dc) => { dc.close(); };
    if (!next.moved!.renewed) next.servers = pipe.servers;
    next.holds = pipe.holds;
    this.#take(next);
    pipe.replace(next);
    setTimeout(() => { pipe.close(); }, this.#side === "offer" ? retireLimit : 2 * retireLimit);
  }
}

/** Calls changed when this machine is in another network, as far as the browser tells: not every browser names the kind of network. */
function onNetworkChange(changed: () => void, signal: AbortSignal) {
  addEventListener("online", changed, { signal });
  const network = (navigator as { connection?: EventTarget & { type?: string } }).connection;
  let was = network?.type;
  network?.addEventListener("change", () => { // of its speed, too
    const is = network.type;
    if (is !== was && is !== "none") changed();
    was = is;
  }, { signal });
}
