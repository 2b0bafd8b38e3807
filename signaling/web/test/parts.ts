// The parts of the page that have tests of their own, for those to reach.

export { base32, base64, hex, lv } from "../src/bytes.ts";
export { complete, doubt, parse, print, words } from "../src/code.ts";
export { invitation } from "../src/invitation.ts";
export { properFile, properName } from "../src/name.ts";
export { generator, multiply, Party } from "../src/pake.ts";
export { choose } from "../src/iceservers.ts";
export { CandidateLimit } from "../src/candidates.ts";
export { qr } from "../src/qr.ts";
export { Guesses, inStorage } from "../src/guesses.ts";
export { Session } from "../src/session.ts";
export { after } from "../src/leaving.ts";
export { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
export { Failure } from "../src/failure.ts";
export { Proposal, respond, SessionKeys } from "../src/handshake.ts";
export * as contact from "../src/contact.ts";
export * as letter from "../src/letter.ts";
export * as mail from "../src/mail.ts";
export { Conversation } from "../src/conversation.ts";
export { Book } from "../src/book.ts";
export { HelloWait } from "../src/ring.ts";
export { Arrival } from "../src/arrival.ts";
export { Files } from "../src/transfer.ts";
export { sha256 } from "@noble/hashes/sha2.js";

import { hex, text, utf8 } from "../src/bytes.ts";
import { decode, kind, parseHello } from "../src/frame.ts";
import { parseLetter } from "../src/letter.ts";

/** What the page reads of a stranger's bytes, in the words of chat/strangers_test.go. */
export const reads = {
  frame(b: Uint8Array): string {
    const f = decode(b);
    if (!f) return "refused";
    if (f.kind === kind.hello) {
      const h = parseHello(f.body);
      return h ? JSON.stringify([h.conversation, h.name, h.first, h.heard, h.of, h.contacts, h.holds]) : "refused";
    }
    const bare: number[] = [kind.end, kind.ack, kind.away], reason = utf8("words-differ");
    try {
      const shown = bare.includes(f.kind) || (f.kind === kind.goodbye && hex(f.body) !== hex(reason)) ? "" : hex(utf8(text(f.body)));
      return `${f.kind} ${f.seq} ${shown}`;
    } catch {
      return "refused"; // its reader does, as the text is not UTF-8
    }
  },
  letter(b: Uint8Array): string {
    const l = parseLetter(b);
    return l ? JSON.stringify([l.hello.conversation, l.hello.first, l.hello.heard, l.hello.of, l.messages.map((m) => [m.seq, m.part, m.text])]) : "refused";
  },
};
