// Reads what a person typed, pasted or followed to answer a call, and says what is probably wrong with it before it is tried: a wrong
// code costs one of three attempts, and in the room of a mistyped one no caller ever comes.

import { cutOff, CodeError, doubt, lobby, parse, same, type Code } from "./code.ts";
import { invitation } from "./invitation.ts";

export const inLobby: Code = { room: lobby, secret: "" };

// An address with a scheme, a port or a path, and perhaps a code at its end.
const address = /^(https?:\/\/)?([\w.-]+|\[[\da-f:.]+\])(:\d+)?(\/[^\s#]*)?(#\S*)?$/i;

let doubted: Code | undefined; // the code about which the person was asked

/**
 * Reads a code, a link or a command for the server at the address base. empty: what no text at all means. sure: the person has chosen
 * the code before; linked: it is of a link that the person followed. It throws a CodeError for a person to read.
 */
export function typed(text: string, base: string, empty: Code | undefined, sure: boolean, linked: boolean): Code {
  const whole = completed(text, base), { code: found, server } = invitation(whole);
  if (server !== "" && server !== base) throw new CodeError(`That call is on another server. To answer it, open ${server}/`);
  let code: Code;
  try {
    code = text.trim() === "" && empty ? empty : parse(found);
  } catch (e) {
    if (/^\s*(?!https?:)[a-z][a-z\d+.-]*:\/\//i.test(text)) throw new CodeError("This is not the link of a call: that begins with https:// or http://.");
    throw isAddressAlone(text) ? new CodeError("This link has no code at its end: paste the whole link.") : e;
  }
  if (sure || same(code, inLobby) || same(code, doubted)) return code;
  const fromLink = linked || found !== text, why = fromLink ? cutOff(code) : doubt(code);
  if (!why) return code;
  doubted = code;
  throw new CodeError(fromLink ? `${why}, press Answer.` : `${why}, press Answer again.`);
}

/** Completes a link that has no scheme, as browsers show it, with the one of base. */
function completed(text: string, base: string): string {
  const [, scheme, host = "", port, path, code = ""] = address.exec(text.trim()) ?? [];
  const isLink = !scheme && path?.startsWith("/") && code.length > 1 && (port !== undefined || /[.\]]|^localhost$/i.test(host));
  return isLink ? `${new URL(base).protocol}//${text.trim()}` : text;
}

/** Whether a text is an address without a code. */
function isAddressAlone(text: string): boolean {
  const found = address.exec(text.trim());
  return found !== null && (found[1] ?? found[3] ?? found[4]) !== undefined && (found[5] ?? "#") === "#";
}
