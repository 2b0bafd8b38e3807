// Puts in order what arrives of a file over its channel and over stripes, and says when to tell the sender: chat/transfer/arrival.go
// for a browser. It lasts as long as the file's channel.

import { concat, uint64 } from "./bytes.ts";

/** Bytes that the sender may be ahead of what is written. */
export const heldMost = 4 << 20;
const heldLeast = 4 << 10; // bytes that each piece counts for at least: many small ones cost more than they hold
const haves = [128 << 10, 32 << 10]; // bytes from one have to the next: on the file's channel, and over stripes

export class Arrival {
  readonly ready: Uint8Array[] = []; // what is in order, and not written yet
  striped = false; // something has come over a stripe
  #at: number; // the place of what comes next on the file's channel
  #early = new Map<number, Uint8Array>(); // pieces that wait for what comes before them
  #held = 0; // bytes in #early, as heldLeast counts them
  #beyond = 0; // bytes in #early
  #told: number[]; // see have

  /** next: how much of the file has arrived in order. */
  constructor(readonly size: number, public next: number) {
    this.#at = next;
    this.#told = [2 * next, 2 * next]; // the sender hears it first of all
  }

  /** Takes what comes next on the file's channel, see take. */
  append(bytes: Uint8Array): boolean {
    const at = this.#at;
    this.#at += bytes.length;
    return this.take(at, bytes);
  }

  /** Takes the bytes of the file from offset on; false if no honest sender sends them. */
  take(offset: number, bytes: Uint8Array): boolean {
    if (!(offset <= this.next + heldMost && offset + bytes.length <= this.size)) return false; // NaN, too
    if (offset > this.next) {
      if (bytes.length === 0 || this.#early.has(offset)) return true;
      this.#early.set(offset, bytes);
      return this.#hold(bytes, 1) <= heldMost;
    }
    for (let b: Uint8Array | undefined = bytes.subarray(this.next - offset); b?.length; b = this.#release()) {
      this.ready.push(b);
      this.next += b.length;
    }
    return true;
  }

  #release(): Uint8Array | undefined {
    const b = this.#early.get(this.next);
    if (b && this.#early.delete(this.next)) this.#hold(b, -1);
    return b;
  }

  #hold(b: Uint8Array, sign: number): number {
    this.#beyond += sign * b.length;
    return (this.#held += sign * Math.max(b.length, heldLeast));
  }

  /**
   * Returns what to tell the sender, over stripes (1) or the file's channel (0), once that much is written; undefined if it has heard
   * of almost all that way. A byte that has come counts once, and once more when it is written: the sender waits for each of the two.
   * What waits for the disk is told only if there are stripes, so that a slow disk does not look like a slow path.
   */
  have(written: number, over: 0 | 1): Uint8Array | undefined {
    const beyond = this.striped ? this.#beyond + this.next - written : 0, has = 2 * written + beyond;
    if (has - this.#told[over]! < (written === this.size ? 1 : 2 * haves[over]!)) return undefined;
    this.#told[over] = has;
    return concat(uint64(written), beyond > 0 ? uint64(beyond) : new Uint8Array());
  }
}
