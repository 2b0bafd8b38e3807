// One side of a meeting, and of the connections that follow: when one is lost, the two meet again, in a room that only they can
// find. peer/session.go for a browser.

import { Callee } from "./callee.ts";
import { Caller } from "./caller.ts";
import { same, type Code } from "./code.ts";
import { Backoff, Failure } from "./failure.ts";
import { burnt } from "./guesses.ts";
import { Meeting, type Connection, type Listener } from "./meeting.ts";
import { Budgets, Mover } from "./mover.ts";
import type { Pipe } from "./pipe.ts";
import type { Side, Store } from "./store.ts";

const callLimit = 5000; // ms in one of several rooms where the callee may be

/** What the Session of a page that was loaded again needs to meet the same other side. It has the secret of the two. */
export interface Resumption {
  readonly typed: Code | undefined;
  readonly last: Connection;
  readonly guesses: number;
}

export class Session {
  readonly #meeting: Meeting;
  readonly #caller: Caller;
  readonly #backoff = new Backoff();
  readonly #moves = new Budgets();
  #try = 0; // of a caller: which of several rooms is next
  #reopened = new AbortController(); // replaced for each attempt to meet

  /**
   * Without a code, a caller makes a new one, in a room that is free. anywhere: the server's list may name other hosts. places: of a
   * contact, for its first connection, instead of a code.
   */
  constructor(store: Store, side: Side, code: Code | undefined, relayOnly: boolean, listener: Listener, anywhere = false, places: readonly Code[] = []) {
    this.#meeting = new Meeting(store, side, code, relayOnly, listener, anywhere, places);
    this.#caller = new Caller(this.#meeting);
  }

  get resumption(): Resumption | undefined {
    const { last, typed, guesses } = this.#meeting;
    return last && !last.met.foreign ? { typed, last: { met: last.met, heard: last.heard }, guesses: guesses.spent } : undefined;
  }

  resume(r: Resumption) {
    this.#meeting.typed = r.typed;
    this.#meeting.last = r.last;
    this.#meeting.guesses.atLeast(r.guesses);
  }

  /** The code of the first connection, in print or in a link; undefined before that. */
  get typed(): Code | undefined {
    return this.#meeting.typed;
  }

  /**
   * Meets with the typed code, too, until the next connection: a program that was started again knows no other. Wrong
   * answers still count. It throws a Failure if the code has taken all its guesses.
   */
  reopen() {
    if (this.#meeting.guesses.burnt) throw burnt(this.#meeting.side);
    this.#reopened.abort();
  }

  /** Waits for the connection: the first, or the next one after a loss. */
  async pipe(signal: AbortSignal): Promise<Pipe> {
    const { last, store, code, places } = this.#meeting;
    if (!last) return this.#meetRepeatedly(places.length > 0 ? [...places] : [code], signal);
    if (last.met.foreign) throw new Failure("lost", "The connection to the other side was lost.");
    const over = new AbortController();
    void store.watch(AbortSignal.any([signal, over.signal]));
    try {
      // Until this side has heard the other one, that one may not have had the connection: then it waits where the two met before.
      return await this.#meetRepeatedly(last.heard ? [last.met.next!] : [last.met.next!, last.met.code], signal);
    } finally {
      over.abort();
    }
  }

  /** Meets in one of the codes' rooms. After the first connection it repeats what failed. */
  async #meetRepeatedly(codes: (Code | undefined)[], signal: AbortSignal): Promise<Pipe> {
    const m = this.#meeting;
    for (;;) {
      this.#reopened = new AbortController();
      const reopened = this.#reopened.signal;
      try {
        const p = await this.#meet(codes, AbortSignal.any([signal, reopened]));
        this.#follow(p);
        return p;
      } catch (e) {
        const nextPlace = m.places.length > 0 && (e as Error).name === "TimeoutError"; // see callLimit
        if ((!m.last && !nextPlace) || signal.aborted) throw e;
        if (reopened.aborted) {
          codes = [...codes.filter((c) => !same(c, m.typed)), m.typed];
          this.#try = codes.length - 1; // the typed one is next: the other side may be waiting there
        } else {
          await this.#backoff.wait(signal);
        }
      }
    }
  }

  /** Takes over a connection, and those to which it moves while it is used. */
  #follow(p: Pipe) {
    this.#meeting.joined(p);
    new Mover(p, this.#meeting.side, this.#moves, this.#meeting.store.ahead, (signal) => this.#renew(signal), (next) => { this.#follow(next); });
  }

  /** Makes a second connection by way of the server, which gives new credentials, while the first one lives. */
  #renew(signal: AbortSignal): Promise<Pipe> {
    const m = this.#meeting.quiet(), { side } = m, code = m.last!.met.next!;
    return side === "offer" ? new Caller(m).call(code, signal) : new Callee(m, [code]).answer(signal);
  }

  async #meet(all: (Code | undefined)[], signal: AbortSignal): Promise<Pipe> {
    const m = this.#meeting;
    const codes = all.filter((code) => !(m.isGuarded(code) && m.guesses.burnt));
    if (codes.length === 0) throw burnt(m.side);
    if (m.side === "answer") return new Callee(m, codes as Code[]).answer(signal);
    const code = codes[this.#try++ % codes.length];
    return this.#caller.call(code, codes.length > 1 ? AbortSignal.any([signal, AbortSignal.timeout(callLimit)]) : signal);
  }
}
