// The contacts, in the browser's IndexedDB: cmd/p2pchat/internal/contacts for a browser. Each change is one transaction, which is on
// disk when its promise resolves. So a page that is closed at any moment has the old keys or the new ones, and two tabs never both
// change the same ones.

import { fromBase64 } from "./bytes.ts";
import { Failure } from "./failure.ts";
import { boxOf, id, keep, newest, roll, show, unroll, withBox, type Box, type Keys } from "./contact.ts";
import { address, seal, type Address, type Block } from "./mail.ts";
import { alike, properName } from "./name.ts";
import type { StoredKeys } from "./contacts.ts";
import type { Conversation } from "./conversation.ts";
import { keyID, type Keeper } from "./keep.ts";
import type { Draft } from "./letter.ts";
import type { Correspondent, Undelivered } from "./outbox.ts";
import type { Heard, SavedFrames } from "./reliable.ts";
import type { Side } from "./store.ts";

export interface Contact {
  readonly id: string; // follows from the call in which the two kept each other
  readonly name: string; // by which this person calls the other
  readonly seen: number; // when their last call began, in ms since 1970
  readonly keys: Keys;
  readonly agreed?: string; // the ID of the keys with which the two kept each other
  readonly heard?: Heard;
  readonly due?: boolean; // a receipt for letters that were read
  readonly sealed?: readonly Sealed[]; // letters that may not be at the server yet
  readonly left?: Left;
  readonly undelivered?: Undelivered; // what this person has said
}

/** How far this person's letters are. */
interface Left {
  readonly generation: string; // with whose keys the count began
  readonly conversation: string;
  readonly through: number; // the ID of the last message that is in a letter
  readonly until: number; // when the first of the letters expires at the server, in ms since 1970; 0 if none is there
}

/** Returns the ID of the last message of a contact's conversation that the server has taken in a letter. */
export const leftThrough = ({ left, undelivered, sealed }: Contact): number =>
  left && left.conversation === undelivered?.id && !sealed?.length ? left.through : 0;

/** A letter for a box at the server. */
export interface Sealed {
  readonly to: Address;
  readonly block: Block;
}

const table = "contacts";

export class Book {
  private constructor(private readonly db: IDBDatabase) {}

  /** Opens the contacts of the page with the address base. It throws a Failure, for a person to read, if the browser has no place for them. */
  static async open(base: string): Promise<Book> {
    if (!isSecureContext) throw new Failure("no-contacts", "This page came over plain http, where any machine on the way could read the keys. To keep contacts, open it with https, or use the terminal program.");
    try {
      const request = indexedDB.open(`p2pchat at ${base}`, 1);
      request.onupgradeneeded = () => { request.result.createObjectStore(table, { keyPath: "id" }); };
      const db = await result(request);
      db.onversionchange = () => { db.close(); }; // of a later page, or because the person clears the storage
      return new Book(db);
    } catch {
      throw new Failure("no-contacts", "This browser does not let the page store anything, as in a private window, so it cannot keep contacts.");
    }
  }

  /** Returns the contacts by name. */
  async list(): Promise<Contact[]> {
    const all = await this.#change((store) => result(store.getAll() as IDBRequest<Contact[]>), "readonly");
    return all.sort((a, b) => a.name.localeCompare(b.name));
  }

  async find(id: string): Promise<Contact | undefined> {
    return this.#change((store) => result(store.get(id) as IDBRequest<Contact | undefined>), "readonly");
  }

  /**
   * Stores a contact with the keys on which the two have agreed, in the place of the one with its ID. The keys that have followed from
   * these since stay: their boxes must not begin again. Its name may get a number, because no two contacts have names that look alike.
   */
  async put(id: string, name: string, keys: Keys): Promise<Contact> {
    return this.#change(async (store) => {
      const all = await result(store.getAll() as IDBRequest<Contact[]>), was = all.find((c) => c.id === id);
      const agreed = newest(keys), same = was !== undefined && (was.agreed === agreed || newest(was.keys) === agreed);
      const c = { ...was, id, name: free(name, all.filter((o) => o.id !== id)), seen: Date.now(), ...(!same && { keys, agreed, due: false, sealed: [] }) } as Contact;
      await result(store.put(c));
      return c;
    });
  }

  /** Changes a contact; undefined if it was forgotten, or if edit returns undefined. */
  async update(id: string, edit: (c: Contact) => Contact | undefined): Promise<Contact | undefined> {
    return this.#change(async (store) => {
      const c = await result(store.get(id) as IDBRequest<Contact | undefined>);
      const next = c && edit(c);
      if (next) await result(store.put(next));
      return next;
    });
  }

  /** Gives a contact another name, perhaps with a number. */
  async rename(id: string, name: string): Promise<void> {
    await this.#change(async (store) => {
      const all = await result(store.getAll() as IDBRequest<Contact[]>), c = all.find((c) => c.id === id);
      if (c) await result(store.put({ ...c, name: free(name, all.filter((o) => o.id !== id)) }));
    });
  }

  async forget(id: string): Promise<void> {
    await this.#change((store) => result(store.delete(id)));
  }

  async #change<T>(steps: (store: IDBObjectStore) => Promise<T>, mode: IDBTransactionMode = "readwrite"): Promise<T> {
    const t = this.db.transaction(table, mode, { durability: "strict" });
    const done = new Promise<void>((resolve, reject) => {
      t.oncomplete = () => { resolve(); };
      t.onabort = () => { reject(new Failure("no-contacts", `The browser did not store the contact: ${t.error?.message ?? "it gave no reason"}.`)); };
    });
    const [value] = await Promise.all([steps(t.objectStore(table)), done]);
    return value;
  }

  /** Takes a contact until release. undefined: it was forgotten, or another tab has it, for which it waits until waits aborts, and then throws. */
  async hold(id: string, waits?: AbortSignal): Promise<Held | undefined> {
    return new Promise((resolve, reject) => {
      void navigator.locks.request(`p2pchat contact ${id}`, waits ? { signal: waits } : { ifAvailable: true }, async (lock) => {
        const c = lock ? await this.find(id) : undefined;
        if (!c) {
          resolve(undefined);
          return;
        }
        await new Promise<void>((release) => resolve(new Held(this, c, release)));
      }).catch(reject);
    });
  }
}

/** What a call with a contact stores whenever it stores anything: how far each side has read what the other one has said. */
export type Progress = Pick<Conversation, "id" | "heard" | "undelivered">;

/** A contact that no other tab can call, rename or forget until release. */
export class Held implements StoredKeys, Correspondent {
  /** Of the call; undefined before it begins. */
  progress: Progress | undefined;

  constructor(private readonly book: Book, private readonly contact: Contact, readonly release: () => void) {}

  get id(): string {
    return this.contact.id;
  }

  get name(): string {
    return this.contact.name;
  }

  async keys(): Promise<Keys> {
    const c = await this.book.find(this.id);
    if (!c) throw new Failure("no-contacts", `You have forgotten ${this.name}.`);
    return c.keys;
  }

  async roll(generation: string, contactKey: string): Promise<string | undefined> {
    const c = await this.book.update(this.id, (c) => {
      const keys = roll(c.keys, generation, fromBase64(contactKey)!);
      return keys && { ...c, keys, seen: Date.now() };
    }).catch(() => undefined);
    return c && newest(c.keys);
  }

  /** How far this person had read when the tab took the contact. */
  get heard(): Heard | undefined {
    return this.contact.heard;
  }

  /** What the contact did not have when the tab took the contact; undefined if it had all. */
  get undelivered(): Undelivered | undefined {
    return this.contact.undelivered?.frames.length ? this.contact.undelivered : undefined;
  }

  /** Whether no other tab has gone on with a conversation that this tab was in. */
  isLast({ id, last }: SavedFrames): boolean {
    const u = this.contact.undelivered;
    return !u || (u.id === id && u.last <= last);
  }

  /** Stores the progress of the call, and returns the last seq of it. */
  async store(): Promise<number> {
    const c = await this.#change((c) => c);
    if (!c) throw new Failure("no-contacts", `You have forgotten ${this.name}.`);
    return c.undelivered!.last;
  }

  /** Forgets what was not delivered: it can no longer be. */
  async end(): Promise<void> {
    await this.store(); // its last number stays: a tab that is loaded again later does not use it twice
    this.progress = undefined;
    await this.#change((c) => ({ ...c, ...(c.undelivered && { undelivered: { ...c.undelivered, frames: [], files: [] } }) }));
  }

  /** Stores the other side's box after letters that were read, and whether a receipt is due. */
  async read(generation: string, after: Box, due: boolean): Promise<void> {
    await this.#change((c) => ({ ...c, keys: withBox(c.keys, generation, "theirs", after), due: due || c.due === true }));
  }

  /** Returns how far the letters are, and how many are sealed and may not be at the server. */
  async left(): Promise<Left & { sealed: number }> {
    const c = await this.book.find(this.id);
    return { ...this.#left(c), sealed: c?.sealed?.length ?? 0 };
  }

  /** Begins the count of what is left again: what was left may have expired. */
  async leaveAgain(): Promise<void> {
    await this.#change((c) => ({ ...c, left: { ...this.#left(c), through: 0, until: 0 } }));
  }

  /**
   * Returns the letters for the server: those that are sealed, or else what write makes of the messages after an ID, for each generation
   * of keys, because the other side may have only one of them. due: a receipt is due.
   */
  async seal(write: (through: number, due: boolean) => Draft): Promise<readonly Sealed[]> {
    let sealed: readonly Sealed[] = [];
    await this.#change((c) => {
      sealed = c.sealed ?? [];
      const left = this.#left(c);
      if (sealed.length > 0) return undefined;
      const { text, first, through } = write(left.through, c.due === true);
      if (!text) return undefined;
      let { keys } = c;
      for (const generation of keys.generations.map(id)) {
        const box = boxOf(keys, generation, "ours")!, { after, block } = seal(box, text);
        sealed = [...sealed, { to: address(box), block }];
        keys = withBox(keys, generation, "ours", after);
      }
      return { ...c, keys, sealed, due: false, left: { ...left, through, until: first > left.through ? 0 : left.until } }; // 0: all letters before were read
    });
    return sealed;
  }

  /** Notes that the server has the sealed letters and keeps them for some ms, and returns the ID of the last message in them. */
  async posted(kept: number): Promise<number> {
    const c = await this.#change((c) => {
      const left = this.#left(c);
      return { ...c, sealed: [], left: { ...left, until: left.until || Date.now() + kept } };
    });
    return c?.left?.through ?? 0;
  }

  /** How far the letters of the call's conversation are. With new keys, or in a new conversation, the count begins from nothing. */
  #left(c: Contact | undefined): Left {
    const generation = c ? newest(c.keys) : "", conversation = this.progress?.id ?? "";
    return c?.left?.generation === generation && c.left.conversation === conversation ? c.left : { generation, conversation, through: 0, until: 0 };
  }

  /** Changes the contact, and stores the progress of the call with that. */
  async #change(edit: (c: Contact) => Contact | undefined): Promise<Contact | undefined> {
    return this.book.update(this.id, (c) => {
      const next = edit(c);
      return next && { ...next, ...(this.progress && { heard: this.progress.heard, undelivered: this.progress.undelivered }) };
    });
  }

  shown(id: string): Promise<boolean> {
    return noteShown(this.book, this.id, id);
  }

  async declined(id: string): Promise<void> {
    await this.book.update(this.id, (c) => newest(c.keys) === id ? { ...c, keys: unroll(c.keys, id) } : undefined);
  }
}

/**
 * Notes that the other side of a contact has stored the keys with an ID, and reports whether this side has them. Only then all letters
 * of before are void: a call that is not answered changes nothing for the other side.
 */
async function noteShown(book: Book, contact: string, id: string): Promise<boolean> {
  return (await book.update(contact, (c) => newest(c.keys) !== id ? undefined
    : { ...c, keys: show(c.keys, id), ...(c.keys.generations.length > 1 && { due: false, sealed: [] }) })) !== undefined;
}

/** Stores the other side of a call as a contact. side: of this page, in the call. */
export const keeper = (book: () => Book | Failure, side: Side): Keeper => {
  const opened = () => {
    const b = book();
    if (b instanceof Failure) throw b;
    return b;
  };
  return {
    get able() {
      return book() instanceof Book;
    },
    async store({ key, ours, theirs, name }) {
      const [mine, others] = [fromBase64(ours)!, fromBase64(theirs)!];
      const secret = fromBase64(key)!;
      const keys = side === "offer" ? keep("first", secret, mine, others) : keep("second", secret, others, mine);
      return { name: (await opened().put(keyID(key), name, keys)).name, id: newest(keys) };
    },
    shown: async (key, id) => noteShown(opened(), keyID(key), id),
  };
};

/** Makes a name that none of the others looks like. */
function free(name: string, others: readonly Contact[]): string {
  const proper = properName(name), looks = new Set(others.map((o) => alike(o.name)));
  let next = proper;
  for (let n = 2; looks.has(alike(next)); n++) next = `${Array.from(proper).slice(0, 60).join("")} ${n}`;
  return next;
}

function result<T>(r: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    r.onsuccess = () => { resolve(r.result); };
    r.onerror = () => { reject(r.error ?? new Error("IndexedDB failed")); };
  });
}
