// The wait for the other side's hello, which takes longer while that side's program asks its person. chat/ring.go for a browser.

import { equal, utf8 } from "./bytes.ts";
import { Failure } from "./failure.ts";
import { kind, type Frame } from "./frame.ts";
import type { Pipe } from "./pipe.ts";

const helloLimit = 10_000; // ms that the other side's hello may take, or its next sign that it rings
const longestRing = 120_000; // ms that this side waits for the other side's person
const unanswered = "unanswered"; // the body of declined, if the person has not decided

export class HelloWait {
  readonly #begun = performance.now();
  #timer = 0;
  #rings = false;

  /** Ends pipe if no hello comes in time; ringing is called once, when the other side says that it rings, and declined when it does not take the call. */
  constructor(readonly pipe: Pipe, readonly ringing: () => void, readonly declined: () => void) {
    this.#wait();
  }

  #wait() {
    this.end();
    const late = () => this.pipe.end(this.#rings ? notAnswered() : new Failure("silent", "The other side connected, but sent nothing that p2pchat understands."));
    this.#timer = window.setTimeout(late, Math.min(helloLimit, this.#begun + longestRing - performance.now()));
  }

  /** Handles a frame about the other side's person; false if it is another one. */
  handle(f: Frame): boolean {
    if (f.kind === kind.ringing) {
      if (!this.#rings) this.ringing();
      this.#rings = true;
      this.#wait();
      return true;
    }
    if (f.kind !== kind.declined) return false;
    this.declined();
    this.pipe.end(equal(f.body, utf8(unanswered)) ? notAnswered() : new Failure("declined", "The other side declined the call."));
    return true;
  }

  /** Ends the wait: the hello is there, or the pipe has ended. */
  end() {
    clearTimeout(this.#timer);
  }
}

const notAnswered = () => new Failure("unanswered", "The other side did not answer the call.");
