// Stores what this person has said to a contact until the contact has it, in the browser's IndexedDB: the outbox of cmd/p2pchat for a
// browser.
//
//	Conversation.put ─▶ Outbox.changed ─▶ Held.store ─▶ Conversation.stored ─▶ a pipe, or Mailer ─▶ the contact
//	                                      (what the contact has acknowledged is gone from it)
//
// A frame goes out only once it is stored with its number. So wherever a tab is killed, no number ever stands for two frames, and the
// next tab goes on with those that the contact does not have.

import { readable } from "./failure.ts";
import type { Known } from "./keep.ts";
import type { Heard, SavedFrames } from "./reliable.ts";

/** What one side has said in a conversation, and the other one does not have yet. */
export interface Undelivered extends SavedFrames {
  readonly files: readonly FileName[]; // that are on their way; the next tab has none of them
}

/** Names a file of the conversation `of`. */
export interface FileName {
  readonly id: number;
  readonly of: string;
}

/** A contact as a conversation needs it: how far this person has read, and what the contact does not have yet. */
export interface Correspondent extends Known {
  readonly heard: Heard | undefined;
  readonly undelivered?: Undelivered | undefined;
}

/** Where a conversation stores its frames. */
export interface Journal {
  readonly stored: number; // the last seq that may go out
  readonly refused: boolean; // the next one cannot be stored
  changed(): void;
}

/** The Journal of a conversation that ends with its page. */
export const noJournal: Journal = { stored: Infinity, refused: false, changed: () => {} };

/** Where an Outbox writes what has changed. */
interface ProgressStore {
  /** Stores the progress of the call, and returns the last seq of it. */
  store(): Promise<number>;
}

export class Outbox implements Journal {
  stored = 0;
  refused = false;
  #due = false;
  #writing: Promise<void> = Promise.resolve();

  /** done is called after each change that is stored, tell with what a person should know. */
  constructor(private readonly contact: ProgressStore, private readonly name: string, private readonly done: () => void, private readonly tell: (text: string) => void) {}

  changed() {
    if (!this.#due) this.#writing = this.#writing.then(() => this.#write());
    this.#due = true;
  }

  /** Resolves once all changes are stored, or the browser has refused them. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    this.#due = false;
    try {
      this.stored = await this.contact.store();
      this.refused = false;
      this.done();
    } catch (e) {
      if (!this.refused) this.tell(`${readable(e).message} What you write to ${this.name} is not sent until the browser stores it: free some space, or use the terminal program.`);
      this.refused = true;
    }
  }
}
