// One side of a meeting, and of the connections that come of it: when one is lost, the two
// meet again, in a room that only they can find. peer/session.go, caller.go and callee.go
// for a browser.

import { Attempt, connectLimit, type Offer, type Outcome, type Report } from "./attempt.ts";
import { make, same, type Code } from "./code.ts";
import { Brake, Failure, isAbort, kindOf, sleep } from "./failure.ts";
import { burnt, Guesses, inStorage } from "./guesses.ts";
import { choose } from "./iceservers.ts";
import type { Met, Pipe } from "./pipe.ts";
import { forever, newTicket, type Side, type Store, type Ticket } from "./store.ts";

const attempts = 3; // to connect, before the two are told that they cannot
const quickLimit = 4000; // ms that an attempt to meet again takes at least, before the next one
const callLimit = 5000; // ms in one of two rooms where the callee may be
const fewDigits = 3, manyDigits = 9; // of a new room's number
// For so many seconds a callee looks for a newer offer often, and how often; and how often from then on.
const livingOffer = 30, often = 1, seldom = 3;

const emptyNotice = 2500; // ms without an offer, before a callee is told that there is none

/** A connection, as far as the next one depends on it. */
interface Bond {
  readonly met: Met;
  readonly heard: boolean;
}

/** What the Session of a page that was loaded again needs to meet the same other side. It has the secret of the two. */
export interface Resumption {
  readonly typed: Code | undefined;
  readonly last: Bond;
  readonly guesses: number;
}

/** What a person can be told while the two meet. */
export interface Listener extends Report {
  /** The server has no offer in the room yet. */
  empty(code: Code): void;
  taken(): void;
  /** left: for how many more wrong ones the code still works. */
  wrongCode(left: number): void;
  retrying(why: string): void;
}

export class Session {
  #met = false; // there was a connection
  #typed: Code | undefined; // with which they met at first
  #last: Bond | undefined; // the connection whose key says where the two meet again
  #guesses: Guesses; // at the typed code
  #try = 0;
  readonly #tickets: [Code, Ticket][] = [];
  readonly #calm = new Brake();

  /** Without a code, a caller makes a new one, in a room that is free. anywhere: the server's list may name other hosts. */
  constructor(
    private readonly store: Store, private readonly side: Side, private readonly code: Code | undefined, private readonly relayOnly: boolean,
    private readonly listener: Listener, private readonly anywhere = false,
  ) {
    this.#guesses = inStorage(store.origin, side, code);
  }

  get resumption(): Resumption | undefined {
    const last = this.#last;
    return last && !last.met.foreign ? { typed: this.#typed, last: { met: last.met, heard: last.heard }, guesses: this.#guesses.spent } : undefined;
  }

  resume(r: Resumption) {
    this.#met = true;
    this.#typed = r.typed;
    this.#last = r.last;
    this.#guesses.atLeast(r.guesses);
  }

  /** Waits for the connection: the first, or the next one after that was lost. */
  async pipe(signal: AbortSignal): Promise<Pipe> {
    let codes = [this.code];
    if (this.#last) {
      if (this.#last.met.foreign) throw new Failure("lost", "The connection to the other side was lost.");
      codes = this.#again(this.#last);
    }
    const meeting = new AbortController();
    if (this.#last) void this.store.watch(AbortSignal.any([signal, meeting.signal]));
    try {
      return await this.#until(codes, signal);
    } finally {
      meeting.abort();
    }
  }

  /** Meets; again and again, once the two have met. */
  async #until(codes: (Code | undefined)[], signal: AbortSignal): Promise<Pipe> {
    for (;;) {
      try {
        const p = await this.#meet(codes, signal);
        const last = this.#last;
        if (last && this.#private(p.met.code)) {
          // The two are those who met at first. What made them trust each other holds.
          const { verified, safetyWords } = last.met;
          p.met = { ...p.met, verified, safetyWords };
        } else {
          this.#typed = p.met.code;
        }
        this.#met = true;
        this.#last = p;
        return p;
      } catch (e) {
        if (!this.#met || signal.aborted) throw e;
        await this.#calm.wait(signal);
      }
    }
  }

  /** Where to meet when p is lost: in the room of these two, and until the other side was heard, where the two met before, too. */
  #again(p: Bond): (Code | undefined)[] {
    return p.heard ? [p.met.next!] : [p.met.next!, p.met.code];
  }

  /** Tells whether only these two can have code. */
  #private(code: Code | undefined): boolean {
    const met = this.#last?.met;
    return met !== undefined && !same(code, this.#typed) && (same(met.next, code) || same(met.code, code));
  }

  #retrying(why: string) {
    if (!this.#met) this.listener.retrying(why);
  }

  /** Whether wrong answers with code count as guesses: it was typed, and has a secret. */
  #guarded(code: Code | undefined): boolean {
    return code !== undefined && code.secret !== "" && !this.#private(code);
  }

  async #meet(all: (Code | undefined)[], signal: AbortSignal): Promise<Pipe> {
    const codes = all.filter((code) => !(this.#guarded(code) && this.#guesses.burnt));
    if (codes.length === 0) throw burnt(this.side);
    if (this.side === "answer") return this.#answer(codes as Code[], signal);
    const code = codes[this.#try++ % codes.length];
    return this.#call(code, codes.length > 1 ? AbortSignal.any([signal, AbortSignal.timeout(callLimit)]) : signal);
  }

  // The caller.

  async #call(code: Code | undefined, signal: AbortSignal): Promise<Pipe> {
    const servers = (await this.#iceServers(undefined, signal)) ?? [];
    let digits = code ? manyDigits : Math.min(Math.max(this.store.roomDigits, fewDigits), manyDigits);
    code ??= make(digits);
    let t = this.#ticket(code), opened = false, failures = 0;
    let write: "offer" | "reoffer" = "offer";
    const calm = new Brake();
    try {
      for (;;) {
        const { pipe, error } = await this.#callOnce(t, code, servers, failures, async (body, signal) => {
          try {
            await this.store[write](t, body, signal);
            opened = true;
          } catch (e) {
            opened ||= signal.aborted; // it may be there, all the same
            throw e;
          }
        }, signal);
        if (pipe) {
          void this.#giveBack(t, pipe);
          opened = false;
          return pipe;
        }
        switch (kindOf(error)) {
          case "occupied":
            if (digits < manyDigits && !opened) { // no one was told that code
              code = make(++digits);
              t = this.#ticket(code);
            } else if (this.#met) write = "reoffer"; // by this side's own last offer
            else throw error;
            break;
          case "closed":
          case "no-room":
            write = "offer"; // the server has forgotten the room
            break;
          case "garbled":
          case "unproven":
            this.#refuse(code, error as Failure); // the right one may still come
            write = "reoffer";
            break;
          case "turned-down":
          case "wrong-token":
            throw new Failure("replaced", "Another call has taken over the room.");
          case "no-path":
            if (++failures >= attempts) throw error;
            this.#retrying((error as Failure).message);
            write = "reoffer";
            break;
          default:
            throw error;
        }
        await calm.wait(signal);
      }
    } finally {
      if (opened) void this.#giveBack(t);
    }
  }

  async #callOnce(t: Ticket, code: Code, servers: RTCIceServer[], failures: number, publish: (body: string, signal: AbortSignal) => Promise<unknown>, signal: AbortSignal): Promise<Outcome> {
    const a = new Attempt(this.store, t, code, this.#config(servers), publish, this.listener, signal);
    try {
      await a.offer(this.#limit(failures));
      return await a.outcome;
    } finally {
      a.end();
    }
  }

  /** After a loss, what took this long may take longer once more; but a browser asks a TURN server ever more seldom. */
  #limit(failures: number): number {
    return this.#last ? Math.min(connectLimit, (quickLimit + 4 * this.#last.met.took) * (1 + failures)) : connectLimit;
  }

  /** The caller's ticket for the room of code: the same one each time. */
  #ticket(code: Code): Ticket {
    let t = this.#tickets.find(([c]) => same(c, code))?.[1];
    if (!t) this.#tickets.push([code, (t = newTicket(code.room, "offer"))]);
    return t;
  }

  /** Tells of an answer that proved nothing: one that was judged may have been a guess at the secret. */
  #refuse(code: Code, why: Failure) {
    if (!this.#guarded(code) || why.kind !== "unproven") {
      this.#retrying(why.message);
      return;
    }
    this.#guesses.spend();
    this.listener.wrongCode(this.#guesses.left);
    if (!this.#guesses.burnt) return;
    const over = burnt(this.side);
    if (this.#met) this.listener.retrying(over.message); // the call goes on where only these two can meet
    throw over;
  }

  /** Closes the room, with a connection as soon as the callee needs it no more. */
  async #giveBack(t: Ticket, connected?: Pipe): Promise<void> {
    if (connected && !connected.met.foreign) await connected.settled;
    await this.store.close(t).catch(() => {}); // then it ends by itself
  }

  /** The STUN and TURN servers: a caller's without a ticket, else its guest's, if the room exists. */
  async #iceServers(t: Ticket | undefined, signal: AbortSignal): Promise<RTCIceServer[] | undefined> {
    let list: RTCIceServer[] = [];
    try {
      list = await this.store.iceServers(t, signal);
    } catch (e) {
      if (kindOf(e) === "no-room") return undefined;
      // Two machines may meet without the list, but not without the server.
      if (this.relayOnly || isAbort(e, signal) || (!t && kindOf(e) === "access-key") || kindOf(e) === "unreachable") throw e;
    }
    const { used, elsewhere } = choose(list, new URL(this.store.origin).hostname, this.anywhere);
    if (elsewhere.length > 0) this.listener.dropped("Left out STUN and TURN servers on other hosts than this one.");
    if (this.relayOnly && !used.some((s) => s.username)) throw new Failure("no-relay", "This server has no relay, so it cannot hide your address.");
    return used;
  }

  #config(iceServers: RTCIceServer[]): RTCConfiguration {
    return { iceServers, iceTransportPolicy: this.relayOnly ? "relay" : "all" };
  }

  // The callee.

  /** Asks for the servers with which one offer is answered: they are given for the ticket that writes the answer. */
  #invited(room: string, signal: AbortSignal): Invitation {
    const ticket = newTicket(room, "answer");
    const servers = this.#iceServers(ticket, signal);
    servers.catch(() => {}); // the code that awaits it handles the error
    return { ticket, servers };
  }

  /** The first invitation, if it is for this room and was answered, or another one. */
  async #invitation(room: string, first: Invitation | undefined, signal: AbortSignal): Promise<Invitation> {
    if (first?.ticket.room === room && (await first.servers)) return first;
    const again = this.#invited(room, signal);
    await again.servers;
    return again;
  }

  /** Answers the newest offer in any of the rooms, until one answer leads to a connection. */
  async #answer(codes: Code[], outer: AbortSignal): Promise<Pipe> {
    const life = new AbortController();
    const signal = AbortSignal.any([outer, life.signal]);
    const inbox = new Inbox();
    try {
      for (const code of codes) {
        void this.#follow(code, inbox, signal);
      }
      // Where the room does not exist yet, they are asked for with the offer: a second read that waits
      // would take one of the six connections that all tabs share.
      const first = this.#invited(codes[0]!.room, signal);
      this.listener.waiting(codes[0]!);
      // The server has answered this, so what it has not sent is not there.
      if (!this.#met) first.servers.then(() => sleep(emptyNotice, signal)).then(() => inbox.offered || this.listener.empty(codes[0]!), () => {});
      return await this.#answers(codes, inbox, first, signal);
    } finally {
      life.abort();
    }
  }

  async #answers(codes: Code[], inbox: Inbox, first: Invitation | undefined, signal: AbortSignal): Promise<Pipe> {
    let newest: Offer | undefined, failures = 0, taken = false;
    let failed: unknown = new Failure("no-path", "The two machines could not reach each other.");
    const secret = codes[0]!.secret !== "";
    const over = () => new Failure("taken", "This call is over: another person answered it, or the caller hung up.");
    for (;;) {
      while (!newest) {
        const news = await inbox.next(signal);
        if ("offer" in news) {
          newest = news.offer;
          taken = false;
        } else if ("error" in news) {
          throw news.error;
        } else {
          if (taken && secret) throw over();
          if (failures >= attempts) throw failed;
          failures = 0;
          taken = false;
        }
      }
      let invited = await this.#invitation(newest.code.room, first, signal);
      first = undefined; // it is good for one answer
      const fresher = inbox.newer();
      if (fresher && fresher.code.room !== newest.code.room) invited = await this.#invitation(fresher.code.room, undefined, signal);
      newest = fresher ?? newest;
      const { pipe, newer, error } = await this.#answerOnce(newest, invited, inbox, signal);
      newest = newer;
      if (pipe) return pipe;
      const kind = kindOf(error);
      if (error === undefined) {
        if (newer) failures++; // the caller, if it is the same, has given this attempt up
      } else if (kind === "answered") {
        taken = !newer;
        this.listener.taken();
      } else if (kind === "no-offer" && secret && !newer) {
        throw over(); // there will be no other call with that code
      } else if (kind === "garbled") {
        this.#retrying((error as Failure).message);
      } else if (kind === "no-path") {
        failures++;
        failed = error;
        this.#retrying((error as Failure).message);
      } else if (kind !== "superseded" && kind !== "no-offer") {
        throw error;
      }
    }
  }

  async #answerOnce(o: Offer, invited: Invitation, inbox: Inbox, signal: AbortSignal): Promise<Outcome> {
    // An answer lets the caller check one guess at the secret. So it counts as one before it
    // goes out, and until the caller has proven that it knew the secret.
    const counts = this.#guarded(o.code);
    if (counts && this.#guesses.burnt) throw burnt(this.side);
    const t = invited.ticket;
    let given = false;
    const a = new Attempt(this.store, t, o.code, this.#config((await invited.servers) ?? []), (body, signal) => {
      if (counts && !this.#guesses.spend()) throw burnt(this.side);
      given = true;
      return this.store.answer(t, o.version, body, signal);
    }, this.listener, signal);
    inbox.to(a);
    let outcome: Outcome;
    try {
      await a.answer(o);
      outcome = await a.outcome;
    } catch (error) {
      outcome = { error };
    }
    inbox.to(undefined);
    a.end();
    if (a.sawClosed && !outcome.newer) inbox.put({ closed: true });
    if (counts && given && !a.unproven) this.#guesses.refund();
    if (counts && a.unproven && !["wrong-code", "answered"].includes(kindOf(outcome.error) ?? "") && !signal.aborted) {
      this.listener.retrying("A caller in this room did not prove that they know the code.");
    }
    return outcome;
  }

  /** Reads every new offer of the room, and tells when the room is closed. */
  async #follow(code: Code, inbox: Inbox, signal: AbortSignal): Promise<void> {
    let known = "", since = 0;
    const calm = new Brake();
    try {
      for (;;) {
        // Only the first offer is waited for: an attempt waits for candidates, and all tabs share six connections. Besides,
        // waiting keeps a room alive, and one whose caller has died must be able to end.
        try {
          const d = await this.store.description({ room: code.room, side: "answer", token: "" }, "offer", known, known === "" ? forever : 0, signal);
          known = d.version;
          since = performance.now();
          inbox.put({ offer: { code, ...d } });
          await calm.wait(signal);
        } catch (e) {
          switch (kindOf(e)) {
            case "unchanged":
              await sleep((performance.now() - since < livingOffer * 1000 ? often : seldom) * 1000, signal);
              break;
            case "closed":
            case "no-offer":
            case "no-room": // for whatever reason: there may be another call
              known = "";
              inbox.put({ closed: true });
              await calm.wait(signal);
              break;
            default:
              throw e;
          }
        }
      }
    } catch (error) {
      inbox.put({ error });
    }
  }
}

/** What a callee answers one offer with. */
interface Invitation {
  readonly ticket: Ticket;
  readonly servers: Promise<RTCIceServer[] | undefined>; // undefined: there is no such room
}

type News = { offer: Offer } | { closed: true } | { error: unknown };

/** What a callee's readers find out, in order: for the current attempt, or else for the next call of next. */
class Inbox {
  #news: News[] = [];
  #wake: () => void = () => {};
  #attempt: Attempt | undefined;
  offered = false; // there was an offer

  put(n: News) {
    this.offered ||= "offer" in n;
    if (this.#attempt && "offer" in n) this.#attempt.replaced(n.offer);
    else if (this.#attempt && "closed" in n) this.#attempt.closed();
    else {
      if ("offer" in n) this.#news = this.#news.filter((old) => "error" in old); // the newest counts
      if (this.#news.length < 16) this.#news.push(n);
      this.#wake();
    }
  }

  /** Hands what comes from now on to an attempt, or keeps it. */
  to(a: Attempt | undefined) {
    this.#attempt = a;
  }

  /** Returns the newest offer that came while another one was handled. */
  newer(): Offer | undefined {
    const i = this.#news.findIndex((n) => "offer" in n);
    return i < 0 ? undefined : (this.#news.splice(i, 1)[0] as { offer: Offer }).offer;
  }

  async next(signal: AbortSignal): Promise<News> {
    for (;;) {
      signal.throwIfAborted();
      const n = this.#news.shift();
      if (n) return n;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }
}
