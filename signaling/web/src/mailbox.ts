// Reads what a contact has left at the server while the two are not connected: cmd/p2pchat/mailbox.go for a browser. mailer.ts leaves
// what this person writes, and the receipts.
//
// It works in this order, so that a tab that is closed between two steps loses no message: the page, the key after the letter (with
// how far this side has read), and then both the deletion at the server, and the receipt.

import type { Held } from "./book.ts";
import { boxOf, id } from "./contact.ts";
import type { Conversation } from "./conversation.ts";
import { kindOf, readable, sleep } from "./failure.ts";
import { parseLetter, type Letter } from "./letter.ts";
import { address, open, reportText, type Address } from "./mail.ts";
import { Mailer, type MailWriter } from "./mailer.ts";
import type { Store } from "./store.ts";

const mailWait = 25; // seconds that one read waits for letters
const pollInterval = 2000; // ms between two reads of a box where none waits: all tabs share six connections

export interface MailReader extends MailWriter {
  /** There are messages in the letter that is opened next. */
  letters(): void;
  /** There are letters, but no one looks at the page. */
  alert(): void;
}

export class Mailbox {
  readonly #told = new Set<string>();
  #steps: Promise<unknown> = Promise.resolve(); // that change what is stored, one after the other
  readonly mailer: Mailer; // beside the reading: a server that takes no letter keeps none waiting

  constructor(private readonly store: Store, private readonly contact: Held, private readonly conversation: Conversation, private readonly reader: MailReader) {
    this.mailer = new Mailer(store, contact, conversation, { mailed: (through, kept) => { reader.mailed(through, kept); }, note: (text) => { this.#tell(text); } });
  }

  /** Reads and leaves letters until signal aborts. Nothing is under way once it resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const keys = await this.contact.keys().catch(() => undefined);
    await Promise.all([this.mailer.run(signal), ...(keys?.generations ?? []).map((g, i) => this.#read(id(g), i === 0 ? mailWait : 0, signal))]);
  }

  /** Reads the box of a generation, until signal aborts or the server refuses. */
  async #read(generation: string, wait: number, signal: AbortSignal): Promise<void> {
    let deleted: Promise<unknown> = Promise.resolve();
    try {
      const begun = boxOf(await this.contact.keys(), generation, "theirs");
      if (begun && begun.number > 0) deleted = this.#delete(address(begun), begun.number, signal); // an earlier tab may have been closed before it
      for (;;) {
        const box = boxOf(await this.contact.keys(), generation, "theirs");
        if (!box) return;
        const at = address(box), list = await this.store.blocks(at, box.number, wait, signal);
        if (list.length > 0) {
          const { after, letters, since, report } = open(box, list);
          const parsed = letters.map(parseLetter), toRead = parsed.some((l) => l?.messages.length !== 0); // not only receipts
          if (document.hidden && toRead) this.reader.alert();
          if (toRead) await visible(signal); // what is shown is deleted at the server, and its sender is told that it was read
          await this.#next(async () => {
            const whole = parsed.map((l) => this.#open(l)).includes(true, since); // so no more than receipts are missing
            const due = parsed.some((l) => l && l.messages.length > 0);
            this.#tell(reportText(whole ? { ...report, missing: 0 } : report)); // below the letters, which bring the conversation onto the page
            if (letters.length > 0) await this.contact.read(generation, after, due);
          });
          if (letters.length === 0) return; // a server that invents blocks is not asked again at once
          this.mailer.changed(true);
          deleted = deleted.then(() => this.#delete(at, after.number, signal));
        } else if (wait === 0) await sleep(pollInterval, signal);
      }
    } catch (e) {
      if (signal.aborted || kindOf(e) === "mail-off") return; // nothing waits there
      this.#tell(`The page cannot look for letters: ${readable(e).message} If ${this.contact.name} has left you any, you get them when the two of you connect.`);
    } finally {
      await deleted;
    }
  }

  /** Shows a letter, and reports whether it is whole. */
  #open(letter: Letter | undefined): boolean {
    if (letter && letter.messages.length > 0) this.reader.letters();
    if (letter) return this.conversation.open(letter);
    this.#tell(`A letter from ${this.contact.name} is in a form that this page does not know. Reload the page: both sides need the same version of p2pchat. ${this.contact.name} still has the letter, and you get it when the two of you connect.`);
    return false;
  }

  async #delete(at: Address, through: number, signal: AbortSignal): Promise<void> {
    try {
      await this.store.deleteBlocks(at, through, signal);
    } catch (e) {
      if (!signal.aborted) this.#tell(`The server did not delete the letters that you have read: ${readable(e).message} They stay there, sealed. The page asks again in your next call with ${this.contact.name}.`);
    }
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#steps.then(step);
    this.#steps = done.catch(() => {});
    return done;
  }

  /** Tells the person something once. */
  #tell(text: string) {
    if (text !== "" && !this.#told.has(text)) this.reader.note(text);
    this.#told.add(text);
  }
}

/** Waits until the page is visible. It rejects when signal aborts. */
async function visible(signal: AbortSignal): Promise<void> {
  while (document.hidden) {
    await new Promise((resolve, reject) => {
      signal.throwIfAborted();
      document.addEventListener("visibilitychange", resolve, { once: true, signal });
      signal.addEventListener("abort", () => { reject(signal.reason); }, { once: true });
    });
  }
}
