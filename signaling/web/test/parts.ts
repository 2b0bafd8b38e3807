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
export * as mail from "../src/mail.ts";
export { Conversation } from "../src/conversation.ts";
export { Book } from "../src/book.ts";
export { HelloWait } from "../src/ring.ts";
export { sha256 } from "@noble/hashes/sha2.js";
