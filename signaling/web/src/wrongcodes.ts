// Counts the wrong codes that a person types for a room.

import { hints } from "./call.ts";
import type { Code } from "./code.ts";
import type { Failure } from "./failure.ts";
import { guesses } from "./guesses.ts";

let tried = { room: "", wrong: 0 }; // in the last room where a code was wrong

/** Counts a wrong code, and says how many attempts are left at most: strangers may have used some, too. */
export function wrongCode({ room }: Code, f: Failure): string {
  const wrong = tried.room === room ? tried.wrong + 1 : 1, left = guesses - wrong;
  tried = { room, wrong: left > 0 && !f.closed ? wrong : 0 };
  if (left <= 0) return `${guesses} wrong attempts: this code no longer works. Ask for a new one.`;
  if (f.closed) return `${f.message} This code no longer works. Ask for a new one.`;
  return `${f.message} At most ${left === 1 ? "one attempt" : `${left} attempts`} left. ${hints[f.kind]}`;
}

/** Forgets the wrong codes: a code was right. */
export function rightCode() {
  tried = { room: "", wrong: 0 };
}
