// The page's elements. What strangers write only ever becomes text.

/** The element of that ID, which the page has. */
export function byId<E extends Element = HTMLElement>(id: string): E {
  const e = document.getElementById(id);
  if (!e) throw new Error(`the page has no #${id}`);
  return e as unknown as E;
}

type Child = Node | string;

/** Makes an element with properties and children. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, properties: Partial<HTMLElementTagNameMap[K]> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  Object.assign(e, properties);
  e.append(...children);
  return e;
}

/** Empties an element, or removes it, and frees the blobs that its links and pictures show. */
export function discard(e: HTMLElement, what: "content" | "all") {
  e.querySelectorAll("img").forEach(removePicture);
  for (const a of e.querySelectorAll<HTMLAnchorElement>("a[href^='blob:']")) URL.revokeObjectURL(a.href);
  if (what === "all") e.remove();
  else e.replaceChildren();
}

export function removePicture(img: HTMLImageElement) {
  URL.revokeObjectURL(img.src);
  img.remove();
}

/** The time of day now, with the date for those who ask. */
export function clock(): HTMLTimeElement {
  const now = new Date();
  return el("time", { dateTime: now.toISOString(), title: now.toLocaleString(), textContent: now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) });
}

/** Text for those who hear the page, and not for those who see it. */
export const spoken = (text: string) => el("span", { className: "hidden", textContent: text });

const sections = ["start", "wait", "talk"] as const;
export type Section = (typeof sections)[number];

/** Shows one of the page's sections, and moves the focus to what it is about. */
export function show(which: Section, focus: HTMLElement) {
  for (const s of sections) byId(s).hidden = s !== which;
  document.body.classList.toggle("talking", which === "talk");
  focus.focus({ preventScroll: which === "talk" });
}

/** Puts text into the clipboard, also where the page is not on a secure origin. */
export async function copy(from: HTMLElement, button: HTMLButtonElement, status: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(from.textContent);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(from);
    const selection = getSelection();
    selection?.removeAllRanges();
    selection?.addRange(range);
    document.execCommand("copy");
    button.focus();
  }
  const label = [...button.childNodes];
  if (status.textContent === "") status.textContent = button.textContent.replace("Copy", "Copied");
  button.replaceChildren("Copied");
  setTimeout(() => {
    button.replaceChildren(...label);
    status.textContent = "";
  }, 1500);
}
