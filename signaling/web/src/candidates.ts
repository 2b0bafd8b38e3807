// How many addresses the other side may have this one send packets to.

const most = 256; // that are read of the other side: more than any browser has
const mostUnproven = 20; // of a side that has not proven that it knows a secret, in its description and the list

/** Counts the other side's candidates. */
export class Candidates {
  readonly #named = new Set<string>();

  constructor(private readonly secret: boolean) {}

  /** Whether one may be used; the same one may come again. */
  accepts(candidate: string): boolean {
    const text = candidate.trim().replace(/^a=/, "");
    if (text === "" || this.#named.has(text)) return true;
    if (this.#named.size >= (this.secret ? most : mostUnproven)) return false;
    this.#named.add(text);
    return true;
  }

  /** A plain program's SDP without the candidates that are too many. */
  bounded(sdp: string): string {
    return sdp.split(/\r\n|\r|\n/).filter((line) => !line.startsWith("a=candidate:") || this.accepts(line)).join("\r\n");
  }
}
