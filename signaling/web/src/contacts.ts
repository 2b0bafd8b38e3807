// Meets a contact without a code, in the rooms that follow from the keys of the two: peer/contacts.go for a browser.
//
//	            room of the first    room of the second
//	first       offers               answers, unless it calls itself
//	second      answers              offers
//
// Each room has offers of one side only. So two that call at once meet in the first one's room, though the server knows neither.

import { places, untilNextHour, yields, type Keys } from "./contact.ts";
import { same, type Code } from "./code.ts";
import { Backoff, kindOf } from "./failure.ts";
import type { Connection, Listener } from "./meeting.ts";
import type { Pipe } from "./pipe.ts";
import { Session, type Resumption } from "./session.ts";
import type { Side, Store } from "./store.ts";

/** The keys of a contact, in storage. */
export interface StoredKeys {
  keys(): Promise<Keys>;
  /** Stores the keys that follow from a meeting with a generation, and returns the ID to show; undefined if that failed. */
  roll(generation: string, contactKey: string): Promise<string | undefined>;
}

// Failures that tell nothing of the contact: the server, or someone who knows only a room, can cause them.
const mayComeLater = new Set(["replaced", "taken", "wrong-code", "impostor", "occupied"]);

const lookAtClock = 5000; // ms between looks whether the hour is over: one timer would stand still while the machine sleeps
const endOfHour = (at: number): number => at + untilNextHour(at);

export class ContactSession {
  #last: Connection | undefined;
  readonly #store: Store;
  readonly #contact: StoredKeys;
  readonly #calls: boolean;
  readonly #relayOnly: boolean;
  readonly #anywhere: boolean;
  readonly #listener: Listener;
  readonly #backoff = new Backoff();

  constructor(store: Store, contact: StoredKeys, side: Side, relayOnly: boolean, listener: Listener, anywhere: boolean) {
    this.#store = store;
    this.#contact = contact;
    this.#calls = side === "offer";
    this.#relayOnly = relayOnly;
    this.#anywhere = anywhere;
    this.#listener = {
      waiting: (code) => listener.waiting(code), connecting: () => listener.connecting(), slow: () => listener.slow(),
      empty: () => {}, taken: () => {}, wrongCode: () => {}, // no person has typed a code
      retrying: (why) => { if (!this.#last) listener.retrying(why); }, // later the person knows that the connection is lost
    };
  }

  get resumption(): Resumption | undefined {
    return this.#last && { typed: undefined, last: this.#last, guesses: 0 };
  }

  /** Goes on in a page that was loaded again. The two meet with the stored keys. */
  resume(r: Resumption) {
    this.#last = r.last;
  }

  /** Waits for the connection: the first, or the next one after a loss. The keys that follow from it are stored then. */
  async pipe(signal: AbortSignal): Promise<Pipe> {
    const over = new AbortController();
    if (this.#last) void this.#store.watch(AbortSignal.any([signal, over.signal]));
    try {
      for (;;) {
        const now = Date.now(), hour = new AbortController();
        const look = setInterval(() => { if (endOfHour(Date.now()) !== endOfHour(now)) hour.abort(); }, lookAtClock);
        try {
          return await this.#meet(now, AbortSignal.any([signal, hour.signal]));
        } catch (e) {
          if (signal.aborted || !(hour.signal.aborted || this.#last || mayComeLater.has(kindOf(e) ?? ""))) throw e;
          if (!hour.signal.aborted) await this.#backoff.wait(signal);
        } finally {
          clearInterval(look);
        }
      }
    } finally {
      over.abort();
    }
  }

  /** Waits in the rooms of the hour of now, until one of them leads to a connection. It leaves the others then. */
  async #meet(now: number, signal: AbortSignal): Promise<Pipe> {
    const keys = await this.#contact.keys();
    const over = new AbortController();
    const points = (this.#calls ? (yields(keys) ? [true, false] : [true]) : [false]).map((calls) => {
      const all = places(keys, calls, now);
      // The callee looks into the rooms of all hours, so the caller needs only its own.
      return { calls, all: calls ? all.slice(0, keys.generations.length) : all };
    });
    const waits = points.map(({ calls, all }) => this.#at(calls ? "offer" : "answer", all).pipe(AbortSignal.any([signal, over.signal])));
    try {
      const p = await Promise.race(waits);
      for (const w of waits) void w.then((late) => { if (late !== p) late.close(); }, () => {});
      const met = points.flatMap(({ all }) => all).find((at) => same(at, p.met.code))!;
      this.#last = { met: p.met, heard: true };
      p.holds = (await this.#contact.roll(met.generation, p.met.contactKey)) ?? "";
      return p;
    } finally {
      over.abort();
      await Promise.allSettled(waits); // before the next try, in the same rooms
    }
  }

  #at(side: Side, all: readonly Code[]): Session {
    return new Session(this.#store, side, undefined, this.#relayOnly, this.#listener, this.#anywhere, all);
  }
}
