// Leaves letters for a contact at the server while the two are not connected: cmd/p2pchat/mailboxleave.go for a browser.
//
// It works in this order, so that a tab that is closed between two steps neither loses nor doubles a message: the outbox, the sealed
// letters with the keys after them, and then the server. What the server does not take stays in the outbox.

import type { Held } from "./book.ts";
import type { Conversation } from "./conversation.ts";
import { kindOf, readable, type Kind } from "./failure.ts";
import type { Store } from "./store.ts";

const lastPosts = 3000; // ms for letters that are left when the call ends
const attemptPause = 1000; // ms between two attempts to leave letters again: a server may claim that it keeps none
const lookAtClock = 60_000; // ms between looks whether letters have expired: one timer would stand still while the machine sleeps

export interface MailWriter {
  /** The messages up to an ID are in letters at the server, which keeps them for some ms. */
  mailed(through: number, kept: number): void;
  note(text: string): void; // shows a text once
}

export class Mailer {
  #refused = false; // the server takes no letters now; the next wait tries again
  #remembered = false; // the person knows what an earlier tab has left
  #tried = -attemptPause; // when letters were last made again
  #due = true;
  #wake: () => void = () => {};

  constructor(private readonly store: Store, private readonly contact: Held, private readonly conversation: Conversation, private readonly writer: MailWriter) {}

  /** Notes that something was said, or read; space: the contact has read letters, so the box may have space again. */
  changed(space = false) {
    if (space) this.#refused = false;
    this.#due = true;
    this.#wake();
  }

  /** Leaves what is due, until signal aborts. Nothing is under way once it resolves. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => { this.#wake(); }, { once: true });
    this.#refused = false;
    for (this.#due = true; !signal.aborted; ) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve)), rest = await this.#renew();
      if (this.#due) {
        this.#due = false;
        await this.#leave(signal);
        continue;
      }
      const expiry = setTimeout(() => { this.#wake(); }, Math.min(Math.max(rest, attemptPause), lookAtClock));
      await woken;
      clearTimeout(expiry);
    }
  }

  /** Leaves what is due when the call ends, and reports whether all that was not delivered is at the server. */
  async finish(): Promise<boolean> {
    this.#refused = false;
    await this.#leave(AbortSignal.timeout(lastPosts));
    const { through, sealed } = await this.contact.left(), rest = this.conversation.letter(through, false);
    return sealed === 0 && !rest.text && !rest.held;
  }

  async #leave(signal: AbortSignal): Promise<void> {
    try {
      while (!this.#refused) {
        const letters = await this.contact.seal((through, due) => {
          const l = this.conversation.letter(through, due);
          if (l.held) this.writer.note(`A file, an answer to one, or a very long message waits until you and ${this.contact.name} connect, and so does what you write after it.`);
          return l;
        });
        if (letters.length === 0) return;
        let kept = 0;
        for (const { to, block } of letters) kept = await this.store.addBlock(to, block, signal) * 1000;
        this.writer.mailed(await this.contact.posted(kept), kept);
      }
    } catch (e) {
      if (signal.aborted && kindOf(e) === undefined) return;
      this.#refused = true;
      this.writer.note(refusedText(this.contact.name, kindOf(e), readable(e).message, this.conversation.waiting.length > 0));
    }
  }

  /** Makes letters again of what was left, once that may have expired at the server. What comes twice counts once. It returns the ms until then, at most. */
  async #renew(): Promise<number> {
    const { through, until } = await this.contact.left().catch(() => ({ through: 0, until: 0 })), rest = until - Date.now();
    if (until === 0) return lookAtClock;
    const unread = this.conversation.letter(through, false).first <= through;
    if (rest > 0) {
      if (unread && !this.#remembered) this.writer.mailed(through, rest);
      this.#remembered = true;
      return rest;
    }
    const now = performance.now();
    if (now - this.#tried < attemptPause) return attemptPause;
    this.#tried = now;
    const expired = `What you left for ${this.contact.name} at the server has expired there`;
    try {
      await this.contact.leaveAgain();
    } catch (e) {
      if (unread) this.writer.note(`${expired}, and cannot be left again: ${readable(e).message} It goes out when you and ${this.contact.name} connect.`);
      return lookAtClock;
    }
    if (unread) this.writer.note(`${expired}. It is left again.`);
    this.changed(true);
    return lookAtClock;
  }
}

/** Says why a letter could not be left, and what it means; writes: there are messages to leave, not only a receipt. */
function refusedText(name: string, kind: Kind | undefined, message: string, writes: boolean): string {
  const reasons: Partial<Record<Kind, string>> = {
    "mail-off": "this server keeps no messages for people who are away.",
    "box-full": `${name}’s mailbox is full.`,
    "mail-full": "the server’s mailboxes are full.",
    "client-mail": "your network address has left as much as this server allows.",
    "access-key": "this server keeps messages only for those who have its access key. To leave them, type the key on the start page, and call again.",
  };
  const why = (kind && reasons[kind]) ?? message;
  if (!writes) return `${name} cannot be told yet that you have read the letters: ${why} ${name} learns it when the two of you connect at the latest.`;
  return `What you write is kept in this browser, and goes out when you and ${name} connect. It cannot be left at the server before that: ${why}`;
}
