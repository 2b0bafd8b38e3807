// The conversation on the page.

import type { Reader } from "./event.ts";
import { apart, byId, el, foot, moment, name as setName, reveal, scrollWithKeys, show, spoken } from "./dom.ts";
import { readable } from "./failure.ts";
import type { Unread } from "./frame.ts";
import { linked } from "./links.ts";
import { Log } from "./log.ts";
import { isCertain, noteMove, pathName, type Moved, type PathKind } from "./path.ts";
import { visible } from "./name.ts";
import type { Met, Pipe } from "./pipe.ts";

const atServer = "✉ left at the server", hour = 3_600_000; // ms
const maxJoined = 1 << 20; // characters of a message that comes in parts; the rest is shown as another one

let resized = () => {}; // called when the size of the log changes, as when a phone's keyboard opens
new ResizeObserver(() => { resized(); }).observe(byId("log"));

export class ConversationView implements Reader {
  onFile: Reader["file"] = () => {};
  onKeep: Reader["keeping"] = () => {};
  onRinging: Reader["ringing"] = () => {};
  onConnected: (pipe: Pipe) => void = () => {};
  onTrust: () => void = () => {}; // called when the call is verified or compared, or no longer is
  isContact = false; // the other side is a contact
  departure = ""; // how the other side left, if it left first
  pageClosed = false; // it closed its page
  #compared = ""; // the safety words that the person has compared
  readonly #items = new Log();
  readonly #log = this.#items.element;
  readonly #marks = new Map<number, HTMLElement>();
  #last: HTMLElement | undefined; // the last message of the other side
  #lost = ""; // why there is no connection; empty if there is one
  #trouble = ""; // why the server cannot connect the two; empty if it answers
  #moved: Moved | undefined; // that the person does not know yet
  #written: number | undefined; // when the last message was, if it had to wait
  #explained: HTMLElement | undefined; // the note that says what it means that a message is left at the server
  #unread = 0; // messages that came while the page was hidden
  #below = 0; // messages that came below the visible part of the log
  #atEnd = true; // whether the end of the log is visible
  #scrolling = false;
  #height = 0; // of the log, in pixels, since it was last resized
  readonly #textBox = byId<HTMLTextAreaElement>("text");

  constructor() {
    // Measured here and not at each message, because each time the browser lays out the page: too slow for a flood.
    this.#log.onscroll = () => {
      // An earlier scroll is reported after a keyboard has opened: the end is out of sight then, and the person has not left it.
      if (this.#log.clientHeight !== this.#height) return;
      this.#atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 120;
      if (this.#atEnd) this.#showBelow(0);
    };
    resized = () => {
      this.#height = this.#log.clientHeight;
      this.grew();
    };
    this.#showBelow(0);
    byId("below").onclick = () => {
      this.#log.scrollTop = this.#log.scrollHeight;
      this.#textBox.focus();
    };
    byId("text-error").textContent = "";
    this.#textBox.value = "";
    for (const id of ["composer", "leave"]) byId(id).hidden = false;
    for (const id of ["over", "over-alarm", "still-lost"]) byId(id).hidden = true;
    byId("more").hidden = false;
    byId("verify").dataset.words = "";
  }

  // Events of the conversation.

  connected(pipe: Pipe, name: string, again: boolean) {
    setName(name);
    byId("connection").hidden = true;
    reveal(byId("still-lost"), false);
    apart(false);
    byId("composer").hidden = false;
    if (this.#moved && pipe.moved) noteMove(this.#moved, pipe.moved.from, name, (text) => this.note(text));
    [this.#lost, this.#moved] = ["", pipe.moved];
    for (const mark of this.#marks.values()) mark.textContent = "sending";
    this.#trust(pipe.met);
    document.title = `${name} – p2pchat`;
    if (again && !pipe.moved) this.note(`Connected again.${this.#marks.size > 0 ? " Messages that were waiting are delivered now." : ""}`);
    else if (!again) {
      show("talk", this.#textBox);
      this.note(`Connected with ${name} in ${Math.round(pipe.met.took)} ms.`);
    }
    byId("attach").hidden = byId("rename").hidden = pipe.met.foreign;
    this.onConnected(pipe);
  }

  /** Shows the conversation with a contact before there is a connection. */
  away(name: string, why: string, focus: string, keepsMail: boolean) {
    for (const id of ["attach", "verify"]) byId(id).hidden = true;
    setName(name);
    byId("trust").className = byId("trust").textContent = byId("path").textContent = "";
    this.#tellLost(`${why} You can write: ${name} gets it when the two of you connect, or before that from the server${keepsMail ? "" : ", if it keeps mail"}.`);
    document.title = `${name} – p2pchat`;
    show("talk", byId(focus));
  }

  /** Marks the messages that wait at the server, which keeps them for some ms. A note says what the mark means. */
  mailed(through: number, kept: number) {
    let marked = false;
    for (const [id, mark] of this.#marks) {
      if (id > through) continue;
      mark.textContent = atServer;
      marked = true;
    }
    if (!marked || this.#explained) return;
    const until = kept < 48 * hour ? `at most until ${moment(new Date(Date.now() + kept))}` : `for up to ${Math.round(kept / hour / 24)} days`;
    this.#explained = this.note(`✉ Left at the server, sealed. It is kept there ${until}, and here until it is read.`);
  }

  /** Resumes a call that has no connection yet. compared: the person has compared the safety words. */
  resumed(met: Met, compared: boolean, name: string, waiting: Unread[], files: readonly string[]) {
    show("talk", this.#textBox);
    setName(name);
    byId("attach").hidden = byId("rename").hidden = false;
    document.title = `${name} – p2pchat`;
    if (compared) this.#compared = met.safetyWords.join(" ");
    this.#trust(met);
    this.note("This page was loaded again. Earlier messages are no longer shown.");
    if (files.length > 0) this.note(`That has cancelled ${files.length === 1 ? "a file" : `${files.length} files`}, which can be offered again: ${files.map(visible).join(", ")}.`);
    this.disconnected("This page was loaded again.");
    for (const { id, text, at } of waiting) this.said(id, text, at);
  }

  #trust(met: Met) {
    const panel = byId("verify"), words = met.safetyWords.join(" ");
    if (panel.dataset.words === words && words !== "") return; // shown since an earlier connection
    const badge = byId("trust");
    badge.className = met.verified ? "badge verified" : "badge";
    badge.textContent = met.verified ? "✓ Verified" : "Unverified";
    badge.title = met.verified ? `${this.isContact ? "You have kept each other" : "Both of you know the code"}, so no one is listening in.` : "Not proven yet: someone could be listening in.";
    panel.dataset.words = words;
    panel.hidden = met.verified;
    byId("safety-words").textContent = words;
    byId("verdict").hidden = met.foreign;
    byId("differing").hidden = true;
    byId("verify-about").textContent = met.foreign
      ? "The other side uses another WebRTC program. It cannot prove that no one is listening in."
      : "This call has no secret. Compare these four words aloud, on the phone or face to face. If you both see the same words, no one is listening in.";
    if (words !== "" && words === this.#compared) this.#showCompared();
  }

  path(path: PathKind, rtt: number | undefined) {
    if (this.#moved && isCertain(this.#moved, path)) {
      noteMove(this.#moved, path, byId("peer-name").textContent, (text) => this.note(text));
      this.#moved = undefined;
    }
    byId("path").textContent = [pathName(path), rtt === undefined ? "" : `${Math.max(1, Math.round(rtt))} ms`].filter(Boolean).join(" · ");
  }

  /** The person has found the same safety words on both sides. */
  match() {
    this.#compared = byId("safety-words").textContent;
    this.#showCompared();
    this.#textBox.focus();
  }

  /** Whether no one can be in the middle: the call is verified, or the person has compared the words. */
  get trusted(): boolean {
    return byId("trust").classList.contains("verified");
  }

  /** Shows a question of the other side, and alerts the person. */
  asked(text: string) {
    this.note(text);
    if (document.hidden) this.alert(byId("peer-name").textContent);
  }

  get compared(): boolean {
    return this.#compared !== "" && this.#compared === byId("safety-words").textContent;
  }

  #showCompared() {
    byId("verify").hidden = true;
    byId("trust").classList.add("verified");
    byId("trust").textContent = "✓ Compared";
    byId("trust").title = "You have compared the safety words, so no one is listening in.";
    this.onTrust();
  }

  /** The person has found other safety words: this side sends nothing more in this call. */
  differ() {
    for (const id of ["verify", "composer", "leave", "keep", "keeping"]) byId(id).hidden = true;
    byId("trust").className = "badge unsafe";
    byId("trust").textContent = "Not safe";
    byId("over-alarm").hidden = false;
    byId("peer").focus();
  }

  message(_: number, from: string, text: string, continues: boolean, written?: Date) {
    const begun = this.#last?.isConnected && continues ? this.#last : undefined;
    if (begun && Number(begun.dataset.size) < maxJoined) { // the text continues in the same place
      const p = begun.querySelector(".text")!;
      p.replaceChildren(...linked(p.textContent + visible(text))); // both parts together, for an address that is in two
      this.#items.grow(begun, text.length);
      return;
    }
    if (written && written.getTime() !== this.#written && !continues) this.note(`✉ ${from} wrote this on ${moment(written)}:`);
    this.#written = written?.getTime();
    const item = el("div", { className: "theirs" }, spoken(`${from}: `), this.#text(text), foot(written));
    this.#add(item, text.length);
    this.#arrived();
    this.#last = item;
    if (document.hidden) this.alert(from);
  }

  /** Shows a message of this side, and when it was written, if that was earlier. */
  said(id: number, text: string, at?: Date) {
    const mark = el("span", { className: "mark", textContent: this.#lost ? "waiting" : "sending" });
    mark.setAttribute("aria-live", "off");
    this.#marks.set(id, mark);
    this.#add(el("div", { className: "mine" }, spoken("You: "), this.#text(text), foot(at, mark)), text.length);
  }

  #text(text: string): HTMLElement {
    const p = el("p", { className: "text", dir: "auto" });
    p.append(...linked(visible(text)));
    scrollWithKeys(p);
    return p;
  }

  delivered(id: number) {
    const mark = this.#marks.get(id);
    if (mark) mark.textContent = "✓ delivered";
    this.#marks.delete(id);
    if (!this.#explained || [...this.#marks.values()].some((m) => m.textContent === atServer)) return;
    this.#items.remove(this.#explained);
    this.#explained = undefined;
  }

  disconnected(why: string) {
    this.#tellLost(`${why} Connecting again. What you write is delivered then.`);
    apart(true);
    byId("path").textContent = "";
    for (const mark of this.#marks.values()) mark.textContent = "waiting";
  }

  /**
   * Tells that the other side has not come back for some time, and offers to wait with the code of the first connection, too:
   * a program that was started again knows no other.
   */
  stillLost(seconds: number, code: string, reopen: () => void) {
    const name = byId("peer-name").textContent;
    byId("still-lost-about").textContent = `${name} has not come back for ${seconds} s. A program that was started again knows only the code ${code}. To wait with that code, too, open it again: anyone who knows the code can then answer.`;
    byId("still-lost").hidden = false;
    byId("reopen").onclick = () => {
      byId("still-lost").hidden = true;
      this.#textBox.focus();
      try {
        reopen();
        this.note(`Waiting with the code ${code}, too. ${name} types it again.`);
      } catch (e) {
        this.note(readable(e).message);
      }
    };
  }

  #tellLost(why: string) {
    this.#lost = why;
    this.trouble(this.#trouble);
    byId("connection").hidden = false;
  }

  /** Tells why the server cannot connect the two, or that it is back. While they are connected, that can wait. */
  trouble(why = "") {
    this.#trouble = why;
    byId("connection").textContent = `${this.#lost} ${why}`.trim();
  }

  inputEnded() {
    this.note(`${byId("peer-name").textContent} has finished writing, and still reads.`);
  }

  renamed(was: string, now: string) {
    setName(now);
    this.note(`${was} is now ${now}.`);
    if (!document.hidden) this.seen();
  }

  left(reply: boolean, closed: boolean, overheard = false) {
    if (reply) return;
    if (overheard) this.note(`${byId("peer-name").textContent} says that the safety words differ: someone may be listening.`);
    this.departure = `${byId("peer-name").textContent} ${closed ? "closed the page" : "has left"}.`;
    this.pageClosed = closed;
  }

  file: Reader["file"] = (...args) => this.onFile(...args);

  ringing: Reader["ringing"] = () => this.onRinging();

  keeping: Reader["keeping"] = (news) => this.onKeep(news);

  note(text: string): HTMLElement {
    return this.#add(el("div", { className: "note", textContent: text }), text.length);
  }

  /** Adds a file to the log. */
  add(item: HTMLElement) {
    item.append(foot(undefined));
    this.#add(item, 100);
    if (!item.classList.contains("mine")) this.#arrived();
    if (document.hidden && !item.classList.contains("mine")) this.alert(byId("peer-name").textContent);
  }

  #add(item: HTMLElement, characters: number): HTMLElement {
    if (item.classList.contains("mine")) this.#atEnd = true;
    this.#items.add(item, characters);
    this.grew();
    return item;
  }

  /** Scrolls to the end of the log, if the end was visible. */
  grew() {
    if (!this.#atEnd || this.#scrolling) return;
    this.#scrolling = true; // once for all items that come together
    setTimeout(() => {
      this.#scrolling = false;
      this.#log.scrollTop = this.#log.scrollHeight;
    });
  }

  /** Counts a message that is not visible. */
  #arrived() {
    if (!this.#atEnd) this.#showBelow(this.#below + 1);
  }

  #showBelow(below: number) {
    this.#below = below;
    byId("below").hidden = below === 0;
    if (below > 0) byId("below").textContent = below === 1 ? "One new message below" : `${below} new messages below`;
  }

  /** Empties the log, but for undelivered messages and for files that are not decided or saved: these lose only their pictures. */
  clear() {
    this.#items.clear(new Set(this.#marks.values()));
    this.note("Cleared on this page. The other side may still have the messages.");
  }

  // Notifications.

  alert(from: string) {
    this.#unread++;
    document.title = `(${this.#unread}) ${from} – p2pchat`;
    if (byId("notify").getAttribute("aria-pressed") !== "true" || this.#unread > 1) return;
    try { // without the text, because a locked screen may show the notification
      const n = new Notification(`Message from ${from}`, { tag: "p2pchat", icon: document.querySelector<HTMLLinkElement>("link[rel=icon]")!.href });
      n.onclick = () => {
        focus();
        n.close();
      };
    } catch { // phones allow it to service workers only
      byId("notify").hidden = true;
    }
  }

  seen() {
    this.#unread = 0;
    document.title = `${byId("peer-name").textContent} – p2pchat`;
  }

  /** Shows how the conversation ended. Its log stays readable. kept: what was not delivered can still be. */
  over(how: string, kept: boolean) {
    byId("menu").hidePopover();
    const typing = document.activeElement === this.#textBox;
    if (this.#textBox.value.trim() !== "") this.note(`Not sent, because the call had ended: ${this.#textBox.value}`);
    for (const id of ["composer", "leave", "more", "verify", "connection", "still-lost", "drop", "keep", "keeping"]) byId(id).hidden = true;
    byId("over-about").textContent = how;
    byId("over").hidden = false;
    apart(true);
    if (this.trusted) byId("trust").textContent = byId("trust").textContent.replace(/^✓ \w/, (c) => `Was ${c.slice(2).toLowerCase()}`);
    byId(typing ? "over-about" : "again").focus(); // the next Enter of a person who types must not press a button
    byId("path").textContent = "";
    for (const mark of this.#marks.values()) if (!kept) mark.textContent = "not delivered";
  }
}
