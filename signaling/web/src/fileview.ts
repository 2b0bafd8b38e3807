// The files in the log.

import type { Conversation } from "./conversation.ts";
import type { ConversationView } from "./conversationview.ts";
import { byId, el, removePicture, reveal, spoken } from "./dom.ts";
import { blobLimit, create, createInMemory, writesToDisk, type Arrived, type Download } from "./download.ts";
import { LeaveQuestion } from "./leavequestion.ts";
import { visible } from "./name.ts";
import type { FileName } from "./outbox.ts";
import { picture } from "./picture.ts";
import { Files, type FileView, type Incoming, type Outgoing } from "./transfer.ts";
import { saveArrived, saveLink } from "./unsaved.ts";

const interval = 200; // ms between two updates of a progress
const maxPictures = 30; // in the log

/** Shows the files of a conversation in its log. */
export class FileViews {
  readonly #view: ConversationView;
  readonly files: Files;
  readonly leaving: LeaveQuestion;
  readonly #offers = new Map<Incoming, (to: Download) => void>(); // of the other side, that are not answered

  constructor(conversation: Conversation, view: ConversationView) {
    this.#view = view;
    this.files = new Files(conversation, (f) => this.#incoming(f as Incoming));
    const offered = (f: FileName) => [...this.#offers.keys()].some(({ id, of }) => id === f.id && of === f.of);
    this.leaving = new LeaveQuestion(() => this.files.open, () => this.files.open.filter((f) => !offered(f)));
    byId("accept-all").onclick = () => { this.#acceptAll(); };
    this.#countOffers();
  }

  #item(name: string, size: number, side: "mine" | "theirs"): Item {
    return new Item(name, size, side, this.#view, () => {
      this.#countOffers();
      this.leaving.recount();
    });
  }

  /** Offers to accept all files of the other side, if there is more than one. */
  #countOffers() {
    for (const f of this.#offers.keys()) if (f.state !== "offered") this.#offers.delete(f);
    reveal(byId("accept-all"), this.#offers.size > 1);
    byId("accept-all").textContent = `Accept all ${this.#offers.size} files`;
  }

  /** Accepts files into memory, as far as that goes: a browser asks for a place on disk only once after a click. */
  #acceptAll() {
    let free = blobLimit;
    for (const [f, accept] of [...this.#offers]) {
      if (f.size > free) continue;
      free -= f.size;
      accept(createInMemory());
    }
    byId("accept-all").hidden = true;
    byId("text").focus();
    const left = this.#offers.size;
    if (left > 0) this.#view.note(left === 1 ? "One file is too large to be kept in memory with the others. Accept it by itself." : `${left} files are too large to be kept in memory together. Accept each by itself.`);
  }

  /** Offers files, and returns an error for a person to read, or "". */
  send(list: Iterable<File>): string {
    for (const file of list) {
      const item = this.#item(file.name, file.size, "mine");
      try {
        const f: Outgoing = this.files.offer(file, item);
        item.status(`${size(file.size)} · waiting for an answer`);
        item.buttons(["Cancel", () => this.files.cancel(f, "cancelled by its sender", "you cancelled it")]);
        this.#view.add(item.element);
      } catch (e) {
        if (e instanceof RangeError) return e.message;
        throw e;
      }
    }
    return "";
  }

  #incoming(f: Incoming): FileView {
    const name = f.folder ? `${f.name}.tar` : f.name;
    const item = this.#item(name, f.size, "theirs");
    const what = f.folder ? `A folder of ${f.files === 1 ? "one file" : `${f.files} files`}, as a tar archive · ${size(f.size)}` : size(f.size);
    item.status(`${what}. ${writesToDisk() ? "" : "This browser keeps it in memory until you save it. "}Accept it?`);
    const accept = (download?: Download) => {
      if (!download) return;
      if (f.state === "offered") item.buttons(["Cancel", () => this.files.cancel(f, "cancelled by its receiver", "you cancelled it")]);
      this.files.accept(f, download);
      this.#countOffers();
    };
    this.#offers.set(f, accept);
    this.#countOffers();
    item.buttons(
      ["Accept", () => void create(name).then(accept, (e) => item.status(`The file cannot be written: ${String(e)}`))],
      ["Decline", () => this.files.cancel(f, "declined", "you declined it")],
    );
    this.#view.add(item.element);
    return item;
  }
}

/** One file in the log. */
class Item implements FileView {
  readonly #name: string;
  readonly #size: number;
  readonly #side: "mine" | "theirs";
  readonly #view: ConversationView;
  readonly element: HTMLElement;
  readonly #how = el("span", { className: "how" });
  readonly #row = el("span", { className: "row" });
  readonly #bar: HTMLProgressElement;
  readonly #onEnd: () => void;
  #shownAt = 0;
  #from: [number, number] | undefined; // time and bytes at the first progress

  constructor(name: string, size: number, side: "mine" | "theirs", view: ConversationView, onEnd: () => void) {
    this.#name = name;
    this.#size = size;
    this.#side = side;
    this.#view = view;
    this.#onEnd = onEnd;
    const title = el("b", { textContent: visible(name), dir: "auto" });
    this.#bar = el("progress", { max: Math.max(size, 1), value: 0, hidden: true });
    this.#bar.setAttribute("aria-label", `Progress of ${name}`);
    this.#how.setAttribute("aria-live", "off");
    const speaker = spoken(side === "mine" ? "You offer a file: " : `${byId("peer-name").textContent} offers a file: `);
    this.element = el("div", { className: side }, el("div", { className: "file" }, el("span", {}, speaker, title), this.#bar, this.#how, this.#row));
  }

  status(text: string) {
    this.#how.textContent = text;
  }

  buttons(...actions: [string, () => void][]) {
    this.#controls(...actions.map(([label, act]) => {
      const b = el("button", { type: "button" }, label, spoken(` ${this.#name}`));
      b.onclick = () => { act(); };
      return b;
    }));
  }

  /** Replaces the buttons. If one of them had the focus, the next control gets it. */
  #controls(...controls: HTMLElement[]) {
    const focused = this.#row.contains(document.activeElement);
    this.#row.replaceChildren(...controls);
    if (focused) (controls[0] ?? byId("text")).focus();
  }

  /** Shows how the file ended, and lets screen readers announce that, unlike its progress. */
  #end(text: string, ...controls: HTMLElement[]) {
    this.#bar.remove();
    this.#how.removeAttribute("aria-live");
    this.status(text);
    this.#controls(...controls);
    this.#onEnd();
  }

  progress(bytes: number) {
    const now = performance.now();
    if (now - this.#shownAt < interval && bytes > 0 && bytes < this.#size) return;
    this.#shownAt = now;
    this.#from ??= [now, bytes];
    this.#bar.hidden = false;
    this.#bar.value = this.#size === 0 ? 1 : bytes;
    const seconds = (now - this.#from[0]) / 1000, rate = (bytes - this.#from[1]) / seconds;
    const left = rate > 0 && seconds > 1 ? ` · ${size(rate)}/s · ${duration((this.#size - bytes) / rate)} left` : "";
    this.status(`${size(bytes)} of ${size(this.#size)}${left}`);
  }

  done(sum: string, received: Arrived | undefined, more: string) {
    const link = received?.content && !received.saved ? saveLink(this.#name, received.content) : undefined;
    this.#end(`${size(this.#size)} · ✓ ${this.#side === "mine" ? "delivered" : "received"}${more}`, ...(link ? [link] : []));
    this.#how.title = `SHA-256 ${sum}`;
    this.element.dataset.sha256 = sum;
    if (received?.content) void this.#show(received.content);
    if (link) saveArrived(link);
  }

  /** Shows the file if it is a picture. */
  async #show(content: Blob): Promise<void> {
    const p = await picture(content).catch(() => undefined);
    if (!p || !this.element.isConnected) return;
    const img = el("img", { width: p.width, height: p.height, alt: this.#name, decoding: "async", src: URL.createObjectURL(content.slice(0, content.size, p.type)) });
    img.onerror = () => { removePicture(img); };
    img.onload = () => { this.#view.grew(); };
    this.#how.before(img);
    const shown = document.querySelectorAll<HTMLImageElement>("#log img");
    if (shown.length > maxPictures) removePicture(shown[0]!);
  }

  failed(why: string) {
    this.#end(`Not transferred: ${why}`);
    this.element.classList.add("failed");
  }
}

/** Writes a number of bytes for people. */
function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let n = bytes, unit = 0;
  for (; n >= 1000 && unit < units.length - 1; unit++) n /= 1000;
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${bytes === 1 ? "byte" : units[unit]}`;
}

function duration(seconds: number): string {
  const s = Math.ceil(seconds);
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.ceil(s / 60)} min` : `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
}

/** Takes files that a person drops on the page or pastes into box; active returns why the page takes none, or "". */
export function dropping(box: HTMLElement, active: () => string, take: (files: File[]) => void, refuse: (why: string) => void) {
  const hint = byId("drop");
  const carries = (e: DragEvent) => active() === "" && (e.dataTransfer?.types.includes("Files") ?? false);
  const offer = (data: DataTransfer) => {
    const why = active();
    if (why !== "") {
      refuse(why);
      return;
    }
    const items = [...data.items].filter((i) => i.kind === "file");
    const folder = items.some((i) => i.webkitGetAsEntry()?.isDirectory);
    const files = items.filter((i) => !i.webkitGetAsEntry()?.isDirectory).map((i) => i.getAsFile()).filter((f) => f !== null);
    if (files.length > 0) take(files);
    if (folder) refuse("A web page cannot send a folder. Pack it into a .zip file and drop that, or use /send in the terminal program.");
  };
  box.onpaste = (e) => {
    const data = e.clipboardData;
    if (!data || data.files.length === 0 || data.types.includes("text/plain")) return; // text from an office program has its picture with it
    e.preventDefault();
    offer(data);
  };
  document.ondragover = (e) => {
    if (!e.dataTransfer) return;
    if (e.dataTransfer.types.includes("Files")) {
      e.preventDefault(); // else the browser opens the file in place of the page
      hint.hidden = !carries(e);
    } else if (!(e.target instanceof HTMLInputElement || e.target instanceof HTMLTextAreaElement)) {
      e.preventDefault(); // else the browser opens a link in place of the page
      e.dataTransfer.dropEffect = "none";
    }
  };
  document.ondragleave = (e) => {
    if (!e.relatedTarget) hint.hidden = true;
  };
  document.ondrop = (e) => {
    hint.hidden = true;
    if (!e.dataTransfer?.types.includes("Files")) return;
    e.preventDefault();
    offer(e.dataTransfer);
  };
}
