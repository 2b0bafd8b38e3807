// What a person sees until the other side is there.

import { print, same, lobby, type Code } from "./code.ts";
import { byId, copy, el } from "./dom.ts";
import { qr } from "./qr.ts";
import type { Listener } from "./session.ts";
import type { Side } from "./store.ts";

const maxNotes = 20;
const inLobby = { room: lobby, secret: "" };

export class Waiting implements Listener {
  readonly #status = byId("wait-status");
  readonly #notes = byId("wait-notes");

  constructor(private readonly side: Side, private readonly origin: string, private readonly defaultServer: boolean, private readonly local: boolean, code: Code | undefined) {
    const calling = side === "offer";
    byId("wait-title").textContent = calling ? "Your call" : same(code, inLobby) ? "Answering a call" : `Answering ${code ? print(code) : ""}`;
    byId("wait-about").textContent = calling ? "" : "The two of you are connected as soon as the caller is there. It does not matter who is first; if the caller waits already, compare the code with theirs.";
    byId("share").hidden = true;
    this.#status.textContent = "Reaching the server";
    this.#notes.replaceChildren();
  }

  waiting(code: Code) {
    this.#status.textContent = this.side === "offer" ? "Waiting for the other person" : "Waiting for the caller";
    if (this.side === "offer") this.#share(code);
  }

  #share(code: Code) {
    const text = print(code), open = same(code, inLobby);
    const link = `${this.origin}/#${encodeURI(text)}`;
    byId("wait-title").textContent = open ? "Your call in the lobby" : "Your call is open";
    byId("wait-about").textContent = open ? "Open this page in another tab on this machine, and answer there."
      : code.secret ? "Tell the other person the code, or send them the link. The server never sees the words in it."
      : "Tell the other person the code. It has no secret, so anybody who knows it can come, and you will be asked to compare four words.";
    for (const id of ["code-label", "code-row"]) byId(id).hidden = open;
    byId("here").hidden = open || !this.local;
    byId("the-code").textContent = text;
    byId("the-link").textContent = link;
    const command = ["p2pchat answer", ...(open ? [] : [quoted(text)]), ...(this.defaultServer ? [] : ["--server", this.origin])];
    byId("the-command").textContent = command.join(" ");
    byId("once").hidden = code.secret === "";
    this.#draw(link);
    byId("share").hidden = false;
  }

  #draw(link: string) {
    const rows = this.local ? undefined : qr(link); // a phone is another machine
    byId("qr-figure").hidden = !rows;
    if (!rows) return;
    const quiet = 4, n = rows.length + 2 * quiet;
    const svg = byId<SVGSVGElement>("qr");
    svg.setAttribute("viewBox", `0 0 ${n} ${n}`);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", rows.flatMap((r, y) => r.map((dark, x) => (dark ? `M${x + quiet} ${y + quiet}h1v1h-1z` : ""))).join(""));
    svg.replaceChildren(path);
  }

  /** Adds a line to what has happened. */
  note(text: string) {
    if (this.#notes.childElementCount >= maxNotes) this.#notes.firstElementChild!.remove();
    this.#notes.append(el("li", { textContent: text }));
  }

  connecting() {
    this.#status.textContent = "Connecting";
  }

  slow() {
    this.note("Connecting takes long. Some networks let two machines find each other only with a relay, which the server may have.");
  }

  dropped() {}

  taken() {
    this.note("Somebody else has answered this call. Waiting for the next one.");
  }

  wrongCode(left: number) {
    this.#status.textContent = "Waiting for the other person";
    if (left > 0) this.note(`Somebody answered with a wrong code. ${left === 1 ? "One more wrong one" : `${left} more wrong ones`}, and this code no longer works.`);
  }

  retrying(why: string) {
    this.note(`${why} Trying again.`);
  }

  trouble(why?: string) {
    this.note(why ? `${why} Trying again.` : "The server answers again.");
  }
}

/** A word as a shell takes it. */
const quoted = (word: string) => (/^[\w.~:/%@-]+$/.test(word) && !word.startsWith("~") ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Makes the copy buttons work. */
export function copyButtons() {
  for (const b of document.querySelectorAll<HTMLButtonElement>("button.copy")) b.onclick = () => { void copy(byId(b.dataset.copy!), b); };
}
