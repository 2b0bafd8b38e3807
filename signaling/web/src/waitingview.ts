// The page while it waits for the other side.

import { print, same, lobby, type Code } from "./code.ts";
import { byId, copy, el } from "./dom.ts";
import { qr } from "./qr.ts";
import type { Listener } from "./meeting.ts";
import type { Side } from "./store.ts";

const maxNotes = 20;
const inLobby = { room: lobby, secret: "" };

export class WaitingView implements Listener {
  readonly #side: Side;
  readonly #base: string;
  readonly #defaultServer: boolean;
  readonly #local: boolean;
  readonly #status = byId("wait-status");
  readonly #notes = byId("wait-notes");
  #untroubled: [title: (Node | string)[], status: string] | undefined; // before the server failed to answer

  /** contact: the name of whom this side calls, or waits for; empty in a call with a code. */
  constructor(side: Side, base: string, defaultServer: boolean, local: boolean, code: Code | undefined, private readonly contact: string) {
    this.#side = side;
    this.#base = base;
    this.#defaultServer = defaultServer;
    this.#local = local;
    const calling = side === "offer";
    byId("wait-title").replaceChildren(...(calling ? ["Your call"] : !code || same(code, inLobby) ? ["Answering a call"] : ["Answering ", unbroken(print(code))]));
    if (contact) byId("wait-title").textContent = calling ? `Calling ${contact}` : `Waiting for ${contact} to call`;
    byId("wait-about").textContent = contact ? `You are connected as soon as ${contact} ${calling ? "answers, or calls you" : "calls"}. No code is needed.`
      : calling ? "" : "You are connected as soon as the caller is there. It does not matter which of you is first.";
    byId("share").hidden = byId("empty").hidden = true;
    byId("write").hidden = contact === "";
    this.#status.textContent = "Contacting the server";
    this.#notes.replaceChildren();
  }

  waiting(code: Code) {
    this.#status.textContent = this.contact ? `Waiting for ${this.contact}` : this.#side === "offer" ? "Waiting for the other person" : "Waiting for the caller";
    if (this.#side === "offer" && !this.contact) this.#share(code);
  }

  #share(code: Code) {
    const text = print(code), open = same(code, inLobby);
    const link = `${this.#base}/#${encodeURI(text)}`;
    byId("wait-title").textContent = open ? "Your call in the lobby" : "Your call is open";
    byId("wait-about").textContent = open ? "Open this page in another tab on this machine, and answer there."
      : code.secret ? "Tell the other person the code, or send them the link. The server never sees its words."
      : "Tell the other person the code. It has no secret: anyone who knows it can join, so you will compare four words.";
    for (const id of ["code-label", "code-row"]) byId(id).hidden = open;
    byId("here").hidden = open || !this.#local;
    byId("the-code").replaceChildren(unbroken(text));
    byId("the-link").textContent = link;
    const command = ["p2pchat answer", ...(open ? [] : [quoted(text)]), ...(this.#defaultServer ? [] : ["--server", this.#base])];
    byId("the-command").replaceChildren(...command.join(" ").split(/( )/).map((w) => (w === " " ? w : unbroken(w))));
    byId("once").hidden = code.secret === "";
    this.#draw(link);
    byId("share").hidden = false;
  }

  #draw(link: string) {
    const rows = this.#local ? undefined : qr(link); // a phone cannot reach this machine's own address
    byId("qr-figure").hidden = !rows;
    if (!rows) return;
    const quiet = 4, n = rows.length + 2 * quiet;
    const svg = byId<SVGSVGElement>("qr");
    svg.setAttribute("viewBox", `0 0 ${n} ${n}`);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", rows.flatMap((r, y) => r.map((dark, x) => (dark ? `M${x + quiet} ${y + quiet}h1v1h-1z` : ""))).join(""));
    svg.replaceChildren(path);
  }

  /** Moves all further news to the log of the conversation: the two have met. */
  met(note: (text: string) => void) {
    this.note = note;
    this.slow = () => {};
    this.ringing = () => note("It is ringing.");
  }

  /** Adds a line to the notes. */
  note(text: string) {
    if (this.#notes.childElementCount >= maxNotes) this.#notes.firstElementChild!.remove();
    this.#notes.append(el("li", { textContent: text }));
  }

  empty({ room, secret }: Code) {
    const open = room === lobby && secret === "";
    byId("empty-title").textContent = open ? "No call is open in the lobby yet." : `No call is open in room ${room} yet.`;
    byId("empty-about").textContent = open
      ? "Start one in another tab, or in a terminal on this machine."
      : "Is the caller not there yet? Then stay here. If the caller says that the call is open, this code does not work: it is mistyped, or someone has used it, or the caller’s page was loaded again. Ask for a new code. If the two of you were in this call before, ask the other person to press “Open the code again”, or to type /again in the terminal program.";
    byId("wait-about").textContent = "";
    byId("empty").hidden = false;
  }

  connecting() {
    this.#status.textContent = "Connecting";
    byId("empty").hidden = true;
  }

  ringing() {
    this.#status.textContent = `It is ringing. Waiting for ${this.contact || "the other person"} to answer`;
  }

  slow() {
    this.note("This is taking a while. You may need a relay: ask the operator of the server.");
  }

  taken() {
    this.note("Another person has answered this call. If the caller expected you, ask for a new code. Waiting for the next call.");
  }

  wrongCode(left: number) {
    this.#status.textContent = "Waiting for the other person";
    if (left > 0) this.note(`A person answered with a wrong code. ${left === 1 ? "One attempt" : `${left} attempts`} left.`);
  }

  retrying(why: string) {
    this.note(`${why} Trying again.`);
  }

  trouble(why?: string) {
    this.note(why ? `${why} Trying again.` : "The server answers again.");
    const title = byId("wait-title"), shown = this.#status.textContent;
    const waits = `Waiting for the server: until then, ${this.contact || "the other person"} cannot reach you`;
    if (why && shown !== waits) {
      this.#untroubled = [[...title.childNodes], shown];
      [title.textContent, this.#status.textContent] = ["The call is held up", waits];
    } else if (!why && this.#untroubled) {
      title.replaceChildren(...this.#untroubled[0]);
      if (shown === waits) this.#status.textContent = this.#untroubled[1]; // else another request has gone on since
      this.#untroubled = undefined;
    }
  }
}

/** Makes a text that no line breaks at its hyphens. */
const unbroken = (text: string) => el("span", { className: "word", textContent: text });

/** Quotes a word for a shell. */
const quoted = (word: string) => (/^[\w.~:/%@-]+$/.test(word) && !word.startsWith("~") ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Makes the copy buttons work; status announces each copy. */
export function copyButtons(status: HTMLElement) {
  for (const b of document.querySelectorAll<HTMLButtonElement>("button.copy")) b.onclick = () => { void copy(byId(b.dataset.copy!), b, status); };
}
