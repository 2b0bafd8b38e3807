// Reads what a contact has left at the server while the two are not connected, and tells the contact that it was read: the reading
// half of cmd/p2pchat/mailbox.go for a browser.
//
// It works in this order, so that a tab that is closed between two steps loses no message: the page, the key after the letter (with
// how far this side has read), the deletion at the server; and then the sealed receipt with the key after it, the server.

import type { Held } from "./book.ts";
import { boxOf, id } from "./contact.ts";
import type { Conversation } from "./conversation.ts";
import { kindOf, readable, sleep } from "./failure.ts";
import { parseLetter, receipt } from "./letter.ts";
import { address, open, reportText } from "./mail.ts";
import type { Store } from "./store.ts";

const mailWait = 25; // seconds that one read waits for letters
const glance = 2000; // ms between two looks into a box where no read waits: all tabs share six connections

export interface MailReader {
  /** There are messages in the letter that is opened next. */
  letters(): void;
  note(text: string): void;
}

export class Mailbox {
  readonly #told = new Set<string>();
  #steps: Promise<unknown> = Promise.resolve(); // one after the other

  constructor(private readonly store: Store, private readonly contact: Held, private readonly conversation: Conversation, private readonly reader: MailReader) {}

  /** Reads letters until signal aborts. Nothing is under way once it resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const keys = await this.contact.keys().catch(() => undefined);
    await Promise.all([this.#acknowledge(signal), ...(keys?.generations ?? []).map((g, i) => this.#read(id(g), i === 0 ? mailWait : 0, signal))]);
  }

  /** Reads the box of a generation, until signal aborts or the server refuses. */
  async #read(generation: string, wait: number, signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const box = boxOf(await this.contact.keys(), generation, "theirs");
        if (!box) return;
        const at = address(box), list = await this.store.blocks(at, box.number, wait, signal);
        if (list.length > 0) {
          const { after, letters, report } = open(box, list);
          await this.#next(async () => {
            const due = letters.map((l) => this.#open(l)).includes(true);
            this.#tell(reportText(report)); // below the letters, which bring the conversation onto the page
            if (letters.length > 0) await this.contact.read(generation, after, this.conversation.heard, due);
          });
          if (letters.length === 0) return; // a server that invents blocks is not asked again at once
          await this.store.deleteBlocks(at, after.number, signal);
          await this.#acknowledge(signal);
        } else if (wait === 0) await sleep(glance, signal);
      }
    } catch (e) {
      if (signal.aborted || kindOf(e) === "mail-off") return; // nothing waits there
      const { name } = this.contact;
      this.#tell(`What waits for you at the server cannot be read: ${readable(e).message} ${name} still has it, and you get it when you meet.`);
    }
  }

  /** Shows a letter, and reports whether there were messages in it. */
  #open(text: Uint8Array): boolean {
    const letter = parseLetter(text), messages = letter !== undefined && letter.messages.length > 0;
    if (messages) this.reader.letters();
    if (letter) this.conversation.open(letter);
    else this.#tell(`A letter of ${this.contact.name} could not be read: it is none of a conversation.`);
    return messages;
  }

  /** Leaves a receipt for what was read since the last one. */
  #acknowledge(signal: AbortSignal): Promise<void> {
    return this.#next(async () => {
      try {
        for (;;) {
          const sealed = await this.contact.receipts(receipt(this.conversation.place));
          if (sealed.length === 0) return;
          for (const { to, block } of sealed) await this.store.addBlock(to, block, signal);
          await this.contact.posted();
        }
      } catch (e) {
        if (!signal.aborted) this.#tell(`${this.contact.name} is told that you have read this when you meet: the server takes no receipt now. ${readable(e).message}`);
      }
    });
  }

  #next(step: () => Promise<void>): Promise<void> {
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
