// The kinds of failure. Those of the server have the names of signaling/problem.go, those of the two sides the names of
// peer/peer.go.

export type Kind =
  // of the server
  | "no-room" | "no-offer" | "no-answer" | "unchanged" | "closed" | "turned-down" | "occupied" | "answered" | "superseded"
  | "mail-off" | "box-full" | "client-mail" | "mail-full"
  | "wrong-token" | "access-key" | "too-many" | "guesses" | "too-many-rooms" | "candidates-full" | "server-full" | "unreachable" | "refused"
  // of the meeting
  | "no-path" | "no-relay" | "replaced" | "lost" | "taken" | "wrong-code" | "burnt" | "impostor" | "garbled" | "forgotten" | "unproven" | "silent" | "declined" | "unanswered" | "ended"
  // of the contacts
  | "no-contacts";

export class Failure extends Error {
  /** closed: so is the room, and the code no longer works. */
  constructor(readonly kind: Kind, message: string, readonly closed = false) {
    super(message);
  }
}

/** Returns the kind of a thrown value; undefined for an abort or a mistake in this program. */
export const kindOf = (e: unknown): Kind | undefined => (e instanceof Failure ? e.kind : undefined);

export const isAbort = (e: unknown, signal: AbortSignal): boolean => signal.aborted && kindOf(e) === undefined;

/** Makes any thrown value a Failure that a person can read. */
export const readable = (e: unknown): Failure =>
  e instanceof Failure ? e : new Failure("refused", e instanceof Error ? e.message : String(e));

/** Waits for ms; it rejects when signal aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** Delays repeated attempts: not the first one, then from 10 ms up to 3 s. */
export class Backoff {
  #times = 0;
  #last = -Infinity;

  async wait(signal: AbortSignal): Promise<void> {
    const least = 10, most = 3000;
    if (performance.now() - this.#last > 2 * most) this.#times = 0;
    const ms = this.#times === 0 ? 0 : Math.min(least * 2 ** Math.min(this.#times, 10), most);
    await sleep(ms, signal);
    this.#times++;
    this.#last = performance.now();
  }
}
