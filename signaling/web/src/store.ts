// The four documents of a room, behind the REST API of the server that the page came from (/openapi.yaml). Every request can be
// repeated, so one that fails for a moment is.

import { random, base32, base64 } from "./bytes.ts";
import { Failure, sleep, type Kind } from "./failure.ts";
import { parseBlocks, type Address, type Block } from "./mail.ts";

export type Side = "offer" | "answer"; // the description that a side writes: the caller the offer

export const other = (s: Side): Side => (s === "offer" ? "answer" : "offer");

/** The right to write a side's documents of a room. */
export interface Ticket {
  readonly room: string;
  readonly side: Side;
  readonly token: string; // empty: for reading alone
}

export const newTicket = (room: string, side: Side): Ticket => ({ room, side, token: base32(random(16)) });

export interface Description {
  readonly body: string; // JSON
  readonly version: string;
}

const fullLimit = 5000; // ms in which a request to a full server is repeated
const poll = 25; // seconds that one request waits at the server
const answerLimit = 15_000; // ms beyond that
const healthInterval = 1000; // ms between two health checks, and for the answer to one
const firstPause = 100, longestPause = 1000; // ms
const unreachable = "The server does not answer.";
const maxReply = 1 << 18; // bytes
export const forever = Infinity;

interface Request {
  method?: string;
  path: string;
  token?: string;
  key?: boolean; // with the access key
  match?: string;
  known?: string;
  body?: string;
  wait?: number; // seconds
  keepalive?: boolean;
  optional?: boolean; // not repeated after 429: the page can do without the reply
}

interface Reply {
  readonly body: string;
  readonly version: string;
  readonly digits: number; // NaN or 0 if the server does not say
}

/** Three calls of a Store, for a meeting wherever its documents are kept. */
export type Documents = Pick<Store, "description" | "candidates" | "addCandidates">;

export class Store {
  accessKey = "";
  /** Called with the reason when requests begin to fail, and without one when the server is back. */
  onTrouble: (why?: string) => void = () => {};
  /** Called once, with how many ms this machine's clock is ahead of the server's, as the server says. */
  onClock: (ahead: number) => void = () => {};
  /** How many ms this machine's clock is ahead of the server's, as its last reply says. */
  ahead = 0;
  #comparedClocks = false;
  /** The number of digits that the server wants in the number of a new room; 0 if it did not say. */
  roomDigits = 0;
  /** How many requests have failed because the server was away: it may have been restarted, and have lost all rooms. */
  interruptions = 0;
  #failing = false;
  #requests = new AbortController(); // aborted to repeat all current requests

  constructor(readonly origin: string) {}

  offer(t: Ticket, body: string, signal: AbortSignal): Promise<unknown> {
    return this.#in(t, { method: "POST", path: "/offer", key: true, body }, signal);
  }

  reoffer(t: Ticket, body: string, signal: AbortSignal): Promise<unknown> {
    return this.#in(t, { method: "PUT", path: "/offer", key: true, body }, signal);
  }

  answer(t: Ticket, to: string, body: string, signal: AbortSignal): Promise<unknown> {
    return this.#in(t, { method: "POST", path: "/answer", match: to, body }, signal);
  }

  /** Waits up to `wait` seconds for the description of side `of`, unless that is the version `known`. */
  async description(t: Ticket, of: Side, known: string, wait: number, signal: AbortSignal): Promise<Description> {
    const unchanged = (r: Reply) => known !== "" && r.version === known;
    const r = await this.#read(inRoom(t, { path: `/${of}`, known }), wait, signal, (r, kind) =>
      r ? unchanged(r) : kind === "no-offer" || kind === "no-answer" || kind === "no-room" || kind === "unchanged");
    if (unchanged(r)) throw new Failure("unchanged", "Nothing has changed.");
    return r;
  }

  addCandidates(t: Ticket, at: number, list: string[], signal: AbortSignal): Promise<unknown> {
    return this.#in(t, { method: "POST", path: `/${t.side}-candidates${at < 0 ? "" : `?at=${at}`}`, body: `[${list.join(",")}]` }, signal);
  }

  /** Waits up to `wait` seconds for the candidates of side `of` from index `after`. */
  async candidates(t: Ticket, of: Side, after: number, wait: number, signal: AbortSignal): Promise<unknown[]> {
    const r = await this.#read(inRoom(t, { path: `/${of}-candidates?after=${after}` }), wait, signal, (r, kind) => (r ? isEmptyList(r.body) : kind === "no-room"));
    const list = json(r.body);
    if (!Array.isArray(list)) throw nonsense();
    return list;
  }

  /** Puts a block into a mailbox, and returns for how many seconds it is kept. One that is there already changes nothing. */
  async addBlock(to: Address, { number, bytes }: Block, signal: AbortSignal): Promise<number> {
    const r = await this.#do({ method: "POST", path: `/mail/${to.name}`, token: to.putter, key: true, body: JSON.stringify({ number, block: base64(bytes) }) }, signal);
    const seconds = (json(r.body) as { seconds?: unknown } | undefined)?.seconds;
    if (!Number.isSafeInteger(seconds) || (seconds as number) < 0) throw nonsense();
    return seconds as number;
  }

  /** Waits up to `wait` seconds for blocks of a mailbox with a number above after. */
  async blocks(at: Address, after: number, wait: number, signal: AbortSignal): Promise<Block[]> {
    const r = await this.#read({ path: `/mail/${at.name}?after=${after}`, token: at.taker }, wait, signal, (r) => r !== undefined && isEmptyList(r.body));
    const list = parseBlocks(json(r.body));
    if (!list) throw nonsense();
    return list;
  }

  /** Removes the blocks of a mailbox up to a number. */
  deleteBlocks(at: Address, through: number, signal: AbortSignal): Promise<unknown> {
    return this.#do({ method: "DELETE", path: `/mail/${at.name}?through=${through}`, token: at.taker }, signal);
  }

  /** Closes the room, also while the page is left. */
  close(t: Ticket): Promise<unknown> {
    return this.#once({ method: "DELETE", path: `/rooms/${t.room}`, token: t.token, keepalive: true }, AbortSignal.timeout(2000));
  }

  /** Returns the STUN and TURN servers: without a ticket those of a caller, with one those of the guest who answers with it. */
  async iceServers(t: Ticket | undefined, signal: AbortSignal): Promise<RTCIceServer[]> {
    const r = await this.#do(t ? { path: `/rooms/${t.room}/ice-servers`, token: t.token, optional: true } : { path: "/ice-servers", key: true, optional: true }, signal);
    const list = (json(r.body) as { iceServers?: unknown } | undefined)?.iceServers;
    if (!Array.isArray(list)) throw nonsense();
    if (!t && r.digits > 0) this.roomDigits = r.digits;
    return list as RTCIceServer[];
  }

  /** Repeats a read that finds nothing, for up to `wait` seconds. */
  async #read(r: Request, wait: number, signal: AbortSignal, isNothing: (r: Reply | undefined, kind?: Kind) => boolean): Promise<Reply> {
    const asked = performance.now();
    for (;;) {
      const left = wait - (performance.now() - asked) / 1000;
      const seconds = Math.ceil(Math.max(0, Math.min(left, poll)));
      const sent = performance.now();
      let reply: Reply | undefined, error: unknown;
      try {
        reply = await this.#do({ ...r, wait: seconds }, signal);
      } catch (e) {
        error = e;
      }
      const over = seconds === 0 || (performance.now() - asked) / 1000 >= wait;
      if (over || !isNothing(reply, error instanceof Failure ? error.kind : undefined)) {
        if (reply) return reply;
        throw error;
      }
      // A server that answers at once is asked only once a second.
      if (performance.now() - sent < seconds * 500) await sleep(1000, signal);
    }
  }

  #in(t: Ticket, r: Request, signal: AbortSignal): Promise<Reply> {
    return this.#do(inRoom(t, r), signal);
  }

  /** Sends a request until it has a lasting answer. */
  async #do(r: Request, signal: AbortSignal): Promise<Reply> {
    const started = performance.now();
    for (let attempt = 0; ; attempt++) {
      const requests = this.#requests.signal;
      try {
        const reply = await this.#once(r, AbortSignal.any([signal, requests, AbortSignal.timeout((r.wait ?? 0) * 1000 + answerLimit)]));
        this.#recovered();
        return reply;
      } catch (e) {
        signal.throwIfAborted();
        if (!(e instanceof Transient) || (r.optional && e.kind === "too-many")) {
          this.#recovered();
          throw e;
        }
        if (requests.aborted) continue;
        const backoff = Math.min(firstPause * 2 ** Math.min(attempt, 10), longestPause);
        const next = e.after * 1000 + backoff / 2 + (Math.random() * backoff) / 2;
        if (e.kind !== "server-full" && e.kind !== "too-many") this.interruptions++;
        if (e.kind === "server-full" && performance.now() - started + next > fullLimit) throw e;
        this.#troubled(e.message);
        await sleep(next, AbortSignal.any([signal, requests])).catch(() => signal.throwIfAborted());
        r = { ...r, wait: 0 }; // so that an answer shows at once that the server is back
      }
    }
  }

  /**
   * Checks the server's health until signal aborts. When the server is back it repeats all requests: in an outage TCP retransmits
   * at ever longer intervals, and would notice the end of it only after many seconds.
   */
  async watch(signal: AbortSignal): Promise<void> {
    for (let healthy = true; !signal.aborted; ) {
      const next = performance.now() + healthInterval;
      const was = healthy;
      healthy = await this.#once({ path: "/healthz" }, AbortSignal.any([signal, AbortSignal.timeout(healthInterval)])).then(() => true, (e) => !(e instanceof Transient));
      if (signal.aborted) return;
      if (healthy && !was) {
        this.#requests.abort();
        this.#requests = new AbortController();
        this.#recovered();
      }
      if (!healthy) this.#troubled(unreachable);
      await sleep(next - performance.now(), signal).catch(() => {});
    }
  }

  /** Notes the date of a reply, and tells of the first one. */
  #compareClocks(res: Response) {
    const ahead = Date.now() - Date.parse(res.headers.get("Date") ?? "");
    if (Number.isNaN(ahead)) return;
    this.ahead = ahead;
    if (!this.#comparedClocks) this.onClock(ahead);
    this.#comparedClocks = true;
  }

  #troubled(why: string) {
    if (!this.#failing) this.onTrouble(why);
    this.#failing = true;
  }

  #recovered() {
    if (this.#failing) this.onTrouble();
    this.#failing = false;
  }

  async #once(r: Request, signal: AbortSignal): Promise<Reply> {
    const headers = new Headers();
    if (r.body !== undefined) headers.set("Content-Type", "application/json");
    if (r.token) headers.set("Authorization", `Bearer ${r.token}`);
    if (r.key && this.accessKey) headers.set("X-P2PChat-Key", this.accessKey);
    if (r.match) headers.set("If-Match", `"${r.match}"`);
    if (r.known) headers.set("If-None-Match", `"${r.known}"`);
    if (r.wait) headers.set("Prefer", `wait=${r.wait}`);
    let res: Response, body: string;
    try {
      res = await fetch(this.origin + r.path, {
        method: r.method ?? "GET", headers, body: r.body ?? null, signal, keepalive: r.keepalive ?? false,
        cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      });
      this.#compareClocks(res);
      body = await text(res);
    } catch (e) {
      throw e instanceof Failure ? e : new Transient("unreachable", unreachable, 0);
    }
    return checkResponse(res, body);
  }
}

const inRoom = (t: Ticket, r: Request): Request => ({ ...r, path: `/rooms/${t.room}${r.path}`, token: t.token });

/** A failure after which the request may succeed, `after` seconds later. */
class Transient extends Failure {
  constructor(kind: Kind, message: string, readonly after: number) {
    super(kind, message);
  }
}

const lastingKinds = new Set<Kind>(["guesses", "too-many-rooms", "client-mail", "mail-full"]); // for minutes

/** Maps a response to a reply; it throws a Failure for an error. */
function checkResponse(res: Response, body: string): Reply {
  const version = (res.headers.get("ETag") ?? "").replace(/^W\//, "").replaceAll('"', "");
  if (res.status === 304) throw new Failure("unchanged", "Nothing has changed.");
  if (res.ok) return { body, version, digits: Number(res.headers.get("P2PChat-Room-Digits")) };
  const p = json(body) as { type?: unknown; detail?: unknown } | undefined;
  const known = typeof p?.type === "string" && p.type.startsWith("urn:p2pchat:");
  const kind = (known ? String(p!.type).slice("urn:p2pchat:".length) : "refused") as Kind;
  const lasting = lastingKinds.has(kind);
  const detail = typeof p?.detail === "string" ? p.detail.slice(0, 300) : `The server answered with status ${res.status}.`;
  if (!lasting && (res.status === 429 || res.status >= 500)) {
    const after = Number(res.headers.get("Retry-After") ?? 0);
    throw new Transient(kind, detail, Number.isFinite(after) ? Math.min(Math.max(after, 0), 60) : 1);
  }
  throw new Failure(kind, detail);
}

/** Reads a response, up to maxReply. */
async function text(res: Response): Promise<string> {
  const decoder = new TextDecoder();
  let all = "", size = 0;
  const reader = res.body?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part?.value) return all + decoder.decode();
    if ((size += part.value.length) > maxReply) {
      void reader!.cancel();
      throw nonsense();
    }
    all += decoder.decode(part.value, { stream: true });
  }
}

const nonsense = () => new Failure("refused", "The server's reply makes no sense.");

/** Whether body is an empty JSON array, however it is spelled. */
function isEmptyList(body: string): boolean {
  const list = json(body);
  return Array.isArray(list) && list.length === 0;
}

function json(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
