// The contacts on the start page: call, answer, rename, forget.

import { Book, leftThrough, type Contact, type Held } from "./book.ts";
import { byId, el, isDouble, spoken } from "./dom.ts";
import { readable, type Failure } from "./failure.ts";
import { kind } from "./frame.ts";
import type { Side } from "./store.ts";

const list = byId("contacts-list"), about = byId("contacts-about"), card = byId("contacts");

/** Says how many messages for a contact are kept in this browser, or is empty. The contact may have read those that were left at the server. */
function waiting(c: Contact): string {
  const messages = c.undelivered?.frames.filter(([k]) => k === kind.message) ?? [], through = leftThrough(c);
  const left = messages.filter(([, seq]) => seq <= through).length, n = messages.length - left;
  return [
    left === 0 ? "" : left === 1 ? "One message was left at the server. No receipt yet" : `${left} messages were left at the server. No receipt yet`,
    n === 0 ? "" : n === 1 ? "One message is not delivered yet" : `${n} messages are not delivered yet`,
  ].filter(Boolean).join(". ");
}

export class ContactView {
  #asked = ""; // whether to forget the contact with that ID: the question is shown

  /** start starts a call with a contact, which it releases at the end. */
  constructor(private readonly book: () => Book | Failure, private readonly start: (side: Side, contact: Held) => void) {}

  /** Shows the contacts as they are stored now. */
  async refresh(): Promise<void> {
    const book = this.book();
    const all = book instanceof Book ? await book.list().catch(() => []) : [];
    const open = list.querySelector<HTMLElement>("details[open]")?.dataset.contact;
    list.replaceChildren(...all.map((c) => this.#item(c, c.id === open)));
    card.hidden = all.length === 0;
  }

  /** Shows what another tab may have changed, unless the person is typing a name. */
  seen() {
    if (![...list.querySelectorAll("input")].some((i) => i.value !== i.defaultValue)) void this.refresh();
  }

  #item(c: Contact, open: boolean): HTMLElement {
    const button = (label: string, act: (e: MouseEvent) => void) => {
      const b = el("button", { type: "button" }, label, spoken(` ${c.name}`));
      b.onclick = act;
      return b;
    };
    const input = el("input", { defaultValue: c.name, maxLength: 64, autocomplete: "off", spellcheck: false, ariaLabel: `Your name for ${c.name}` });
    const rename = el("form", { className: "row" }, input, el("button", {}, "Rename"));
    rename.onsubmit = (e) => {
      e.preventDefault();
      if (input.value.trim() !== "") void this.#change(c, (book) => book.rename(c.id, input.value), "Renamed.");
    };
    const forget = button("Forget", (e) => {
      if (isDouble(e)) return;
      if (this.#asked === c.id) void this.#change(c, (book) => book.forget(c.id), `${c.name} is forgotten.`);
      else this.#say(`To call ${c.name} again, you would meet with a code and keep each other. What ${c.name} may have left for you at the server could not be read any more. To forget the contact${waiting(c) ? ", its keys, and your messages that have no receipt yet" : " and its keys"}, press Forget again.`);
      this.#asked = c.id;
    });
    const details = el("details", { open }, el("summary", {}, "Rename or forget", spoken(` ${c.name}`)), rename, forget);
    details.dataset.contact = c.id;
    return el("li", {},
      el("div", { className: "contact" },
        el("bdi", { textContent: c.name }),
        el("small", { textContent: waiting(c) || (c.keys.shown ? `Last call: ${new Date(c.seen).toLocaleDateString()}` : "Not confirmed: they may not have kept you") }),
        el("span", { className: "row" }, button("Call", () => void this.#meet("offer", c)), button("Answer", () => void this.#meet("answer", c))),
      ), details);
  }

  async #meet(side: Side, c: Contact): Promise<void> {
    const held = await this.#hold(c);
    if (!held) return;
    this.#say("");
    this.start(side, held);
  }

  /** Changes a contact that no tab is in a call with. */
  async #change(c: Contact, change: (book: Book) => Promise<void>, done: string): Promise<void> {
    const held = await this.#hold(c);
    if (!held) return;
    try {
      await change(this.book() as Book);
      this.#say(done);
    } catch (e) {
      this.#say(readable(e).message);
    }
    held.release();
    await this.refresh();
    (list.querySelector<HTMLElement>(`[data-contact="${c.id}"] summary`) ?? byId("start-title")).focus();
  }

  async #hold(c: Contact): Promise<Held | undefined> {
    const held = await (this.book() as Book).hold(c.id).catch(() => undefined);
    if (held) return held;
    const all = await (this.book() as Book).list().catch(() => []);
    this.#say(all.some(({ id }) => id === c.id) ? `Another tab is in a call with ${c.name}, or waits for one.` : `Another tab has forgotten ${c.name}.`);
    return undefined;
  }

  #say(text: string) {
    this.#asked = "";
    about.textContent = text;
  }
}
