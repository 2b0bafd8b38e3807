// Two sides keep each other when both have said so: chat/keep.go for a browser.
//
//	say ── keep: nonce ─────────────────▶ asked
//	            ◀───────────── keep: nonce ── say
//	Keeper.store                              Keeper.store
//	            ── kept: ID ─────────────▶ Keeper.shown, kept
//	kept, Keeper.shown ◀─────────── kept: ID ──
//
// A side stores before it says kept. So when a person is told that the two have kept each other, the other side has the keys, too.

import { sha256 } from "@noble/hashes/sha2.js";
import { base64, concat, fromBase64, hex, random, utf8 } from "./bytes.ts";
import { json, kind, parse, type FrameKind } from "./frame.ts";

const nonceSize = 16; // bytes

/** What the two have agreed on. Bytes are in base64. */
export interface Agreement {
  readonly key: string; // of their call: Met.contactKey
  readonly ours: string; // a nonce
  readonly theirs: string;
  readonly name: string; // by which this person calls the other
}

/** Stores a contact. */
export interface Keeper {
  readonly able: boolean; // there is a place for contacts
  /** Stores the other side, in the place of an earlier contact of the same call, and returns the contact's name and the ID to show. */
  store(a: Agreement): Promise<{ name: string; id: string }>;
  /** Notes that the other side of the call with a key has stored the contact's keys with an ID, and reports whether this side has them. */
  shown(key: string, id: string): Promise<boolean>;
}

/** The contact that a conversation is with. */
export interface Known {
  readonly name: string; // by which this person calls the other side, whatever name that gives itself
  /** Notes that the other side has stored the keys with an ID. */
  shown(id: string): Promise<unknown>;
  /** Takes the keys with an ID back: they were stored for a call that the other side declined. */
  declined(id: string): Promise<unknown>;
}

/** How far the two are, for the page and for the next one after a reload. */
export interface KeepState {
  readonly key: string; // of the call
  readonly ours: string; // nonces; empty until that side has said keep
  readonly theirs: string;
  readonly name: string; // as the person said
  readonly id: string; // that this side shows
  readonly shown: string; // what the other side has shown
  readonly told: boolean; // the person knows that the two have kept each other
}

/** What the page is told: nothing if only the state has changed. */
export interface KeepNews {
  readonly asked?: true; // the other side wants to keep this one
  readonly kept?: string; // the contact's name, once the two have kept each other
  readonly error?: unknown;
}

const nothing = { ours: "", theirs: "", name: "", id: "", shown: "", told: false };

export class Keeping {
  #state: KeepState;
  #steps: Promise<unknown> = Promise.resolve(); // one after the other

  /** put sends a frame; changed tells the page. */
  constructor(
    private readonly keeper: Keeper, private readonly put: (k: FrameKind, body: Uint8Array) => void,
    private readonly changed: (news: KeepNews) => void, saved?: KeepState,
  ) {
    this.#state = saved ?? { key: "", ...nothing };
  }

  get state(): KeepState {
    return this.#state;
  }

  /** The name of this person for the other side, once the two have kept each other; else empty. */
  get name(): string {
    return this.#state.told ? this.#state.name : "";
  }

  /** Begins with the key of a new pipe. What was said about another key is void. */
  begin(key: string) {
    if (key !== this.#state.key) this.#state = { key, ...nothing };
  }

  /** Says that this side keeps the other one, by a name of this person. */
  say(name: string) {
    this.#state = { ...this.#state, name };
    if (this.#state.ours === "") {
      const nonce = base64(random(nonceSize));
      this.#state = { ...this.#state, ours: nonce };
      this.put(kind.keep, json({ nonce, key: keyID(this.#state.key) }));
    }
    this.changed({});
    this.#store();
  }

  /** Handles the other side's keep or kept; false if it makes no sense. */
  handle(k: FrameKind, body: Uint8Array): boolean {
    if (k === kind.kept) {
      this.#state = { ...this.#state, shown: new TextDecoder().decode(body) };
      this.#check();
      return true;
    }
    const note = parse(body), nonce = note?.nonce;
    if (this.#state.key === "" || note?.key !== keyID(this.#state.key) || fromBase64(nonce)?.length !== nonceSize) return false;
    if (nonce === this.#state.theirs && this.#state.id !== "") return true; // it is stored
    const first = this.#state.theirs === "";
    this.#state = { ...this.#state, theirs: nonce as string };
    this.changed(first && this.#state.ours === "" ? { asked: true } : {});
    this.#store();
    return true;
  }

  /** Stores the contact once both sides have said keep, and shows the other side that it has. */
  #store() {
    this.#then(async () => {
      const { key, ours, theirs, name, id } = this.#state;
      if (ours === "" || theirs === "") return;
      const stored = await this.keeper.store({ key, ours, theirs, name });
      if (key !== this.#state.key) return;
      this.#state = { ...this.#state, name: stored.name };
      if (stored.id === id) return;
      this.#state = { ...this.#state, id: stored.id, told: false };
      this.put(kind.kept, utf8(stored.id));
    });
    this.#check();
  }

  /** Tells that the two have kept each other, once both have stored the same keys. */
  #check() {
    this.#then(async () => {
      const { key, id, shown, told } = this.#state;
      if (told || id === "" || shown !== id || !(await this.keeper.shown(key, id)) || key !== this.#state.key) return;
      this.#state = { ...this.#state, told: true };
      this.changed({ kept: this.#state.name });
    });
  }

  #then(step: () => Promise<void>) {
    this.#steps = this.#steps.then(step).catch((error: unknown) => { this.changed({ error }); });
  }
}

/** Names a key to a side that has it. */
export const keyID = (key: string): string => hex(sha256(concat(utf8("p2pchat/2 key of a call "), fromBase64(key)!)).subarray(0, nonceSize));
