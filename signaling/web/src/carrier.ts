// The documents of a meeting that goes over a channel of a Pipe, instead of a Store: peer/carrier.go for a browser. Each side sends its
// own, and "stands" once it is connected:
//
//	{"description": …}    once, the caller's first; with "reason": …  of the side that began
//	{"candidates": [ … ]}
//	{"stands": true}

import { utf8 } from "./bytes.ts";
import { maxCandidates } from "./candidates.ts";
import { Failure } from "./failure.ts";
import { parse } from "./frame.ts";
import { reasons, type Reason } from "./path.ts";
import type { Channel } from "./pipe.ts";
import type { Description, Documents, Side, Ticket } from "./store.ts";

const maxCarried = 256 << 10; // bytes of the other side's documents: a candidate has 200, a description 4,000

export class Carrier implements Documents {
  readonly #channel: Channel;
  readonly #why: Reason | "";
  #size = 0; // bytes that have come
  #description = "";
  #reason = "";
  readonly #candidates: unknown[] = [];
  #stands = false;
  #over = false; // the channel has ended
  #wake: (() => void)[] = [];

  /** why: this side has begun; "" if the other one has. */
  constructor(channel: Channel, why: Reason | "") {
    this.#channel = channel;
    this.#why = why;
    const changed = () => { this.#wake.splice(0).forEach((f) => f()); };
    channel.listen((m) => {
      if (!this.#take(m)) channel.close();
      changed();
    });
    void channel.ended.then(() => {
      this.#over = true;
      changed();
    });
  }

  /** Takes a message; false if it breaks the rules. */
  #take(m: Uint8Array | string): boolean {
    const said = (this.#size += m.length) > maxCarried || typeof m === "string" ? undefined : parse(m);
    if (!said) return false;
    const { description, reason = "", candidates = [], stands = false } = said;
    if (typeof reason !== "string" || !Array.isArray(candidates) || typeof stands !== "boolean") return false;
    if (description !== undefined && this.#description !== "" || stands && this.#stands || this.#candidates.length + candidates.length > maxCandidates) return false;
    if (description !== undefined) {
      try {
        this.#description = JSON.stringify(description);
      } catch { // it is too deep
        return false;
      }
      this.#reason = reason;
    }
    this.#candidates.push(...candidates as unknown[]);
    this.#stands ||= stands;
    return true;
  }

  async #write(text: string, signal: AbortSignal): Promise<void> {
    await this.#channel.opened;
    while (!this.#channel.send(utf8(text))) {
      await this.#channel.room();
      this.#check(signal);
    }
  }

  #check(signal: AbortSignal) {
    signal.throwIfAborted();
    if (this.#over) throw new Failure("ended", "The other side has given up the new connection.");
  }

  /** Waits until the other side's documents have what get returns. */
  async #await<T>(get: () => T | undefined, signal: AbortSignal): Promise<T> {
    for (;;) {
      const found = get();
      if (found !== undefined) return found;
      this.#check(signal);
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  /** Why the other side has begun; "" if it has not said so. */
  get theirs(): Reason | "" {
    return reasons.find((r) => r === this.#reason) ?? "";
  }

  /** Sends this side's description. */
  describe(body: string, signal: AbortSignal): Promise<void> {
    return this.#write(`{"description":${body}${this.#why && `,"reason":"${this.#why}"`}}`, signal);
  }

  /** Waits for the other side's description. */
  async description(_: Ticket, __: Side, ___: string, ____: number, signal: AbortSignal): Promise<Description> {
    return { body: await this.#await(() => this.#description || undefined, signal), version: "" };
  }

  addCandidates(_: Ticket, __: number, list: string[], signal: AbortSignal): Promise<void> {
    return this.#write(`{"candidates":[${list.join(",")}]}`, signal);
  }

  /** Waits for candidates of the other side. */
  candidates(_: Ticket, __: Side, after: number, ___: number, signal: AbortSignal): Promise<unknown[]> {
    return this.#await(() => (this.#candidates.length > after ? this.#candidates.slice(after) : undefined), signal);
  }

  /** Says that this side is connected, and waits until the other side is, too. */
  async stand(signal: AbortSignal): Promise<void> {
    await this.#write(`{"stands":true}`, signal);
    await this.#await(() => this.#stands || undefined, signal);
  }
}
