// Hands the reader what the other side of a conversation says, in order and once, whether it came over a pipe or in a letter. The
// methods return false for what makes no sense.

import { text } from "./bytes.ts";
import type { Reader } from "./event.ts";
import { kind, parse, type Frame } from "./frame.ts";
import type { Keeper, Keeping, Known } from "./keep.ts";
import type { Letter } from "./letter.ts";
import { properName, stranger } from "./name.ts";
import type { ReliableStream } from "./reliable.ts";
import { writtenAt } from "./waited.ts";

export class Incoming {
  peerName = "";
  partial = false; // the other side's last message continues in its next one
  #plainMessages = 0; // of a plain program

  constructor(
    private readonly reader: Reader, private readonly stream: ReliableStream, private readonly keeper: Keeper,
    private readonly keeping: Keeping, private readonly contact: Known | undefined,
  ) {}

  /** Gives the reader a numbered frame, if it is the next one. */
  frame(f: Frame): boolean {
    const order = this.stream.order(f);
    return order === "repeated" || (order === "next" && this.#handOver(f));
  }

  /** Gives the reader the next numbered frame; false if its text is not UTF-8. */
  #handOver(f: Frame): boolean {
    let sound = true;
    if (f.kind === kind.message || f.kind === kind.part) {
      let message: string;
      try {
        message = text(f.body);
      } catch {
        return false;
      }
      this.reader.message(f.seq, this.peerName, message, this.partial, this.stream.written(f.seq));
      this.partial = f.kind === kind.part;
    } else if (f.kind === kind.end) {
      this.reader.inputEnded();
    } else if (f.kind === kind.keep || f.kind === kind.kept) {
      sound = !this.contact && this.keeper.able && this.keeping.handle(f.kind, f.body);
    } else {
      const body = parse(f.body);
      if (body) this.reader.file(f.kind, f.seq, body, this.stream.peer);
      else sound = false;
    }
    this.stream.consumed();
    return sound;
  }

  /** Gives the reader the text of a plain program. */
  plain(m: string | Uint8Array): boolean {
    try {
      this.reader.message(++this.#plainMessages, stranger, typeof m === "string" ? m : text(m), false);
      return true;
    } catch {
      return false;
    }
  }

  /** Gives the reader what is in a letter of the contact. whole: no message in it or in the letters before is missing. */
  letter(l: Letter): { sound: boolean; whole: boolean } {
    const { hello, messages, written } = l;
    this.peerName = this.contact?.name ?? this.peerName;
    const isOld = this.stream.hasRead(hello.conversation, messages.at(-1)?.seq ?? 0); // it comes late, from the box of older keys
    if (!isOld && this.stream.handleHello(hello)) this.partial = false;
    const sound = hello.of !== this.stream.id || this.ack(hello.heard);
    for (const { seq, part, void: none, text } of isOld ? [] : messages) {
      if (this.stream.order({ seq }) !== "next") continue;
      if (!none) {
        this.reader.message(seq, this.peerName, text, this.partial, writtenAt(hello.waited, seq) ?? written);
        this.partial = part;
      }
      this.stream.consumed();
    }
    return { sound, whole: this.#hasAll(l) };
  }

  /** Whether the reader has all messages of a letter, and of those before: a letter that is missing held only a receipt. */
  #hasAll({ hello: { conversation }, through = Infinity }: Letter): boolean {
    const { conversation: current, through: heard } = this.stream.heard;
    return (conversation === current && through <= heard) || this.stream.hasRead(conversation, through);
  }

  name(body: Uint8Array): boolean {
    const was = this.peerName;
    try {
      this.peerName = this.contact?.name ?? (this.keeping.name || properName(text(body)));
    } catch {
      return false;
    }
    if (this.peerName !== was) this.reader.renamed(was, this.peerName);
    return true;
  }

  /** Tells the reader which messages the other side has acknowledged. */
  ack(seq: number): boolean {
    const gone = this.stream.handleAck(seq);
    for (const f of gone ?? []) if (f.kind === kind.message) this.reader.delivered(f.seq);
    return gone !== undefined;
  }
}
