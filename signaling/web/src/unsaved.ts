// Received files that are in the page's memory alone: they are gone with the log and with the page. A page cannot see whether the
// browser has saved a file, so one counts as saved once the person pressed Save, or when it came alone and just after they pressed Accept.

import { byId, el, isDouble, reveal, spoken } from "./dom.ts";

const item = `p2pchat unsaved at ${new URL(".", location.href).href.replace(/\/$/, "")}`;
const activation = 5000; // ms after a click in which a browser saves one file without a question
const pause = 250; // ms between two files: a browser drops some of those that it is given at once
const shownNames = 4;
const nameStart = 24, nameEnd = 15; // characters that are shown of a long name: its end says what it is

/** What an earlier page had when it was left. */
interface Lost {
  readonly from: string;
  readonly names: readonly string[];
}

let savedAt = -activation; // when the page last gave the browser a file by itself

const links = (): HTMLAnchorElement[] => [...byId("log").querySelectorAll<HTMLAnchorElement>("a.unsaved")];

export const hasUnsaved = (): boolean => links().length > 0;

/** Returns a link that saves content, which stays in memory while the log has the link. */
export function saveLink(name: string, content: Blob): HTMLAnchorElement {
  const link = el("a", { className: "unsaved", href: URL.createObjectURL(content), download: name, textContent: "Save" }, spoken(` ${name}`));
  link.onclick = (e) => { if (e.isTrusted) saved(link); };
  return link;
}

/** Lets the browser save a file that has arrived. The log has the link. */
export function saveArrived(link: HTMLAnchorElement) {
  const now = performance.now(), { userActivation } = navigator as Partial<Navigator>;
  link.click();
  if (userActivation?.isActive && now - savedAt > activation) saved(link);
  savedAt = now;
  changed();
}

function saved(link: HTMLAnchorElement) {
  link.classList.remove("unsaved");
  changed();
}

/** Shows which files are not saved, and stores their names for the next page: phones close a page without telling it. */
export function changed() {
  const names = links().map((a) => a.download), n = names.length;
  const focused = byId("unsaved").contains(document.activeElement);
  byId("unsaved").hidden = n === 0;
  if (n === 0) ask(false);
  if (n === 0 && focused) byId("again").focus();
  byId("unsaved-about").textContent = n === 1 ? `Check that your browser has saved ${list(names)}: the file is in the memory of this page alone.`
    : `Check that your browser has saved ${n} received files: ${list(names)}. They are in the memory of this page alone. If the browser asks whether this page may save several files, allow it.`;
  reveal(byId("save-received"), n > 1);
  byId("save-received").textContent = `Save all ${n} files`;
  byId("save-all").textContent = n === 1 ? "Save it" : "Save all";
  byId("drop-unsaved").textContent = n === 1 ? "Drop it and go back" : "Drop them and go back";
  try {
    if (n === 0) sessionStorage.removeItem(item);
    else sessionStorage.setItem(item, JSON.stringify({ from: byId("peer-name").textContent, names } satisfies Lost));
  } catch { /* then the next page does not tell */ }
}

/** Takes from the storage which files an earlier page lost, and returns what the person should know of it. */
export function takeLost(): string {
  try {
    const { from, names } = JSON.parse(sessionStorage.getItem(item) ?? "null") as Lost;
    sessionStorage.removeItem(item);
    return names.length === 1 ? `${list(names)} was in the memory of the earlier page alone. If it is not among your downloads, ask ${from} to send it again.`
      : `${names.length} received files were in the memory of the earlier page alone: ${list(names)}. If they are not among your downloads, ask ${from} to send them again.`;
  } catch {
    return "";
  }
}

/** Has the person decide about files that are not saved before drop, which removes them; false if there are none. */
export function askBeforeDrop(): boolean {
  const unsaved = hasUnsaved();
  ask(unsaved);
  if (unsaved) byId("save-all").focus();
  return unsaved;
}

function ask(asking: boolean) {
  byId("drop-unsaved").hidden = !asking;
  byId("again").hidden = asking;
}

/** Makes the buttons work; drop removes the files. */
export function unsavedButtons(drop: () => void) {
  byId("save-all").onclick = () => { void saveAll(); };
  byId("save-received").onclick = () => {
    void saveAll();
    byId("text").focus();
  };
  byId("drop-unsaved").onclick = (e) => { if (!isDouble(e)) drop(); };
}

async function saveAll(): Promise<void> {
  for (const link of links()) {
    if (!link.isConnected || !link.classList.contains("unsaved")) continue; // dropped, or saved by another press
    link.click();
    saved(link);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

const list = (names: readonly string[]): string =>
  names.slice(0, shownNames).map((n) => `“${short(n)}”`).join(", ") + (names.length > shownNames ? ` and ${names.length - shownNames} more` : "");

function short(name: string): string {
  const all = Array.from(name);
  return all.length <= nameStart + 1 + nameEnd ? name : [...all.slice(0, nameStart), "…", ...all.slice(-nameEnd)].join("");
}
