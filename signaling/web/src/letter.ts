// What a letter in a mailbox holds: the hello and the numbered frames that a pipe would carry, so that a message that arrives both
// ways arrives once. The half of chat/mail.go that a page needs: it reads letters, and leaves receipts.

import { utf8 } from "./bytes.ts";
import { json, maxText, parse, parseHello, type Hello } from "./frame.ts";

export interface Letter {
  readonly hello: Hello;
  readonly written: Date | undefined;
  readonly messages: readonly { seq: number; part: boolean; text: string }[];
}

/** Returns the letter in bytes; undefined if they hold none. */
export function parseLetter(b: Uint8Array): Letter | undefined {
  const hello = parseHello(b), { written, frames = [] } = parse(b) ?? {};
  if (!hello || hello.conversation === "" || !Array.isArray(frames)) return undefined;
  const messages = [];
  for (const f of frames as ({ seq?: unknown; part?: unknown; text?: unknown } | null)[]) {
    const { seq = 0, part, text = "" } = f ?? {};
    if (!Number.isSafeInteger(seq) || typeof text !== "string" || utf8(text).length > maxText) return undefined;
    messages.push({ seq: seq as number, part: part === true, text });
  }
  const at = new Date(typeof written === "string" ? written : NaN);
  return { hello, messages, written: Number.isNaN(at.getTime()) ? undefined : at };
}

/** Makes a letter without messages, which says up to where this side has read. */
export const receipt = (place: Pick<Hello, "conversation" | "first" | "heard" | "of">): Uint8Array => json({ ...place, written: new Date().toISOString() });
