// What a letter in a mailbox holds: the hello and the numbered frames that a pipe would carry, so that a message that arrives both
// ways arrives once. chat/mail.go for a browser.

import { text, utf8 } from "./bytes.ts";
import { json, kind, maxText, parse, parseHello, type Frame, type Hello } from "./frame.ts";
import { waitedOf } from "./waited.ts";

export interface Letter {
  readonly hello: Hello;
  readonly written: Date | undefined;
  readonly through: number | undefined; // the last message in it and in the letters before; undefined if it does not say
  readonly messages: readonly { seq: number; part: boolean; void: boolean; text: string }[]; // void: a number that says nothing
}

/** Returns the letter in bytes; undefined if they hold none. */
export function parseLetter(b: Uint8Array): Letter | undefined {
  const hello = parseHello(b), { written, frames = [], through } = parse(b) ?? {};
  if (!hello || hello.conversation === "" || !Array.isArray(frames)) return undefined;
  const messages = [];
  for (const f of frames as ({ seq?: unknown; part?: unknown; void?: unknown; text?: unknown } | null)[]) {
    const { seq = 0, part, void: none, text = "" } = f ?? {};
    if (!Number.isSafeInteger(seq) || typeof text !== "string" || utf8(text).length > maxText) return undefined;
    messages.push({ seq: seq as number, part: part === true, void: none === true, text });
  }
  const at = new Date(typeof written === "string" ? Math.min(Date.parse(written), Date.now()) : NaN);
  const last = messages.at(-1)?.seq ?? (Number.isSafeInteger(through) ? through as number : undefined);
  return { hello, messages, through: last, written: Number.isNaN(at.getTime()) ? undefined : at };
}

/** What a side leaves for the other one. */
export interface Draft {
  readonly text: Uint8Array | undefined;
  readonly first: number; // the lowest ID that is not acknowledged
  readonly through: number; // the ID of the last message that is in this letter or in those before
  readonly held: boolean; // what comes next, such as a file, has to wait for a pipe
}

const isMessage = (f: Frame): boolean => f.kind === kind.message || f.kind === kind.part;

/**
 * Makes a letter of at most limit bytes with those of the frames that come after the ID after. It says, too, up to where this side has
 * read. Its text is undefined if there is no such message, unless bare is set.
 */
export function draft(place: Pick<Hello, "conversation" | "first" | "heard" | "of">, frames: readonly Frame[], after: number, limit: number, bare: boolean): Draft {
  const unsent = frames.filter((f) => f.seq > after), head = { ...place, written: new Date().toISOString(), ...waitedOf(unsent) }, list: object[] = [];
  let through = Math.max(after, place.first - 1), bytes = json({ ...head, through }), held = false;
  for (const [i, f] of unsent.entries()) {
    if (f.seq <= through) continue;
    if (!isMessage(f)) {
      held = unsent.slice(i).some((g) => isMessage(g) || g.kind === kind.offer); // an answer to a file alone is missed by no one
      break;
    }
    const one = { seq: f.seq, ...(f.kind === kind.part && { part: true }), text: text(f.body) }, longer = json({ ...head, frames: [...list, one] });
    if (longer.length > limit) {
      held = list.length === 0;
      break;
    }
    list.push(one);
    [bytes, through] = [longer, f.seq];
  }
  return { text: list.length > 0 || bare ? bytes : undefined, first: place.first, through, held };
}
