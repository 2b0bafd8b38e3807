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

import { Attempt, connectLimit } from "./attempt.ts";
import { Carrier } from "./carrier.ts";
import { sleep } from "./failure.ts";
import type { Reason } from "./path.ts";
import { Channel, moveLabel, protocol, type Pipe } from "./pipe.ts";
import { forever, newTicket, type Side } from "./store.ts";

const movesMost = 12, movesWithin = 3_600_000; // of each side, in ms: a malicious one can make this one gather candidates that often
const moveLimit = 20_000; // ms from the channel to both sides' "stands"
const retireLimit = 1000; // ms that a replaced Pipe goes on, because the other side may not have left it
const relayFirst = 2000, relayMost = 600_000; // ms before a connection through a relay looks for another path: then three times as long each time, up to this
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

/** The moves of a Session, of each side. */
export class Budgets {
  readonly ours = new Budget();
  readonly theirs = new Budget();
}

interface Move {
  readonly theirs: boolean; // the other side began it
  readonly given: AbortController; // aborted to give it up
  stands: boolean; // this side has the new connection
}

/** Moves the connection of one Pipe. */
export class Mover {
  readonly #pipe: Pipe;
  readonly #side: Side;
  readonly #budgets: Budgets;
  readonly #take: (next: Pipe) => void;
  readonly #life = new AbortController(); // of the Pipe, until another one takes its place
  #move: Move | undefined; // under way
  #running: Promise<void> | undefined;

  /** take is called with the Pipe that takes the place of this one. */
  constructor(pipe: Pipe, side: Side, budgets: Budgets, take: (next: Pipe) => void) {
    this.#pipe = pipe;
    this.#side = side;
    this.#budgets = budgets;
    this.#take = take;
    pipe.onMove = (dc) => { this.#accept(dc); };
    if (pipe.moves) {
      if (side === "offer") void this.#leaveRelay().catch(() => {}); // it is for both sides; one of them tries
      onNetworkChange(() => { this.#moveNow(); }, this.#life.signal);
    }
    void pipe.ended.then(async () => {
      this.#life.abort();
      if (!this.#move?.stands) this.#move?.given.abort();
      await this.#running;
      pipe.replace(undefined);
    });
  }

  /** Whether the connection can be moved: both sides can, and the conversation has begun. */
  get #ready(): boolean {
    return this.#pipe.moves && this.#pipe.heard && !this.#life.signal.aborted;
  }

  /** Takes the move that the other side begins, if one may begin. If both have begun, the caller's counts. */
  #accept(dc: RTCDataChannel) {
    const yields = !this.#move || this.#move.theirs || this.#side === "answer";
    if (!this.#ready || !yields || !this.#budgets.theirs.take()) {
      dc.close();
      return;
    }
    this.#move?.given.abort();
    this.#running = this.#start(dc, true, "");
  }

  /** Begins a move, if one may begin. */
  #begin(why: Reason) {
    if (!this.#ready || this.#move || !this.#budgets.ours.take()) return;
    this.#running = this.#start(this.#pipe.pc.createDataChannel(moveLabel, { protocol }), false, why);
  }

  /** Looks for another path again and again while the connection goes through a relay. */
  async #leaveRelay(): Promise<void> {
    for (let wait = relayFirst; ; wait = Math.min(3 * wait, relayMost)) {
      await sleep(wait, this.#life.signal);
      if (this.#pipe.path === "relay") this.#begin("relay");
    }
  }

  /** Begins a move in place of one that began in another network. */
  #moveNow() {
    if (this.#move && !this.#move.theirs && !this.#move.stands) {
      this.#move.given.abort();
      this.#move = undefined;
    }
    this.#begin("address");
  }

  async #start(dc: RTCDataChannel, theirs: boolean, why: Reason | ""): Promise<void> {
    const move = (this.#move = { theirs, given: new AbortController(), stands: false });
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
    const next = await this.#meet(k, why, signal);
    move.stands = true;
    try {
      await Promise.race([k.stand(signal), pipe.ended]);
    } catch (e) {
      if (!(await this.#ending())) {
        next.close();
        throw e;
      }
    }
    next.moved = { from: pipe.path, since: pipe.begun, at: performance.now(), why: move.theirs ? k.theirs : why, theirs: move.theirs };
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
    next.servers = pipe.servers;
    next.holds = pipe.holds;
    this.#take(next);
    pipe.replace(next);
    setTimeout(() => { pipe.close(); }, this.#side === "offer" ? retireLimit : 2 * retireLimit);
  }
}

/** Returns the servers without their TURN URLs. */
function withoutTURN(all: readonly RTCIceServer[]): RTCIceServer[] {
  return all.map((s) => ({ ...s, urls: [s.urls].flat().filter((u) => /^stuns?:/i.test(u)) })).filter((s) => s.urls.length > 0);
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
