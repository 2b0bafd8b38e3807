// A call in the session storage of its tab, from the moment that the page is left until it is
// loaded again. While a page runs, the storage has nothing of its call: a state that is older
// than the conversation would use numbers twice.

import type { Code } from "./code.ts";
import type { Saved } from "./conversation.ts";
import type { Resumption } from "./session.ts";
import type { Side } from "./store.ts";

const maxAge = 10 * 60_000; // ms; after that, no one waits for this side

export interface KeptCall {
  readonly side: Side;
  readonly code: Code | undefined;
  readonly relayOnly: boolean;
  readonly accessKey: string;
  readonly compared: boolean; // the safety words
  readonly files: number; // that the reload has cancelled
  readonly conversation: Saved;
  readonly session: Resumption;
}

const item = (base: string) => `p2pchat call at ${base}`;

/** Writes a call; false if the browser does not take it. */
export function keep(base: string, call: KeptCall): boolean {
  try {
    sessionStorage.setItem(item(base), JSON.stringify({ ...call, at: Date.now() }));
    return true;
  } catch {
    return false;
  }
}

/** Returns the call that the page was left in, and removes it from the storage. */
export function take(base: string): KeptCall | undefined {
  try {
    const text = sessionStorage.getItem(item(base));
    sessionStorage.removeItem(item(base));
    const call = JSON.parse(text ?? "null") as (KeptCall & { at: number }) | null;
    return call && Math.abs(Date.now() - call.at) < maxAge ? call : undefined;
  } catch {
    return undefined;
  }
}
