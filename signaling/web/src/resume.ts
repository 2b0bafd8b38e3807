// Keeps a call in its tab's session storage from the moment that the page is left until it is loaded again. While a page runs the
// storage has no call: one that is older than the conversation would use its numbers twice.

import type { Code } from "./code.ts";
import { kind } from "./frame.ts";
import type { KeepState } from "./keep.ts";
import type { SavedStream } from "./reliable.ts";
import type { Resumption } from "./session.ts";
import type { Side } from "./store.ts";

/** ms that the other side waits for a page that was closed or is loading again. */
export const away = 20_000;

/** ms after which a page that announced its absence no longer continues: the rest of `away` is for meeting again. */
export const backIn = 10_000;

/** ms in which a call can be resumed if the other side was not told that the page is away. */
export const resumeLimit = 10 * 60_000;

/** What a page needs to continue a conversation of an earlier one. */
export interface Saved extends SavedStream {
  readonly name: string;
  readonly partial: boolean;
  readonly keep: KeepState;
}

export interface SavedCall {
  readonly side: Side;
  readonly code: Code | undefined;
  readonly contact: string; // the ID of the contact whom the call is with; empty in a call with a code
  readonly relayOnly: boolean;
  readonly anywhere: boolean; // whether STUN and TURN servers on other hosts may be used
  readonly accessKey: string;
  readonly compared: boolean; // whether the person has compared the safety words
  readonly files: readonly string[]; // names of those that leaving the page has cancelled
  readonly draft: string; // of a message
  readonly conversation: Saved;
  readonly session: Resumption;
}

const item = (base: string) => `p2pchat call at ${base}`;

/** Counts the messages of a call that were not delivered. */
export const undeliveredIn = (call: SavedCall): number => call.conversation.frames.filter(([k]) => k === kind.message).length;

/** Saves a call that can be resumed within ms; false if the browser does not store it. */
export function saveCall(base: string, call: SavedCall, ms: number): boolean {
  try {
    sessionStorage.setItem(item(base), JSON.stringify({ ...call, at: Date.now(), ms }));
    return true;
  } catch {
    return false;
  }
}

/** Returns the call in which the page was left, and whether it can still be resumed; and removes it from the storage. */
export function takeCall(base: string): (SavedCall & { inTime: boolean }) | undefined {
  try {
    const text = sessionStorage.getItem(item(base));
    sessionStorage.removeItem(item(base));
    const call = JSON.parse(text ?? "null") as (SavedCall & { at: number; ms: number }) | null;
    return call ? { ...call, inTime: Math.abs(Date.now() - call.at) < call.ms } : undefined;
  } catch {
    return undefined;
  }
}

const waitingItem = (base: string) => `p2pchat waited at ${base}`;

/** Whom a page waited for that was left before the two had met. */
export interface Waited {
  readonly code: string; // of a call that this side answers, and goes on to answer; empty for its own call, and with a contact
  readonly contact?: { readonly id: string; readonly name: string } | undefined;
  readonly side: Side;
  readonly draft: string; // of a message to the contact
}

/** Saves that the page was left before the two had met. */
export function saveWaiting(base: string, waited: Waited) {
  try {
    sessionStorage.setItem(waitingItem(base), JSON.stringify({ ...waited, at: Date.now() }));
  } catch { /* then the person starts again */ }
}

/** Returns whom the page waited for, and removes it from the storage; undefined if it did not wait. */
export function takeWaiting(base: string): Waited | undefined {
  try {
    const text = sessionStorage.getItem(waitingItem(base));
    sessionStorage.removeItem(waitingItem(base));
    const left = JSON.parse(text ?? "null") as (Waited & { at: number }) | null;
    return left && Math.abs(Date.now() - left.at) < resumeLimit ? left : undefined;
  } catch {
    return undefined;
  }
}
