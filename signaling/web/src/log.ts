// The items of the log: how many it may have, and which have to stay in it.

import { byId, discard, removePicture } from "./dom.ts";

const maxItems = 2000;
const maxCharacters = 8 << 20;

/** Whether an item is a file that the person has to decide about or to save. */
const isOpen = (item: HTMLElement): boolean => item.querySelector(".row > button, .unsaved") !== null;

export class Log {
  readonly element = byId("log");
  #characters = 0;
  #trimmed = false;

  constructor() {
    discard(this.element, "content");
    this.element.setAttribute("aria-label", "Messages");
  }

  /** Adds an item, and removes the oldest ones if there are too many. */
  add(item: HTMLElement, characters: number) {
    item.dataset.size = "0";
    this.element.append(item);
    this.grow(item, characters);
    for (let oldest = this.element.firstElementChild as HTMLElement; oldest !== item && this.#full; ) {
      const next = oldest.nextElementSibling as HTMLElement;
      if (!isOpen(oldest)) {
        this.remove(oldest);
        if (!this.#trimmed) this.element.setAttribute("aria-label", "Messages, the latest of them");
        this.#trimmed = true;
      }
      oldest = next;
    }
  }

  get #full(): boolean {
    return this.element.childElementCount > maxItems || this.#characters > maxCharacters;
  }

  /** Counts the characters that an item has now in addition. */
  grow(item: HTMLElement, characters: number) {
    item.dataset.size = String(Number(item.dataset.size) + characters);
    this.#characters += characters;
  }

  remove(item: HTMLElement) {
    if (item.parentElement !== this.element) return;
    this.#characters -= Number(item.dataset.size);
    discard(item, "all");
  }

  /** Removes all items but those with one of the marks and open files, which lose only their pictures. */
  clear(marks: ReadonlySet<Element | null>) {
    for (const item of [...this.element.children] as HTMLElement[]) {
      if (marks.has(item.querySelector(".mark")) || isOpen(item)) item.querySelectorAll("img").forEach(removePicture);
      else this.remove(item);
    }
  }
}
