// How a person keeps the other side of a call as a contact, on the page.

import { Book } from "./book.ts";
import type { Conversation } from "./conversation.ts";
import type { ConversationView } from "./conversationview.ts";
import { byId, name as setName } from "./dom.ts";
import { readable, type Failure } from "./failure.ts";
import { properName } from "./name.ts";

const button = byId("keep"), panel = byId<HTMLFormElement>("keeping"), nameInput = byId<HTMLInputElement>("keep-name");
const textBox = byId("text"), peerName = byId("peer-name");

export class KeepView {
  #declined = false; // the person has closed the other side's question

  /** own: the page comes from this machine. */
  constructor(
    private readonly conversation: Conversation, private readonly view: ConversationView, private readonly book: () => Book | Failure, private readonly own: boolean,
  ) {
    button.hidden = panel.hidden = true;
    view.onTrust = () => { this.#show(); };
    view.onKeep = ({ asked, kept, error }) => {
      if (asked) view.asked(`${peerName.textContent} wants to keep you as a contact, so that you can call each other without a code. ${view.trusted ? "" : "First compare the four words."}`.trim());
      if (kept !== undefined) {
        const wanted = properName(nameInput.value.trim()), taken = nameInput.value.trim() && kept !== wanted;
        setName(kept);
        if (!document.hidden) view.seen();
        view.note(`You have kept each other. ${taken ? `You already have a contact called ${wanted}, so this one is called ${kept}. ` : ""}From now on you can call ${kept} from the start of this page, without a code.`);
      }
      if (error !== undefined) view.note(`The contact was not kept. ${readable(error).message}`);
      this.#show();
    };
    button.onclick = () => { void this.#open(true); };
    panel.onsubmit = (e) => {
      e.preventDefault();
      this.#keep();
    };
    panel.onkeydown = (e) => {
      if (e.key === "Escape") this.#close();
    };
    byId("keep-not").onclick = () => { this.#close(); };
  }

  connected() {
    this.#declined = false;
    this.#show();
  }

  /** Says for the end of the call that the two may not have kept each other, or is empty. */
  get unfinished(): string {
    const { ours, id, told } = this.conversation.keeping.state, name = peerName.textContent;
    return ours === "" || told ? "" : id === "" ? `${name} has not kept you, so there is no new contact.` : `Whether ${name} has kept you is not known: the next call shows it.`;
  }

  /** Shows the button, and the other side's question. */
  #show() {
    const { key, ours, theirs } = this.conversation.keeping.state;
    const may = key !== "" && ours === "" && this.view.trusted && !this.view.isContact && !this.conversation.parting;
    button.hidden = !may;
    if (!may) panel.hidden = true;
    else if (theirs !== "" && !this.#declined && panel.hidden) void this.#open(false);
  }

  /** Opens the form; pressed: the person has pressed the button, and waits for it. */
  async #open(pressed: boolean): Promise<void> {
    const book = this.book(), name = peerName.textContent;
    if (!this.conversation.peerKeeps || !(book instanceof Book)) {
      this.view.note(book instanceof Book ? `${name}’s program cannot keep contacts.` : book.message);
      textBox.focus();
      return;
    }
    nameInput.value = name;
    byId("keep-about").textContent = this.conversation.keeping.state.theirs === ""
      ? `Keep ${name} as a contact, to call each other without a code? ${name} is asked, too.`
      : `${name} wants to keep you as a contact. Keep ${name}, too, and you can call each other without a code.`;
    byId("keep-warning").hidden = this.own || (await book.list().catch(() => [])).length > 0;
    panel.hidden = false;
    if (!pressed) return;
    nameInput.focus();
    nameInput.select();
  }

  #keep() {
    panel.hidden = true;
    textBox.focus();
    const asked = this.conversation.keeping.state.theirs !== "";
    this.conversation.keeping.say(nameInput.value.trim() || peerName.textContent);
    if (!asked) this.view.note(`Noted. You will have kept each other once ${peerName.textContent} keeps you, too.`);
  }

  #close() {
    panel.hidden = this.#declined = true;
    textBox.focus();
  }
}
