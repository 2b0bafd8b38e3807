// The page's elements. Text of strangers never becomes anything but text.

/** Returns the element with an ID. It throws if the page has none. */
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

/** Empties or removes an element, and frees the blobs of its links and pictures. */
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

/** Makes an element that shows the time of day, with the date if that is another day, and all of it on hover. */
export function clock(at = new Date()): HTMLTimeElement {
  const today = at.toDateString() === new Date().toDateString();
  return el("time", { dateTime: at.toISOString(), title: at.toLocaleString(), textContent: today ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : moment(at) });
}

export const moment = (at: Date): string => at.toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

/** Makes the last line of an item: the time, which is now if undefined, and more. */
export const foot = (at: Date | undefined, ...more: HTMLElement[]) => el("span", { className: "foot" }, clock(at), ...more);

/** Names the other side. A long name is cut where it is shown. */
export function name(text: string) {
  byId("peer-name").textContent = byId("peer-name").title = text;
}

/** Shows the badge of the call in grey while there is no connection, or no longer one. */
export const apart = (is: boolean) => byId("talk").classList.toggle("apart", is);

/** Shows or hides a part of the conversation. If the focus is in what it hides, the message box gets it. */
export function reveal(part: HTMLElement, shown: boolean) {
  const focused = !shown && part.contains(document.activeElement);
  part.hidden = !shown;
  if (focused) byId("text").focus();
}

/** Makes text for screen readers alone. */
export const spoken = (text: string) => el("span", { className: "hidden", textContent: text });

/** Whether a click is the second one of a double click: it is no answer to a question that the first one has asked. */
export const isDouble = (e: MouseEvent): boolean => e.detail > 1;

const sections = ["start", "wait", "talk"] as const;
export type Section = (typeof sections)[number];

/** Shows one of the page's sections, and moves the focus. */
export function show(which: Section, focus: HTMLElement) {
  for (const s of sections) byId(s).hidden = s !== which;
  document.body.classList.toggle("talking", which === "talk");
  focus.focus({ preventScroll: which === "talk" });
}

/** Copies the text of an element, also on an origin that is not secure; status announces it. */
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

/** Makes the button below an element that is cut, which shows the whole of it. */
function showAll(cut: HTMLElement): HTMLButtonElement {
  const b = el("button", { type: "button", className: "quiet", textContent: "Show the whole message" });
  b.onclick = () => {
    cut.classList.add("whole");
    byId("log").focus({ preventScroll: true }); // whose keys scroll on; the message box would open a phone’s keyboard above what is read
  };
  return b;
}

const scrollers = new ResizeObserver((entries) => {
  for (const { target: t } of entries) {
    const cut = t.scrollHeight > t.clientHeight, next = t.nextElementSibling, whole = next instanceof HTMLButtonElement ? next : undefined;
    if (cut) t.setAttribute("tabindex", "0");
    else t.removeAttribute("tabindex");
    if (!cut) whole?.remove();
    else if (!whole) t.after(showAll(t as HTMLElement));
  }
});

/** Lets keys scroll an element while it is too long to be seen at once, also where the browser does not see to that, and a button show all of it. */
export function scrollWithKeys(e: HTMLElement): void {
  scrollers.observe(e);
}
