// A call in the session storage of its tab, from the moment that the page is left until it is
// loaded again. While a page runs, the storage has nothing of its call: a state that is older
// than the conversation would use numbers twice.

import type { Code } from "./code.ts";
import type { Saved } from "./conversation.ts";
import { kind } from "./frame.ts";
import type { Resumption } from "./session.ts";
import type { Side } from "./store.ts";

/** ms for which a call can go on whose other side does not know that the page is away. */
export const longest = 10 * 60_000;

export interface KeptCall {
  readonly side: Side;
  readonly code: Code | undefined;
  readonly relayOnly: boolean;
  readonly anywhere: boolean; // STUN and TURN servers on other hosts may be used
  readonly accessKey: string;
  readonly compared: boolean; // the safety words
  readonly files: number; // that the reload has cancelled
  readonly conversation: Saved;
  readonly session: Resumption;
}

const item = (base: string) => `p2pchat call at ${base}`;

/** Counts the messages of a call that were not delivered. */
export const messages = (call: KeptCall): number => call.conversation.frames.filter(([k]) => k === kind.message).length;

/** Writes a call that can go on within ms; false if the browser does not take it. */
export function keep(base: string, call: KeptCall, ms: number): boolean {
  try {
    sessionStorage.setItem(item(base), JSON.stringify({ ...call, at: Date.now(), ms }));
    return true;
  } catch {
    return false;
  }
}

/** Returns the call that the page was left in, and whether it can go on; and removes it from the storage. */
export function take(base: string): (KeptCall & { inTime: boolean }) | undefined {
  try {
    const text = sessionStorage.getItem(item(base));
    sessionStorage.removeItem(item(base));
    const call = JSON.parse(text ?? "null") as (KeptCall & { at: number; ms: number }) | null;
    return call ? { ...call, inTime: Math.abs(Date.now() - call.at) < call.ms } : undefined;
  } catch {
    return undefined;
  }
}
