// The four documents of a room, behind the REST API of the server that the page came
// from (/openapi.yaml). A request that fails in passing is sent again: each may be.

import { random, base32 } from "./bytes.ts";
import { Failure, sleep, type Kind } from "./failure.ts";

export type Side = "offer" | "answer"; // what it writes: the caller the offer

export const other = (s: Side): Side => (s === "offer" ? "answer" : "offer");

/** What somebody holds of a room. */
export interface Ticket {
  readonly room: string;
  readonly side: Side;
  readonly token: string; // empty: good for reading
}

export const newTicket = (room: string, side: Side): Ticket => ({ room, side, token: base32(random(16)) });

export interface Description {
  readonly body: string; // JSON
  readonly version: string;
}

const patience = 5000; // with a server that is full, in ms
const poll = 25; // seconds that one request waits at the server
const answerLimit = 15_000; // beyond that
const look = 1000; // ms from one look at whether the server is there to the next, and for its answer
const firstPause = 100, longPause = 1000;
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
  optional?: boolean; // 429 is an answer: what it asks for can be done without
}

interface Reply {
  readonly body: string;
  readonly version: string;
  readonly digits: number; // NaN or 0 if it does not say
}

export class Store {
  accessKey = "";
  /** Is told when requests begin to fail, and, with nothing, when the server is back. */
  onTrouble: (why?: string) => void = () => {};
  /** How many digits the number of a new room should have, as far as the server has said so. */
  roomDigits = 0;
  #trouble = false;
  #flight = new AbortController(); // of all requests at a time

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

  /** Waits for what `of` wrote, if it is not the version `known`, for `wait` seconds. */
  async description(t: Ticket, of: Side, known: string, wait: number, signal: AbortSignal): Promise<Description> {
    const again = (r: Reply) => known !== "" && r.version === known;
    const r = await this.#read(t, { path: `/${of}`, known }, wait, signal, (r, kind) =>
      r ? again(r) : kind === "no-offer" || kind === "no-answer" || kind === "no-room" || kind === "unchanged");
    if (again(r)) throw new Failure("unchanged", "Nothing has changed.");
    return r;
  }

  addCandidates(t: Ticket, at: number, list: string[], signal: AbortSignal): Promise<unknown> {
    return this.#in(t, { method: "POST", path: `/${t.side}-candidates${at < 0 ? "" : `?at=${at}`}`, body: `[${list.join(",")}]` }, signal);
  }

  /** Waits for candidates of a side from index `after` on. */
  async candidates(t: Ticket, of: Side, after: number, wait: number, signal: AbortSignal): Promise<unknown[]> {
    const r = await this.#read(t, { path: `/${of}-candidates?after=${after}` }, wait, signal, (r, kind) => (r ? isEmptyList(r.body) : kind === "no-room"));
    const list = json(r.body);
    if (!Array.isArray(list)) throw foreign();
    return list;
  }

  /** Gives the room back; it goes on when the page is left. */
  close(t: Ticket): Promise<unknown> {
    return this.#once({ method: "DELETE", path: `/rooms/${t.room}`, token: t.token, keepalive: true }, AbortSignal.timeout(2000));
  }

  /** The STUN and TURN servers: a caller's without a ticket, else those of the guest who will answer with it. */
  async iceServers(t: Ticket | undefined, signal: AbortSignal): Promise<RTCIceServer[]> {
    const r = await this.#do(t ? { path: `/rooms/${t.room}/ice-servers`, token: t.token, optional: true } : { path: "/ice-servers", key: true, optional: true }, signal);
    const list = (json(r.body) as { iceServers?: unknown } | undefined)?.iceServers;
    if (!Array.isArray(list)) throw foreign();
    if (!t && r.digits > 0) this.roomDigits = r.digits;
    return list as RTCIceServer[];
  }

  /** Repeats a read until wait is over, for as long as nothing is there. */
  async #read(t: Ticket, r: Request, wait: number, signal: AbortSignal, nothing: (r: Reply | undefined, kind?: Kind) => boolean): Promise<Reply> {
    const asked = performance.now();
    for (;;) {
      const left = wait - (performance.now() - asked) / 1000;
      const seconds = Math.ceil(Math.max(0, Math.min(left, poll)));
      const sent = performance.now();
      let reply: Reply | undefined, error: unknown;
      try {
        reply = await this.#in(t, { ...r, wait: seconds }, signal);
      } catch (e) {
        error = e;
      }
      const over = seconds === 0 || (performance.now() - asked) / 1000 >= wait;
      if (over || !nothing(reply, error instanceof Failure ? error.kind : undefined)) {
        if (reply) return reply;
        throw error;
      }
      // A server that does not wait must not be asked without a pause.
      if (performance.now() - sent < seconds * 500) await sleep(1000, signal);
    }
  }

  #in(t: Ticket, r: Request, signal: AbortSignal): Promise<Reply> {
    return this.#do({ ...r, path: `/rooms/${t.room}${r.path}`, token: t.token }, signal);
  }

  /** Sends a request until it is answered for good. */
  async #do(r: Request, signal: AbortSignal): Promise<Reply> {
    const started = performance.now();
    for (let attempt = 0; ; attempt++) {
      const flight = this.#flight.signal;
      try {
        const reply = await this.#once(r, AbortSignal.any([signal, flight, AbortSignal.timeout((r.wait ?? 0) * 1000 + answerLimit)]));
        this.#recovered();
        return reply;
      } catch (e) {
        signal.throwIfAborted();
        if (!(e instanceof Passing) || (r.optional && e.kind === "too-many")) {
          this.#recovered();
          throw e;
        }
        if (flight.aborted) continue;
        const backoff = Math.min(firstPause * 2 ** Math.min(attempt, 10), longPause);
        const next = e.after * 1000 + backoff / 2 + (Math.random() * backoff) / 2;
        if (e.kind === "server-full" && performance.now() - started + next > patience) throw e;
        this.#troubled(e.message);
        await sleep(next, AbortSignal.any([signal, flight])).catch(() => signal.throwIfAborted());
        r = { ...r, wait: 0 }; // so that its being back is told at once
      }
    }
  }

  /**
   * Looks, until signal ends, whether the server is there. When it is back, all requests begin
   * anew: TCP asks ever more seldom in an outage, and would wait for many seconds after it.
   */
  async watch(signal: AbortSignal): Promise<void> {
    for (let there = true; !signal.aborted; ) {
      const next = performance.now() + look;
      const was = there;
      there = await this.#once({ path: "/healthz" }, AbortSignal.any([signal, AbortSignal.timeout(look)])).then(() => true, (e) => !(e instanceof Passing));
      if (signal.aborted) return;
      if (there && !was) {
        this.#flight.abort();
        this.#flight = new AbortController();
        this.#recovered();
      }
      if (!there) this.#troubled(unreachable);
      await sleep(next - performance.now(), signal).catch(() => {});
    }
  }

  #troubled(why: string) {
    if (!this.#trouble) this.onTrouble(why);
    this.#trouble = true;
  }

  #recovered() {
    if (this.#trouble) this.onTrouble();
    this.#trouble = false;
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
      body = await text(res);
    } catch (e) {
      throw e instanceof Failure ? e : new Passing("unreachable", unreachable, 0);
    }
    return judge(res, body);
  }
}

/** A failure that is worth another try, after some seconds. */
class Passing extends Failure {
  constructor(kind: Kind, message: string, readonly after: number) {
    super(kind, message);
  }
}

/** Makes of a reply what it means. */
function judge(res: Response, body: string): Reply {
  const version = (res.headers.get("ETag") ?? "").replace(/^W\//, "").replaceAll('"', "");
  if (res.status === 304) throw new Failure("unchanged", "Nothing has changed.");
  if (res.ok) return { body, version, digits: Number(res.headers.get("P2PChat-Room-Digits")) };
  const p = json(body) as { type?: unknown; detail?: unknown } | undefined;
  const known = typeof p?.type === "string" && p.type.startsWith("urn:p2pchat:");
  const kind = (known ? String(p!.type).slice("urn:p2pchat:".length) : "refused") as Kind;
  const lasting = kind === "guesses" || kind === "too-many-rooms"; // for minutes
  const detail = typeof p?.detail === "string" ? p.detail.slice(0, 300) : `The server answered with status ${res.status}.`;
  if ((res.status === 429 && !lasting) || res.status >= 500) {
    const after = Number(res.headers.get("Retry-After") ?? 0);
    throw new Passing(kind, detail, Number.isFinite(after) ? Math.min(Math.max(after, 0), 60) : 1);
  }
  throw new Failure(kind, detail);
}

/** Reads a reply, and no more of it than one may have. */
async function text(res: Response): Promise<string> {
  const decoder = new TextDecoder();
  let all = "", size = 0;
  const reader = res.body?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part?.value) return all + decoder.decode();
    if ((size += part.value.length) > maxReply) {
      void reader!.cancel();
      throw foreign();
    }
    all += decoder.decode(part.value, { stream: true });
  }
}

const foreign = () => new Failure("refused", "The server's reply makes no sense.");

const isEmptyList = (body: string) => body.trim() === "[]";

function json(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
