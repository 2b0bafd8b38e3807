// How things can fail, in one table of kinds. What crosses the wire is named as in
// signaling/problem.go, what the peers find out as in peer/peer.go.

export type Kind =
  // of the server
  | "no-room" | "no-offer" | "no-answer" | "unchanged" | "closed" | "turned-down" | "occupied" | "answered" | "superseded"
  | "wrong-token" | "access-key" | "too-many" | "guesses" | "too-many-rooms" | "candidates-full" | "server-full" | "unreachable" | "refused"
  // of the meeting
  | "no-path" | "no-relay" | "replaced" | "lost" | "taken" | "wrong-code" | "burnt" | "impostor" | "garbled" | "unproven" | "silent" | "ended";

export class Failure extends Error {
  constructor(readonly kind: Kind, message: string) {
    super(message);
  }
}

/** The kind of what was thrown; undefined for a program's own mistake, or an abort. */
export const kindOf = (e: unknown): Kind | undefined => (e instanceof Failure ? e.kind : undefined);

export const isAbort = (e: unknown, signal: AbortSignal): boolean => signal.aborted && kindOf(e) === undefined;

/** Waits; it rejects when signal ends. */
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

/** Slows down what comes again and again in a short time. The first time costs nothing. */
export class Brake {
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
