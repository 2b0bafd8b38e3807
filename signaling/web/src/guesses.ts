// Counts the wrong answers to a typed code. peer/guesses.go for a browser.

import { print, type Code } from "./code.ts";
import { Failure } from "./failure.ts";
import type { Side } from "./store.ts";

/** The most guesses at a code: wrong answers to a caller, or a callee's answers to callers without proof. */
export const guesses = 3;

/** Counts the guesses at a typed code's secret, over all attempts, reconnects and reloads. */
export class Guesses {
  readonly #save: (spent: number) => void;
  #spent: number;

  /** `save` stores the count before a wrong answer has any effect. If it throws, the code is burnt. */
  constructor(spent = 0, save: (spent: number) => void = () => {}) {
    this.#save = save;
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

  /** Counts a guess; false if the count could not be saved. */
  spend(): boolean {
    this.#spent++;
    try {
      this.#save(this.#spent);
      return true;
    } catch {
      this.#spent = Math.max(this.#spent, guesses); // because a reload would forget the guess
      return false;
    }
  }

  /** Takes back a guess: the other side has proven that it knows the secret. */
  refund() {
    this.#spent = Math.max(0, this.#spent - 1);
    try {
      this.#save(this.#spent);
    } catch {
      // After a reload the count is one too high.
    }
  }
}

const remembered = 16; // codes

/** Returns the count for a typed code in this tab. A generated code is used once, and so has none to keep. */
export function inStorage(base: string, side: Side, code: Code | undefined): Guesses {
  if (!code?.secret || !hasStorage()) return new Guesses();
  const item = `p2pchat guesses at ${base}`, key = `${side} ${print(code)}`;
  const all = () => {
    try {
      return new Map<string, number>(JSON.parse(sessionStorage.getItem(item) ?? "[]") as [string, number][]);
    } catch {
      return new Map<string, number>(); // not written by this page
    }
  };
  const spent = Number(all().get(key) ?? 0);
  return new Guesses(Number.isFinite(spent) ? spent : guesses, (spent) => {
    const counts = all();
    counts.delete(key);
    sessionStorage.setItem(item, JSON.stringify([...counts, [key, spent]].slice(-remembered)));
  });
}

/** Reports whether the browser lets the page store anything. */
function hasStorage(): boolean {
  try {
    return !!sessionStorage;
  } catch {
    return false;
  }
}

/** Returns the failure of a code that has taken all its guesses. */
export const burnt = (side: Side) => side === "offer"
  ? new Failure("burnt", "Three wrong codes were tried, so this code no longer works.")
  : new Failure("impostor", `The other side is not who it should be: ${guesses} callers in this room did not prove that they know the code.`);
