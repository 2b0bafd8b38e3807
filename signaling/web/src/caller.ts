// The caller's half of a Session: peer/caller.go for a browser.

import { Attempt, connectLimit, type Outcome } from "./attempt.ts";
import { make, same, token, type Code } from "./code.ts";
import { Backoff, Failure, kindOf } from "./failure.ts";
import { burnt } from "./guesses.ts";
import { endOf } from "./iceservers.ts";
import { attempts, type Meeting } from "./meeting.ts";
import type { Pipe } from "./pipe.ts";
import { newTicket, type Ticket } from "./store.ts";

const leastLimit = 4000; // ms that an attempt to meet again may take at least, before the next one
const lateLimit = 1500; // ms that a late offer may take
const fewDigits = 3, manyDigits = 9; // of a new room's number

export class Caller {
  readonly #meeting: Meeting;
  readonly #tickets: [Code, Ticket][] = [];

  constructor(meeting: Meeting) {
    this.#meeting = meeting;
  }

  /** Offers a connection in the room of code, or of a new code, until the callee is connected. */
  async call(code: Code | undefined, signal: AbortSignal): Promise<Pipe> {
    const { store, last } = this.#meeting;
    let servers = (await this.#meeting.iceServers(undefined, signal)) ?? [];
    let digits = code ? manyDigits : Math.min(Math.max(store.roomDigits, fewDigits), manyDigits);
    code ??= make(digits);
    let t = this.#ticket(code), opened = false, failures = 0;
    let write: "offer" | "reoffer" = "offer";
    const backoff = new Backoff();
    try {
      for (;;) {
        const { pipe, error } = await this.#callOnce(t, code, servers, failures, async (body, signal) => {
          await this.#write(write, t, body, signal);
          opened = true;
        }, signal);
        if (pipe) {
          void this.#giveBack(t, pipe);
          opened = false;
          return pipe;
        }
        switch (kindOf(error)) {
          case "occupied":
            if (digits < manyDigits && !opened) { // the person has not seen that code
              code = make(++digits);
              t = this.#ticket(code);
            } else if (last || this.#meeting.isPrivate(code)) write = "reoffer"; // by this side's own last offer
            else throw error;
            break;
          case "closed":
          case "no-room":
            write = "offer"; // the server has forgotten the room
            break;
          case "garbled":
          case "unproven":
            this.#refuse(code, error as Failure); // the right answer may still come
            write = "reoffer";
            break;
          case "turned-down":
          case "wrong-token":
            throw new Failure("replaced", "Another call has taken over the room.");
          case "no-path":
            if (++failures >= attempts) throw error;
            this.#meeting.retrying(error);
            write = "reoffer";
            break;
          default:
            throw error;
        }
        await backoff.wait(signal);
        if (endOf(servers) < Date.now() - store.ahead) servers = (await this.#meeting.iceServers(undefined, signal).catch(() => undefined)) ?? servers;
      }
    } finally {
      if (opened) void this.#giveBack(t);
    }
  }

  async #callOnce(t: Ticket, code: Code, servers: RTCIceServer[], failures: number, publish: (body: string, signal: AbortSignal) => Promise<unknown>, signal: AbortSignal): Promise<Outcome> {
    const m = this.#meeting;
    const a = new Attempt(m.store, t, code, m.config(servers), publish, m.listener, signal);
    try {
      // After a loss an attempt may take as long as the last one did and more: a browser asks a TURN server at ever longer intervals.
      await a.offer(m.last ? Math.min(connectLimit, (leastLimit + 4 * m.last.met.took) * (1 + failures)) : connectLimit);
      return await a.outcome;
    } finally {
      a.end();
    }
  }

  /**
   * Writes the offer. A request that is given up may reach the server all the same, and after the one that closes the room: then a callee
   * would answer a caller that is gone. So it goes on for a while after signal has aborted, and the room is closed once it was answered.
   */
  #write(write: "offer" | "reoffer", t: Ticket, body: string, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    const late = new AbortController(), reply = this.#meeting.store[write](t, body, late.signal);
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        reject(signal.reason as Error);
        setTimeout(() => late.abort(), lateLimit);
        void this.#giveBack(t); // at once, because the page may be left
        reply.then(() => this.#giveBack(t), () => {});
      };
      signal.addEventListener("abort", giveUp);
      void reply.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
    });
  }

  /** Returns the caller's ticket for the room of code: the same one each time. */
  #ticket(code: Code): Ticket {
    if (this.#meeting.isPrivate(code)) return { room: code.room, side: "offer", token: token(code) };
    let t = this.#tickets.find(([c]) => same(c, code))?.[1];
    if (!t) this.#tickets.push([code, (t = newTicket(code.room, "offer"))]);
    return t;
  }

  /** Tells of an answer without proof, which counts as a guess at a typed secret. It throws when that was the last guess. */
  #refuse(code: Code, why: Failure) {
    const { guesses, listener, last, side } = this.#meeting;
    if (!this.#meeting.isGuarded(code) || why.kind !== "unproven") {
      this.#meeting.retrying(why);
      return;
    }
    guesses.spend();
    listener.wrongCode(guesses.left);
    if (!guesses.burnt) return;
    const over = burnt(side);
    if (last) listener.retrying(over.message); // the call goes on in the private room
    throw over;
  }

  /** Closes the room: with a connection as soon as the callee no longer needs it, nor either side a candidate that is on its way. */
  async #giveBack(t: Ticket, connected?: Pipe): Promise<void> {
    if (connected && !connected.met.foreign) await connected.settled;
    await connected?.certain().catch(() => {}); // the connection has ended
    await this.#meeting.store.close(t).catch(() => {}); // the server ends the room after a while
  }
}
