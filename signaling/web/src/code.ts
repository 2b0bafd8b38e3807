// The code that two people share to meet: ROOM or ROOM-SECRET. The server is told the room and never the secret. The rules are
// those of peer/code.go.

import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { base32, below, utf8 } from "./bytes.ts";
import list from "./words.txt";

/** The EFF's second short word list (CC BY 3.0 US), without its one word that has a dash. */
export const words: readonly string[] = frontDecoded(list);
const listed = new Set(words);

export const lobby = "lobby";

/** Reads a sorted list as `build` bundles it: before each word the number of letters that it shares with the one before. */
function frontDecoded(list: string): string[] {
  let last = "";
  return Array.from(list.matchAll(/(\d)(\D+)/g), ([, shared, rest]) => (last = last.slice(0, Number(shared)) + rest!));
}

const maxSecret = 256; // bytes

// Marks around a code or a link in a sentence.
const quotes = "\"'`“”„‟‘’‚‛«»‹›";
const opening = ` \t([{<「『¿¡${quotes}`;
const closing = ` \t)]}>」』.,;:!?…。、،؛؟${quotes}`;

export interface Code {
  readonly room: string;
  readonly secret: string; // empty: anyone who knows the room may join
}

/** Says in a sentence why a text is not a code. */
export class CodeError extends Error {}

export const same = (a: Code | undefined, b: Code | undefined): boolean =>
  a !== undefined && b !== undefined && a.room === b.room && a.secret === b.secret;

/** Returns the token with which a caller writes in a room that only the two sides can have: a page that was closed comes back with it. */
export const token = (c: Code): string => base32(hkdf(sha256, utf8(c.secret), undefined, utf8("p2pchat/1 token"), 16));

export const print = (c: Code): string => (c.secret ? `${c.room}-${c.secret}` : c.room);

/** Reads a code as people write it. It throws a CodeError if the text is none. */
export function parse(input: string): Code {
  const text = bare(bare(normal(input)).replace(/^(p2pchat: )?code:/, "")); // as the command line prints it
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

/** Removes the spaces, quotes, brackets and sentence punctuation around a text. */
function bare(text: string): string {
  let from = 0, to = text.length;
  while (from < to && opening.includes(text[from]!)) from++;
  while (from < to && closing.includes(text[to - 1]!)) to--;
  return text.slice(from, to);
}

/** Normalizes a text: different ways to type the same letters become one. */
function normal(text: string): string {
  const lower = Array.from(text.normalize("NFKC"), (c) => (c === "İ" ? "i" : c.toLowerCase())); // each letter separately, as Go does
  return lower.join("").normalize("NFKC");
}

/** Reports whether a room's name looks like a generated code with other marks in place of its dashes. */
function misspelt(room: string): boolean {
  const parts = room.split(/[._~]+/).filter((w) => w !== "");
  return parts.length === 3 && /^\d+$/.test(parts[0]!) && parts.slice(1).every((w) => listed.has(w));
}

/** Says why a code is probably a mistake; undefined for a code of the form that call generates: a number and two listed words. */
export function doubt(c: Code): string | undefined {
  const secret = c.secret.split("-");
  const unlisted = secret.find((w) => !listed.has(w));
  if (secret.length !== 2 || !/^\d+$/.test(c.room)) return `“${print(c)}” does not look like a code that p2pchat makes, such as 417-falcon-zebra. If the caller chose it`;
  return unlisted && `“${unlisted}” is not a code word. If it is right`;
}

/** Says why a code in a link or a command is probably not the whole one; undefined if it may be. */
export function cutOff({ room, secret }: Code): string | undefined {
  const found = secret.split("-"), n = found.length;
  const isPart = n < 2 || (n === 2 && /^\d+$/.test(room) && !found.every((w) => listed.has(w)));
  return isPart ? `The code “${print({ room, secret })}” may be cut off. If it is whole` : undefined;
}

/** Makes a code to read out: a number with that many digits for the room, and two words. */
export function make(digits: number): Code {
  const least = 10 ** (digits - 1);
  const word = () => words[below(words.length)]!;
  return { room: String(least + below(9 * least)), secret: `${word()}-${word()}` };
}

/** Lists up to 12 codes that begin with the text that a person has typed. */
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
