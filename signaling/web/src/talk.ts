// What a person sees of the conversation.

import type { Reader } from "./conversation.ts";
import { byId, el, show, spoken } from "./dom.ts";
import { visible } from "./name.ts";
import type { Pipe, Way } from "./pipe.ts";

const maxItems = 2000; // that the log shows
const maxCharacters = 8 << 20;
const maxJoined = 1 << 20; // characters of a message that came in parts; then it goes on as another one

export class Talking implements Reader {
  onFile: Reader["file"] = () => {};
  onConnected: (pipe: Pipe) => void = () => {};
  goneReply: boolean | undefined; // once the other side has left
  readonly #log = byId("log");
  readonly #marks = new Map<number, HTMLElement>();
  #partial: HTMLElement | undefined; // the last message of the other side
  #lost = ""; // what became of the connection
  #characters = 0;
  #trimmed = false;
  #unread = 0;
  #atEnd = true; // of the log is what the person sees
  #scrolling = false;
  readonly #textBox = byId<HTMLTextAreaElement>("text");

  constructor() {
    this.#log.replaceChildren();
    // Asked for each message, a flood of them would have the page lay itself out each time.
    this.#log.onscroll = () => { this.#atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 120; };
    byId("text-error").textContent = "";
    this.#textBox.value = "";
    for (const id of ["composer", "leave"]) byId(id).hidden = false;
    byId("over").hidden = true;
    byId("more").hidden = false;
    byId("verify").dataset.words = "";
  }

  // What happens.

  connected(pipe: Pipe, name: string, again: boolean) {
    byId("peer-name").textContent = name;
    byId("connection").hidden = true;
    this.#lost = "";
    for (const mark of this.#marks.values()) mark.textContent = "sending";
    this.#trust(pipe);
    document.title = `${name} – p2pchat`;
    if (again) this.note("Connected again. What was said meanwhile is delivered.");
    else {
      show("talk", this.#textBox);
      this.note(`Connected with ${name} in ${Math.round(pipe.met.took)} ms.`);
    }
    byId("attach").hidden = byId("rename").hidden = pipe.met.foreign;
    this.onConnected(pipe);
  }

  #trust({ met }: Pipe) {
    const panel = byId("verify");
    if (panel.dataset.words === met.safetyWords.join(" ") && panel.dataset.words !== "") return; // known since the first connection
    const badge = byId("trust");
    badge.classList.toggle("verified", met.verified);
    badge.textContent = met.verified ? "✓ Verified" : "Unverified";
    badge.title = met.verified ? "Both of you know the code, so nobody is in the middle." : "Nothing has shown yet that nobody is in the middle.";
    panel.dataset.words = met.safetyWords.join(" ");
    panel.hidden = met.verified;
    byId("safety-words").textContent = met.safetyWords.join(" ");
    byId("verdict").hidden = met.foreign;
    byId("verify-about").textContent = met.foreign
      ? "The other side is another WebRTC program, so nothing shows that nobody is in the middle."
      : "This call has no secret. Compare these four words aloud, on the phone or face to face: if they are the same on both sides, nobody is in the middle.";
  }

  path(path: Way, rtt: number | undefined) {
    byId("path").textContent = [way[path], rtt === undefined ? "" : `${Math.max(1, Math.round(rtt))} ms`].filter(Boolean).join(" · ");
  }

  /** The two have compared their words, and found them the same. */
  compared() {
    byId("verify").hidden = true;
    byId("trust").classList.add("verified");
    byId("trust").textContent = "✓ Compared";
    byId("trust").title = "You have compared the safety words, so nobody is in the middle.";
    this.#textBox.focus();
  }

  message(_: number, from: string, text: string, continues: boolean) {
    const begun = this.#partial?.isConnected && continues ? this.#partial : undefined;
    if (begun && Number(begun.dataset.size) < maxJoined) { // more of it, in the same place
      begun.querySelector(".text")!.append(visible(text));
      this.#count(begun, text.length);
      return;
    }
    const item = el("div", { className: "theirs" }, spoken(`${from}: `), this.#text(text));
    this.#add(item, text.length);
    this.#partial = item;
    if (document.hidden) this.#alert(from);
  }

  #count(item: HTMLElement, characters: number) {
    item.dataset.size = String(Number(item.dataset.size) + characters);
    this.#characters += characters;
  }

  /** Shows what this side says. */
  said(id: number, text: string) {
    const mark = el("span", { className: "mark", textContent: this.#lost ? "waiting" : "sending" });
    mark.setAttribute("aria-live", "off");
    this.#marks.set(id, mark);
    this.#add(el("div", { className: "mine" }, spoken("You: "), this.#text(text), mark), text.length);
  }

  #text(text: string): HTMLElement {
    const p = el("p", { className: "text", dir: "auto" });
    p.textContent = visible(text);
    return p;
  }

  delivered(id: number) {
    const mark = this.#marks.get(id);
    if (mark) mark.textContent = "✓ delivered";
    this.#marks.delete(id);
  }

  disconnected(why: string) {
    this.#lost = `${why} Waiting for the other side to come back; what you write is kept until then.`;
    byId("connection").textContent = this.#lost;
    byId("connection").hidden = false;
    byId("path").textContent = "";
    for (const mark of this.#marks.values()) mark.textContent = "waiting";
  }

  /** Tells what keeps the server from bringing the two together again, or that it is back. */
  trouble(why = "") {
    byId("connection").textContent = `${this.#lost} ${why}`.trim();
  }

  inputEnded() {
    this.note("The other side will say no more. It still listens.");
  }

  renamed(was: string, now: string) {
    byId("peer-name").textContent = now;
    this.note(`${was} is called ${now} now.`);
    if (!document.hidden) this.seen();
  }

  left(reply: boolean) {
    this.goneReply = reply;
    if (!reply) this.note(`${byId("peer-name").textContent} has left.`);
  }

  file: Reader["file"] = (...args) => this.onFile(...args);

  note(text: string) {
    this.#add(el("div", { className: "note", textContent: text }), text.length);
  }

  /** Adds an item to the log, and makes room for it. */
  add(item: HTMLElement) {
    this.#add(item, 100);
    if (document.hidden && !item.classList.contains("mine")) this.#alert(byId("peer-name").textContent);
  }

  #add(item: HTMLElement, characters: number) {
    const log = this.#log;
    if (item.classList.contains("mine")) this.#atEnd = true;
    item.dataset.size = String(characters);
    this.#characters += characters;
    log.append(item);
    while (log.childElementCount > maxItems || (this.#characters > maxCharacters && log.childElementCount > 1)) {
      const oldest = log.firstElementChild as HTMLElement;
      this.#characters -= Number(oldest.dataset.size);
      oldest.remove();
      if (!this.#trimmed) byId("log").setAttribute("aria-label", "Messages, the latest of them");
      this.#trimmed = true;
    }
    if (!this.#atEnd || this.#scrolling) return;
    this.#scrolling = true; // once for all that come at a time
    setTimeout(() => {
      this.#scrolling = false;
      log.scrollTop = log.scrollHeight;
    });
  }

  /** Empties the log, but for what is still on its way or to be decided. */
  clear() {
    const waiting = new Set<Element | null>(this.#marks.values());
    for (const item of [...this.#log.children] as HTMLElement[]) {
      if (waiting.has(item.lastElementChild) || item.querySelector(".row > *")) continue;
      this.#characters -= Number(item.dataset.size);
      item.remove();
    }
    this.note("Cleared here. The other side may still have it.");
  }

  // Attention.

  #alert(from: string) {
    this.#unread++;
    document.title = `(${this.#unread}) ${from} – p2pchat`;
    if (byId("notify").getAttribute("aria-pressed") !== "true" || this.#unread > 1) return;
    try { // what was said stays out of it: it may be shown on a locked screen
      const n = new Notification(`${from} has written`, { tag: "p2pchat", icon: document.querySelector<HTMLLinkElement>("link[rel=icon]")!.href });
      n.onclick = () => {
        focus();
        n.close();
      };
    } catch { // phones want a service worker for it
      byId("notify").hidden = true;
    }
  }

  seen() {
    this.#unread = 0;
    document.title = `${byId("peer-name").textContent} – p2pchat`;
  }

  /** Keeps the conversation for reading, once it is over, and says how it ended. */
  over(how: string) {
    byId("menu").hidePopover();
    for (const id of ["composer", "leave", "more", "verify", "connection", "drop"]) byId(id).hidden = true;
    byId("over-about").textContent = how;
    byId("over").hidden = false;
    byId("again").focus();
    byId("path").textContent = "";
    for (const mark of this.#marks.values()) mark.textContent = "not delivered";
  }
}

const way: Record<Way, string> = { host: "Direct", srflx: "Direct, through NAT", prflx: "Direct, through NAT", relay: "Through a relay" };

/** Switches notifications on or off; a browser asks the person. */
export async function notify(button: HTMLButtonElement): Promise<void> {
  const on = button.getAttribute("aria-pressed") !== "true" && (await Notification.requestPermission()) === "granted";
  button.setAttribute("aria-pressed", String(on));
}
