// A call: the session that connects it, its conversation and files, and what the page shows of them.

import { keeper, type Book, type Held } from "./book.ts";
import { print, type Code } from "./code.ts";
import { ContactSession } from "./contacts.ts";
import { Conversation } from "./conversation.ts";
import { ConversationView } from "./conversationview.ts";
import { byId, show } from "./dom.ts";
import { readable, type Failure, type Kind } from "./failure.ts";
import { FileViews } from "./fileview.ts";
import { KeepView } from "./keepview.ts";
import { Mailbox } from "./mailbox.ts";
import { Outbox } from "./outbox.ts";
import type { Pipe } from "./pipe.ts";
import { backIn, resumeLimit, saveCall, saveWaiting, undeliveredIn, type SavedCall } from "./resume.ts";
import { Session } from "./session.ts";
import { skewText } from "./skew.ts";
import { Store, type Side } from "./store.ts";
import { WaitingView } from "./waitingview.ts";

const stillLost = 30_000; // ms that a lost connection may take to come back, before the person is told what that can mean

export interface Choices {
  readonly name: string;
  readonly accessKey: string;
  readonly relayOnly: boolean;
  readonly anywhere: boolean; // whether STUN and TURN servers on other hosts may be used
}

export class Call {
  readonly #base: string;
  readonly #code: Code | undefined;
  readonly #choices: Choices;
  readonly view = new ConversationView();
  readonly conversation: Conversation;
  readonly #store: Store;
  readonly #waiting: WaitingView;
  readonly #session: Session | ContactSession;
  readonly #contact: Held | undefined;
  readonly #keep: KeepView;
  readonly #files: FileViews;
  readonly #life = new AbortController();
  readonly #mailbox: Mailbox | undefined;
  readonly #outbox: Outbox | undefined;
  #trouble = false; // the server does not answer
  #unread: string[] = []; // what the person was told while the page waited, and has to know in the conversation
  #met: boolean; // there was a connection
  #shown: boolean; // the conversation is on the page
  #peer: string; // the other side's last conversation

  /** Begins a call at the server with the address base, or resumes a saved one. local: the server is on this machine. */
  constructor(base: string, local: boolean, readonly side: Side, code: Code | undefined, choices: Choices, book: () => Book | Failure, contact?: Held, saved?: SavedCall) {
    this.#base = base;
    this.#contact = contact;
    this.#code = code;
    this.#choices = choices;
    this.#store = new Store(base);
    this.#store.accessKey = choices.accessKey;
    this.#waiting = new WaitingView(side, base, base === "http://localhost:3000", local, code, contact?.name ?? "");
    this.#session = contact ? new ContactSession(this.#store, contact, side, choices.relayOnly, this.#waiting, choices.anywhere)
      : new Session(this.#store, side, code, choices.relayOnly, this.#waiting, choices.anywhere);
    this.conversation = new Conversation(choices.name, this.view, keeper(book, side), contact, saved?.conversation);
    this.#keep = new KeepView(this.conversation, this.view, book, local);
    this.view.isContact = contact !== undefined;
    this.#files = new FileViews(this.conversation, this.view);
    this.view.onFile = (...args) => this.#files.files.handleFrame(...args);
    this.view.onRinging = () => { this.#waiting.ringing(); };
    this.view.onConnected = (pipe) => { this.#connected(pipe); };
    if (contact) {
      const note = (text: string) => { this.note(text); };
      contact.progress = this.conversation;
      this.#store.onClock = (ahead) => {
        const text = skewText(ahead, new URL(base).host);
        if (text) note(text);
      };
      this.#mailbox = new Mailbox(this.#store, contact, this.conversation, {
        letters: () => { this.#open("peer", `${contact.name} left this at the server, sealed.`, true); }, alert: () => { this.view.alert(contact.name); },
        mailed: (through, kept) => { this.view.mailed(through, kept); }, note,
      });
      this.#outbox = this.conversation.journal = new Outbox(contact, contact.name, () => {
        this.conversation.stored();
        this.#mailbox!.mailer.changed();
      }, note);
      this.conversation.filesOnTheirWay = () => this.#files.files.open;
      this.#outbox.changed(); // another tab with an older state of this conversation does not go on with it
    }
    this.#store.onTrouble = (why) => {
      this.#trouble = why !== undefined;
      this.view.trouble(why);
      if (!this.#shown) this.#waiting.trouble(why);
    };
    this.#met = this.#shown = saved !== undefined;
    this.#peer = saved?.conversation.peer.conversation ?? "";
    if (!saved) {
      show("wait", byId("wait-title"));
      const { waiting } = this.conversation;
      if (waiting.length === 0) return;
      this.write();
      this.note(waiting.length === 1 ? "You wrote this before this call." : `You wrote these ${waiting.length} messages before this call.`);
      for (const { id, text, at } of waiting) this.view.said(id, text, at);
      return;
    }
    this.#waiting.met((text) => this.view.note(text));
    this.#session.resume(saved.session);
    this.view.resumed(saved.session.last.met, saved.compared, saved.conversation.peer.name, this.conversation.waiting, saved.files);
  }

  get met(): boolean {
    return this.#met;
  }

  /** What the person was told that they may not have read. */
  get unread(): string {
    return this.#unread.join(" ");
  }

  /** Whether the conversation is on the page. */
  get shown(): boolean {
    return this.#shown;
  }

  /** Lets the person write to a contact who is away. */
  write() {
    this.#open("text");
  }

  /** Shows the conversation before the two are connected. */
  #open(focus: string, why = "", keepsMail = false) {
    if (this.#shown) return;
    const { name } = this.#contact!, now = this.side === "offer" ? `Calling ${name}.` : `Waiting for ${name} to call.`;
    this.view.away(name, `${now} ${why}`.trim(), focus, keepsMail);
    this.#show();
  }

  #show() {
    this.#shown = true;
    this.#waiting.met((text) => this.view.note(text));
    for (const text of this.#unread.splice(0)) this.view.note(text);
  }

  #connected(pipe: Pipe) {
    this.#met = true;
    this.#show();
    this.#files.files.connected(pipe, this.#peer === "" || this.#peer === this.conversation.peer);
    this.#peer = this.conversation.peer;
    this.#keep.connected();
    if (this.#contact && pipe.holds === "") this.view.note("The new keys of this contact could not be stored. The next call uses the old ones.");
  }

  /** Holds the call until it ends, and returns the failure that ended it, if one did. */
  async run(): Promise<Failure | undefined> {
    let failure: Failure | undefined;
    try {
      await this.conversation.run((signal) => this.#nextPipe(signal), this.#life.signal);
    } catch (e) {
      failure = readable(e);
    }
    this.#life.abort();
    const rest = await this.#finish();
    this.#contact?.release();
    const broken = this.#files.files.abandon("the conversation has ended");
    if (this.#shown) this.view.over([
      failure ? `The call ended: ${failure.message}` : this.view.departure || "You have left.",
      failure && hints[failure.kind],
      rest,
      broken === 0 ? "" : broken === 1 ? "One file was not transferred." : `${broken} files were not transferred.`,
      this.#keep.unfinished,
      this.view.pageClosed && talkAgain,
    ].filter(Boolean).join(" "), this.#contact !== undefined && this.conversation.resumable);
    return failure;
  }

  /** Leaves at the server what was not delivered to a contact, and returns what the person should know of it. */
  async #finish(): Promise<string> {
    const n = this.conversation.waiting.length, lost = this.#met ? undelivered(n) : "";
    if (!this.#contact || !this.#mailbox) return lost;
    await this.#outbox!.settled();
    try {
      if (!this.conversation.resumable) {
        await this.#contact.end();
        return lost;
      }
      const left = await this.#mailbox.mailer.finish(), { name } = this.#contact;
      if (n === 0) return lost;
      return !left ? keptFor(name, n) : n === 1 ? `One message waits for ${name} at the server, sealed.` : `${n} messages wait for ${name} at the server, sealed.`;
    } catch (e) {
      return `${lost} ${readable(e).message}`;
    }
  }

  async #nextPipe(signal: AbortSignal): Promise<Pipe> {
    const s = this.#session, typed = s instanceof Session && s.typed; // a contact comes back without it
    const late = setTimeout(() => {
      if (typed) this.view.stillLost(stillLost / 1000, print(typed), () => s.reopen());
      else if (this.#contact && !this.#trouble) this.#stillAway(this.#contact.name);
    }, stillLost);
    const over = new AbortController(), letters = this.#mailbox?.run(AbortSignal.any([signal, over.signal]));
    try {
      return await this.#session.pipe(signal);
    } finally {
      over.abort();
      await letters;
      clearTimeout(late);
    }
  }

  /** Tells that a contact has not come, who may have forgotten this side: nothing else tells that. */
  #stillAway(name: string) {
    const come = this.#met ? "come back" : this.side === "offer" ? "answered" : "called";
    this.note(`${name} has not ${come} for ${stillLost / 1000} s, and may be away. If ${name} has removed you as a contact, forget ${name} here, too, meet with a code, and keep each other.`);
  }

  /** Offers files, and returns an error for a person to read, or "". */
  send(files: Iterable<File>): string {
    return this.#files.send(files);
  }

  /** Leaves, or asks about files that leaving would drop. */
  leave() {
    if (this.#files.leaving.answered()) this.conversation.leave();
  }

  /** Shows a line that the person has to know, in the conversation, too, if the page waits for it. */
  tell(text: string) {
    if (!this.#shown) this.#unread.push(text);
    this.note(text);
  }

  /** Shows a line, in the conversation or while the page waits for it. */
  note(text: string) {
    if (this.#shown) this.view.note(text);
    else this.#waiting.note(text);
  }

  /** Ends a call that waits for the other side. */
  cancel() {
    this.conversation.leave();
    this.#life.abort();
  }

  /** Handles that the page is closed or reloads: it saves the call, with the draft of a message, for the next page, or says goodbye. */
  leavePage(draft: string) {
    const saved = this.#save(draft);
    if (!this.#met && !this.conversation.parting) this.#saveWaiting(draft);
    if (!saved) this.conversation.abandon();
    if (saved || !this.#met) this.#life.abort(); // which closes the room; a goodbye still needs the connection
  }

  #saveWaiting(draft: string) {
    const { side } = this, contact = this.#contact && { id: this.#contact.id, name: this.#contact.name };
    saveWaiting(this.#base, { side, contact, code: side === "answer" && this.#code ? print(this.#code) : "", draft });
  }

  #save(draft: string): boolean {
    const session = this.#session.resumption;
    if (!this.#met || !session || this.conversation.parting) return false;
    const { relayOnly, anywhere, accessKey } = this.#choices;
    const files = this.#files.files.interrupt("the other side’s page was closed or loaded again");
    return saveCall(this.#base, {
      side: this.side, code: this.#code, contact: this.#contact?.id ?? "", relayOnly, anywhere, accessKey, compared: this.view.compared, files, draft, conversation: this.conversation.save(), session,
    }, this.conversation.pause() ? backIn : resumeLimit);
  }
}

/** What a person can do after a failure. */
export const hints: Partial<Record<Kind, string>> = {
  "wrong-code": "Ask the caller to read the code out again.",
  burnt: "Start a new call, and send the new code by another route: someone may be guessing.",
  impostor: "Ask the caller for a new code: someone may be guessing.",
  taken: "If the caller did not hang up, they are talking to another person who has the code: tell them.",
  occupied: "Choose another code, or answer that call.",
  "no-path": "You may need a relay: the operator of the server can start it with --relay.",
  "no-relay": "Start again to connect directly, which shows your address to the other person.",
  replaced: "One of you has to answer instead.",
  silent: "Both sides need the same version of p2pchat.",
  declined: "Call again later.",
  unanswered: "Call again later.",
};

export const talkAgain = "To talk again, one of you starts a new call.";

/** Says what becomes of messages to a contact that are not delivered. */
const keptFor = (name: string, n: number) =>
  n === 1 ? `One message not delivered yet is kept in this browser, for your next call with ${name}.` : `${n} messages not delivered yet are kept in this browser, for your next call with ${name}.`;

export const undelivered = (n: number) =>
  n === 0 ? "All your messages were delivered." : n === 1 ? "One message was not delivered. They never saw it." : `${n} messages were not delivered. They never saw them.`;

/** Says what becomes of the messages of a call of an earlier page that is over. */
export function restOf(saved: SavedCall): string {
  const n = undeliveredIn(saved);
  return (saved.contact && n > 0 ? keptFor(saved.conversation.peer.name, n) : undelivered(n)) + notSent(saved.draft);
}

/** Shows what the person had begun to write for a call that is over. */
export const notSent = (draft = "") => draft.trim() && ` Not sent: ${draft}`;
