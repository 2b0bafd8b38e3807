// How many wrong answers a typed code takes in its life. peer/guesses.go for a browser.

import { print, type Code } from "./code.ts";
import { Failure } from "./failure.ts";
import type { Side } from "./store.ts";

/** Wrong answers to a caller, and a callee's answers to callers without proof. */
export const guesses = 3;

/** The one count of guesses at a typed code's secret: for every attempt and reconnect, and after a reload. */
export class Guesses {
  #spent: number;

  /** keep saves the count before a wrong answer has any effect; if it throws, the code is burnt. */
  constructor(spent = 0, private readonly keep: (spent: number) => void = () => {}) {
    this.#spent = Math.max(0, spent);
  }

  get spent(): number {
    return this.#spent;
  }

  /** Takes over the count of an earlier page. */
  atLeast(spent: number) {
    this.#spent = Math.max(this.#spent, spent);
  }

  get left(): number {
    return Math.max(0, guesses - this.#spent);
  }

  get burnt(): boolean {
    return this.left === 0;
  }

  /** Counts a guess; false says that the count could not be saved. */
  spend(): boolean {
    this.#spent++;
    try {
      this.keep(this.#spent);
      return true;
    } catch {
      this.#spent = Math.max(this.#spent, guesses); // a reload would forget it
      return false;
    }
  }

  /** Takes back one guess that turned out to be none. */
  refund() {
    this.#spent = Math.max(0, this.#spent - 1);
    try {
      this.keep(this.#spent);
    } catch {
      // A reload knows of one guess too many.
    }
  }
}

const remembered = 16; // codes

/** The count for a code that was typed, over reloads of this tab. A code that the page makes is used once. */
export function inStorage(base: string, side: Side, code: Code | undefined): Guesses {
  if (!code?.secret || !storage()) return new Guesses();
  const item = `p2pchat guesses at ${base}`, key = `${side} ${print(code)}`;
  const all = () => {
    try {
      return new Map<string, number>(JSON.parse(sessionStorage.getItem(item) ?? "[]") as [string, number][]);
    } catch {
      return new Map<string, number>(); // another program wrote it
    }
  };
  const spent = Number(all().get(key) ?? 0);
  return new Guesses(Number.isFinite(spent) ? spent : guesses, (spent) => {
    const counts = all();
    counts.delete(key);
    sessionStorage.setItem(item, JSON.stringify([...counts, [key, spent]].slice(-remembered)));
  });
}

/** Whether the browser lets the page keep anything. */
function storage(): boolean {
  try {
    return !!sessionStorage;
  } catch {
    return false;
  }
}

/** Why a code that has taken all its guesses no longer works. */
export const burnt = (side: Side) => side === "offer"
  ? new Failure("burnt", "Three wrong codes were tried, so this code no longer works.")
  : new Failure("impostor", `The other side is not who it should be: ${guesses} callers in this room did not prove that they know the code.`);
