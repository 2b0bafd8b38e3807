// The candidates of both sides: this side's go to the server, the other side's come from there.

import { lobby } from "./code.ts";
import { isAbort } from "./failure.ts";
import type { SealedNote } from "./handshake.ts";
import { forever, other, type Documents, type Ticket } from "./store.ts";

/** How many candidates are read of the other side: more than any browser has. */
export const maxCandidates = 256;
const maxUnproven = 20; // of a side that has not proven that it knows a secret, in its description and the list

/** Counts the addresses to which the other side makes this one send packets. */
export class CandidateLimit {
  readonly #secret: boolean;
  readonly #named = new Set<string>();

  constructor(secret: boolean) {
    this.#secret = secret;
  }

  /** Reports whether a candidate may be used; a repeated one does not count twice. */
  accepts(candidate: string): boolean {
    const text = candidate.trim().replace(/^a=/, "");
    if (text === "" || this.#named.has(text)) return true;
    if (this.#named.size >= (this.#secret ? maxCandidates : maxUnproven)) return false;
    this.#named.add(text);
    return true;
  }

  /** Returns an SDP without the candidates over the limit, and those that have another address than at, unless that is "". */
  bounded(sdp: string, at = ""): string {
    return sdp.split(/\r\n|\r|\n/).filter((line) => !line.startsWith("a=candidate:") || (at === "" || line.split(" ")[4] === at) && this.accepts(line)).join("\r\n");
  }
}

/** Sends this side's candidates to the server, as many as are ready in one request. */
export class CandidateSender {
  readonly #store: Documents;
  readonly #ticket: Ticket;
  readonly #stored: () => void;
  readonly #failed: (e: unknown) => void;
  readonly #signal: AbortSignal;
  #state: "held" | "idle" | "sending" | "stopped" = "held";
  readonly #queue: string[] = [];
  #sent = 0;

  /** `stored` is called each time that the server has stored candidates, `failed` when it takes no more. */
  constructor(
    store: Documents, ticket: Ticket, stored: () => void, failed: (e: unknown) => void, signal: AbortSignal,
  ) {
    this.#store = store;
    this.#ticket = ticket;
    this.#stored = stored;
    this.#failed = failed;
    this.#signal = signal;
  }

  send(body: string) {
    this.#queue.push(body);
    if (this.#state === "idle") void this.#run();
  }

  /** Starts sending: the server has this side's description. */
  start() {
    this.#state = "idle";
    void this.#run();
  }

  async #run(): Promise<void> {
    this.#state = "sending";
    await Promise.resolve(); // what the current step adds goes with it
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue.splice(0);
        const at = this.#ticket.room === lobby ? -1 : this.#sent; // in the lobby the list may hold another caller's
        this.#sent += batch.length;
        await this.#store.addCandidates(this.#ticket, at, batch, this.#signal);
        this.#stored();
      }
      this.#state = "idle";
    } catch (e) {
      this.#state = "stopped";
      if (!isAbort(e, this.#signal)) this.#failed(e);
    }
  }
}

/** Reads the other side's candidates, up to maxCandidates. */
export async function readCandidates(store: Documents, ticket: Ticket, take: (list: unknown[]) => void, failed: (e: unknown) => void, signal: AbortSignal): Promise<void> {
  try {
    for (let after = 0; after < maxCandidates; ) {
      const list = (await store.candidates(ticket, other(ticket.side), after, forever, signal)).slice(0, maxCandidates - after);
      after += list.length;
      take(list);
    }
  } catch (e) {
    if (!isAbort(e, signal)) failed(e);
  }
}

/** Returns the text of a stranger's candidate; undefined if it has none. */
export function candidateText(c: unknown): string | undefined {
  const text = (c as { candidate?: unknown } | null)?.candidate;
  return typeof text === "string" && text !== "" ? text : undefined;
}

/** Returns a plain program's candidate in the form that every browser takes. */
export function tolerated(n: SealedNote): SealedNote {
  const candidate = n.candidate!.trim().replace(/^a=/, "");
  return typeof n.sdpMid === "string" || typeof n.sdpMLineIndex === "number" ? { ...n, candidate } : { candidate, sdpMLineIndex: 0 };
}

/** Removes from a relay candidate the address that the relay hides. */
export const withoutBase = (candidate: string): string =>
  candidate.replace(/ raddr (\S+) rport \d+/, (_, a: string) => ` raddr ${a.includes(":") ? "::" : "0.0.0.0"} rport 9`);

/**
 * Returns the type of a candidate in a browser's statistics. Firefox calls a candidate prflx as long as the connection lasts if its first
 * packet came before the candidate did, so the type that its side has put into sdp counts then.
 */
export function candidateType(stats: Record<string, unknown> | undefined, sdp: string): unknown {
  if (stats?.candidateType !== "prflx") return stats?.candidateType;
  const hidden = !stats.address || stats.address === "(redacted)"; // of a candidate with a .local name: then only the port is known
  const types = [...sdp.matchAll(/^a=candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ (\w+)/gim)]
    .filter(([, address, port]) => Number(port) === stats.port && (hidden || address!.toLowerCase() === stats.address)).map(([, , , type]) => type);
  return types.find((t) => t !== "host") ?? types[0] ?? "prflx"; // a NAT may have kept the port
}
