// What the caller's and the callee's half of a Session share.

import type { Report } from "./attempt.ts";
import { same, type Code } from "./code.ts";
import { Failure, isAbort, kindOf } from "./failure.ts";
import { inStorage, type Guesses } from "./guesses.ts";
import { choose } from "./iceservers.ts";
import type { Met, Pipe } from "./pipe.ts";
import { Store, type Side, type Ticket } from "./store.ts";

export const attempts = 3; // to connect, before the person is told that it does not work

/** The part of a connection on which the next one depends. */
export interface Connection {
  readonly met: Met;
  readonly heard: boolean; // the other side has sent something
}

/** The events that a person can be told while the two meet. */
export interface Listener extends Report {
  /** The server has no offer in the room yet. */
  empty(code: Code): void;
  taken(): void;
  /** left: how many more wrong answers the code takes. */
  wrongCode(left: number): void;
  retrying(why: string): void;
}

export class Meeting {
  readonly #relayOnly: boolean;
  readonly #anywhere: boolean;
  readonly guesses: Guesses; // at the typed code
  last: Connection | undefined; // its key says where the two meet again; undefined before the first one
  typed: Code | undefined; // the code of the first connection

  constructor(
    readonly store: Store, readonly side: Side, readonly code: Code | undefined, relayOnly: boolean, readonly listener: Listener, anywhere: boolean,
    readonly places: readonly Code[] = [], // of a contact, instead of a code: only the two have them
  ) {
    this.#relayOnly = relayOnly;
    this.#anywhere = anywhere;
    this.guesses = inStorage(store.origin, side, code);
  }

  /** Whether only the two who met can have code: it follows from the key of an earlier meeting. */
  isPrivate(code: Code | undefined): boolean {
    const met = this.last?.met;
    return this.places.some((p) => same(p, code)) || met !== undefined && !same(code, this.typed) && (same(met.next, code) || same(met.code, code));
  }

  /** Whether wrong answers with code count as guesses: a person typed it, and it has a secret. */
  isGuarded(code: Code | undefined): boolean {
    return code !== undefined && code.secret !== "" && !this.isPrivate(code);
  }

  /** Takes over a new connection. */
  joined(p: Pipe) {
    if (this.last && this.isPrivate(p.met.code)) {
      // Only the two who met at first know this room, so that what they verified then still holds.
      const { verified, safetyWords, contactKey } = this.last.met;
      p.met = { ...p.met, verified, safetyWords, contactKey };
    } else {
      this.typed = p.met.code;
    }
    this.last = p;
  }

  /** Returns one for the same two, of which a person is told nothing. */
  quiet(): Meeting {
    const tell = () => {}, store = new Store(this.store.origin);
    store.accessKey = this.store.accessKey;
    const quiet = new Meeting(store, this.side, undefined, this.#relayOnly, { waiting: tell, connecting: tell, slow: tell, empty: tell, taken: tell, wrongCode: tell, retrying: tell }, this.#anywhere);
    quiet.last = this.last;
    return quiet;
  }

  /** Tells that an attempt failed and another one follows. After the first connection the person knows that it is lost. */
  retrying(why: unknown) {
    if (!this.last) this.listener.retrying((why as Failure).message);
  }

  config(iceServers: RTCIceServer[]): RTCConfiguration {
    return { iceServers, iceTransportPolicy: this.#relayOnly ? "relay" : "all" };
  }

  /** Returns the STUN and TURN servers: without a ticket those of a caller, with one those of its guest; undefined if the room does not exist. */
  async iceServers(t: Ticket | undefined, signal: AbortSignal): Promise<RTCIceServer[] | undefined> {
    let list: RTCIceServer[] = [];
    try {
      list = await this.store.iceServers(t, signal);
    } catch (e) {
      if (kindOf(e) === "no-room") return undefined;
      // Two machines may meet without the list, but not without the server.
      if (this.#relayOnly || isAbort(e, signal) || (!t && kindOf(e) === "access-key") || kindOf(e) === "unreachable") throw e;
    }
    const { used } = choose(list, new URL(this.store.origin).hostname, this.#anywhere);
    if (this.#relayOnly && !used.some((s) => s.username)) throw new Failure("no-relay", "This server has no relay, so it cannot hide your address.");
    return used;
  }
}
