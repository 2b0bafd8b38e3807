// The callee's half of a Session: peer/callee.go for a browser.

import { Attempt, type Offer, type Outcome } from "./attempt.ts";
import type { Code } from "./code.ts";
import { Backoff, Failure, kindOf, sleep } from "./failure.ts";
import { burnt } from "./guesses.ts";
import { attempts, type Meeting } from "./meeting.ts";
import type { Pipe } from "./pipe.ts";
import { forever, newTicket, type Ticket } from "./store.ts";

const emptyNotice = 2500; // ms without an offer, before the person is told
// For livingOffer ms after an offer a callee looks for a newer one every `often` ms, then every `seldom` ms.
const livingOffer = 30_000, often = 1000, seldom = 3000;
const glance = 2000; // ms between two looks into a room where no read waits

const taken = () => new Failure("taken", "This call is over: another person answered it, or the caller hung up.");

export class Callee {
  readonly #meeting: Meeting;
  readonly #codes: Code[];
  readonly #inbox = new Inbox();
  // How the answers ended so far. It decides what a closed room means: see #nextOffer.
  #answered: "by-none" | "by-another" = "by-none";
  #failures = 0;
  #failure: unknown = new Failure("no-path", "The two machines could not reach each other.");

  constructor(meeting: Meeting, codes: Code[]) {
    this.#meeting = meeting;
    this.#codes = codes;
  }

  /** Answers the newest offer in any of the rooms, until an answer leads to a connection. */
  async answer(outer: AbortSignal): Promise<Pipe> {
    const life = new AbortController();
    const signal = AbortSignal.any([outer, life.signal]);
    const { listener, last } = this.#meeting, code = this.#codes[0]!;
    try {
      // A contact may be in one of six rooms. One read waits, and the others look: all tabs share six connections.
      const looks = this.#meeting.places.length > 0;
      this.#codes.forEach((c, i) => void this.#follow(c, !looks || i === 0, signal));
      // If the room does not exist yet, #invitation asks again with the offer: a second read that waits would take one of the
      // six connections that all tabs share.
      const first = this.#invite(code.room, signal);
      listener.waiting(code);
      // Once the server has answered, an offer that has not come does not exist.
      if (!last) first.servers.then(() => sleep(emptyNotice, signal)).then(() => this.#inbox.offered || listener.empty(code), () => {});
      return await this.#answerOffers(first, signal);
    } finally {
      life.abort();
    }
  }

  async #answerOffers(first: Invitation | undefined, signal: AbortSignal): Promise<Pipe> {
    for (let newest: Offer | undefined; ;) {
      newest ??= await this.#nextOffer(signal);
      let invited = await this.#invitation(newest.code.room, first, signal);
      first = undefined; // it serves for one answer
      const fresher = this.#inbox.newer();
      if (fresher && fresher.code.room !== newest.code.room) invited = await this.#invitation(fresher.code.room, undefined, signal);
      const { pipe, newer, error } = await this.#answerOnce(fresher ?? newest, invited, signal);
      if (pipe) return pipe;
      newest = newer;
      this.#failed(error, newer !== undefined);
    }
  }

  get #secret(): boolean {
    return this.#codes[0]!.secret !== "";
  }

  /** Waits for an offer. It throws when the room closes and no other call can follow, or the two cannot connect. */
  async #nextOffer(signal: AbortSignal): Promise<Offer> {
    for (;;) {
      const news = await this.#inbox.next(signal);
      if ("error" in news) throw news.error;
      if ("offer" in news) {
        this.#answered = "by-none";
        return news.offer;
      }
      if (this.#answered === "by-another" && this.#secret) throw taken();
      if (this.#failures >= attempts) throw this.#failure;
      this.#failures = 0;
      this.#answered = "by-none";
    }
  }

  /** Handles an answer without a connection; newer: another offer has replaced the one that it was for. */
  #failed(error: unknown, newer: boolean) {
    const kind = kindOf(error);
    if (error === undefined) {
      if (newer) this.#failures++; // the caller, if it is the same one, has given up this attempt
    } else if (kind === "answered") {
      this.#answered = newer ? "by-none" : "by-another";
      this.#meeting.listener.taken();
    } else if (kind === "no-offer" && this.#secret && !newer) {
      throw taken(); // a code with a secret is used once
    } else if (kind === "garbled" || kind === "forgotten") {
      this.#meeting.retrying(error);
    } else if (kind === "no-path") {
      this.#failures++;
      this.#failure = error;
      this.#meeting.retrying(error);
    } else if (kind !== "superseded" && kind !== "no-offer") {
      throw error;
    }
  }

  async #answerOnce(o: Offer, invited: Invitation, signal: AbortSignal): Promise<Outcome> {
    const { store, side, guesses, listener } = this.#meeting, t = invited.ticket;
    // An answer lets the caller check one guess at the secret. So it counts as one from before it goes out until the caller
    // has proven that it knew the secret.
    const counts = this.#meeting.isGuarded(o.code);
    if (counts && guesses.burnt) throw burnt(side);
    let given = false;
    const a = new Attempt(store, t, o.code, this.#meeting.config((await invited.servers) ?? []), (body, signal) => {
      if (counts && !guesses.spend()) throw burnt(side);
      given = true;
      return store.answer(t, o.version, body, signal);
    }, listener, signal);
    this.#inbox.to(a);
    let outcome: Outcome;
    try {
      await a.answer(o);
      outcome = await a.outcome;
    } catch (error) {
      outcome = { error };
    }
    this.#inbox.to(undefined);
    a.end();
    if (a.sawClosed && !outcome.newer) this.#inbox.put({ closed: true });
    if (counts && given && !a.unproven) guesses.refund();
    const { newer, error } = outcome;
    const gone = error instanceof Failure ? error.closed || error.kind === "no-offer" : newer !== undefined && error === undefined;
    if (gone && a.unproven && store.interruptions !== o.interruptions && !signal.aborted) { // the server may have been restarted
      return { newer, error: new Failure("forgotten", "The server was away, and has lost this call before the caller had proven that they know the code.") };
    }
    if (counts && a.unproven && !["wrong-code", "answered"].includes(kindOf(outcome.error) ?? "") && !signal.aborted) {
      listener.retrying("A caller in this room did not prove that they know the code.");
    }
    return outcome;
  }

  /** Asks for the servers with which one offer is answered: they are given for the ticket that writes the answer. */
  #invite(room: string, signal: AbortSignal): Invitation {
    const ticket = newTicket(room, "answer");
    const servers = this.#meeting.iceServers(ticket, signal);
    servers.catch(() => {}); // the code that awaits it handles the error
    return { ticket, servers };
  }

  /** Returns the first invitation, if it is for this room and the room existed, or else a new one. */
  async #invitation(room: string, first: Invitation | undefined, signal: AbortSignal): Promise<Invitation> {
    if (first?.ticket.room === room && (await first.servers)) return first;
    const i = this.#invite(room, signal);
    await i.servers;
    return i;
  }

  /** Reads every new offer of a room, and notes when the room is closed. */
  async #follow(code: Code, waits: boolean, signal: AbortSignal): Promise<void> {
    let known = "", since = 0;
    const backoff = new Backoff();
    try {
      for (;;) {
        // Only the read of the first offer waits at the server: an attempt waits there for candidates, and all tabs share six
        // connections. Besides, waiting keeps a room alive, and a room whose caller has died must be able to end.
        try {
          const d = await this.#meeting.store.description({ room: code.room, side: "answer", token: "" }, "offer", known, known === "" && waits ? forever : 0, signal);
          known = d.version;
          since = performance.now();
          this.#inbox.put({ offer: { code, ...d, interruptions: this.#meeting.store.interruptions } });
          await backoff.wait(signal);
        } catch (e) {
          switch (kindOf(e)) {
            case "unchanged":
              await sleep(performance.now() - since < livingOffer ? often : seldom, signal);
              break;
            case "closed":
            case "no-offer":
            case "no-room": // another call may follow
              if (known === "" && !waits) {
                await sleep(glance, signal);
                break;
              }
              known = "";
              this.#inbox.put({ closed: true });
              await backoff.wait(signal);
              break;
            default:
              throw e;
          }
        }
      }
    } catch (error) {
      this.#inbox.put({ error });
    }
  }
}

/** The ticket and the servers with which a callee answers one offer. */
interface Invitation {
  readonly ticket: Ticket;
  readonly servers: Promise<RTCIceServer[] | undefined>; // undefined: the room does not exist
}

type News = { offer: Offer } | { closed: true } | { error: unknown };

const maxNews = 16;

/** The news that a callee's readers find, in order: for the current attempt, or without one for next. */
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
      if ("offer" in n) this.#news = this.#news.filter((old) => "error" in old); // only the newest offer counts
      if (this.#news.length < maxNews) this.#news.push(n);
      this.#wake();
    }
  }

  /** Gives news to an attempt from now on, or with undefined to next. */
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
