// What two people share to meet: ROOM or ROOM-SECRET. The room goes to the server, the
// secret never does. The rules are those of peer/code.go.

import { below } from "./bytes.ts";
import list from "./words.txt";

/** The EFF's second short word list (CC BY 3.0 US) without the word that has a dash. */
export const words: readonly string[] = list.trim().split("\n");
const listed = new Set(words);

export const lobby = "lobby";

const maxSecret = 256; // bytes

// Marks that a sentence puts around a code or a link.
const quotes = "\"'`“”„‟‘’‚‛«»‹›";
const opening = ` \t([{<「『¿¡${quotes}`;
const closing = ` \t)]}>」』.,;:!?…。、،؛؟${quotes}`;

export interface Code {
  readonly room: string;
  readonly secret: string; // empty: anybody who knows the room may come
}

/** Why a text is not a code, in a sentence. */
export class CodeError extends Error {}

export const same = (a: Code | undefined, b: Code | undefined): boolean =>
  a !== undefined && b !== undefined && a.room === b.room && a.secret === b.secret;

export const print = (c: Code): string => (c.secret ? `${c.room}-${c.secret}` : c.room);

/** Reads a code as people write it; it throws CodeError. */
export function parse(input: string): Code {
  const text = bare(bare(normal(input)).replace(/^(p2pchat: )?code:/, "")); // the command line prints that before it
  const parts = text.split(/[ \t\p{Pd}]+/u).filter((w) => w !== "");
  if (parts.length === 0) throw new CodeError("Type a code.");
  if (/^\p{Pd}/u.test(text)) throw new CodeError("The room before the dash is missing.");
  if (/\p{Pd}$/u.test(text)) throw new CodeError("The word after the last dash is missing.");
  const [room, ...rest] = parts as [string, ...string[]];
  if (!/^[A-Za-z0-9._~]{1,64}$/.test(room) || room === "." || room === "..") {
    throw new CodeError("A code begins with a room: 1 to 64 letters from a to z, digits and . _ ~.");
  }
  const code = { room, secret: rest.join("-") };
  if (code.secret === "" && misspelt(room)) {
    throw new CodeError("Put dashes between the words of the code. Without them, the server would see all of it.");
  }
  if (new TextEncoder().encode(code.secret).length > maxSecret) throw new CodeError(`The secret is longer than ${maxSecret} bytes.`);
  if (!/^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]*$/u.test(code.secret)) throw new CodeError("The secret has an invisible character.");
  return code;
}

/** A text without the spaces, quotes, brackets and sentence punctuation around it. */
function bare(text: string): string {
  let from = 0, to = text.length;
  while (from < to && opening.includes(text[from]!)) from++;
  while (from < to && closing.includes(text[to - 1]!)) to--;
  return text.slice(from, to);
}

/** The form of a text that all who type it the same way have in common. */
function normal(text: string): string {
  const lower = Array.from(text.normalize("NFKC"), (c) => (c === "İ" ? "i" : c.toLowerCase())); // each by itself, as in Go
  return lower.join("").normalize("NFKC");
}

/** Tells whether a room's name looks like a new code with other signs for its dashes. */
function misspelt(room: string): boolean {
  const parts = room.split(/[._~]+/).filter((w) => w !== "");
  return parts.length === 3 && /^\d+$/.test(parts[0]!) && parts.slice(1).every((w) => listed.has(w));
}

/** The word of a code that cannot be right if a caller's program made the code. */
export function unlisted(c: Code): string | undefined {
  const secret = c.secret.split("-");
  if (secret.length !== 2 || !/^\d+$/.test(c.room)) return undefined;
  return secret.find((w) => !listed.has(w));
}

/** A new code to read out: a room's number of so many digits, and two words. */
export function make(digits: number): Code {
  const least = 10 ** (digits - 1);
  const word = () => words[below(words.length)]!;
  return { room: String(least + below(9 * least)), secret: `${word()}-${word()}` };
}

/** The codes that one may be typing who has typed text so far, a few at most. */
export function complete(text: string): string[] {
  const found = /^(.*[ -])([a-z]+)$/i.exec(text);
  if (!found) return [];
  const [, before, begun] = found as unknown as [string, string, string];
  let c: Code;
  try {
    c = parse(before.replace(/[ -]+$/, ""));
  } catch {
    return [];
  }
  const whole = words.filter((w) => w.startsWith(begun.toLowerCase()));
  return whole.slice(0, 12).map((w) => before + w + (c.secret === "" ? "-" : ""));
}
