// Asks before Leave drops files that are not transferred. The question is in force only while it is shown: one that another text has
// replaced is no longer what the person answers.

import { byId } from "./dom.ts";
import type { FileName } from "./outbox.ts";

const line = byId("text-error");
const key = (f: FileName): string => `${f.of} ${f.id}`;

export class LeaveQuestion {
  #asked: ReadonlySet<string> = new Set(); // files
  #text = "";

  /** open: the files that are not transferred; own: those of them that this side has offered or accepted. */
  constructor(private readonly open: () => readonly FileName[], private readonly own: () => readonly FileName[]) {}

  get #shown(): boolean {
    return this.#text !== "" && line.textContent === this.#text;
  }

  /**
   * Reports whether the person may leave, and asks if they may not. A later offer of the other side does not renew the question:
   * else it could keep this side from leaving.
   */
  answered(): boolean {
    if (this.open().length === 0 || (this.#shown && this.own().every((f) => this.#asked.has(key(f))))) return true;
    this.#asked = new Set(this.open().map(key));
    this.#ask(this.#asked.size);
    return false;
  }

  /** Counts again when a file has ended, and withdraws the question with the last one. */
  recount() {
    if (this.#shown) this.#ask(this.open().filter((f) => this.#asked.has(key(f))).length);
  }

  #ask(files: number) {
    this.#text = files === 0 ? "" : files === 1 ? "One file is still on its way, or waits for an answer. To drop it, press Leave again."
      : `${files} files are still on their way, or wait for an answer. To drop them, press Leave again.`;
    line.textContent = this.#text;
  }
}
