// Where a file that arrives is written: to disk, where the browser lets a page, or else
// into a Blob, which it keeps until the person saves it.

/** What a Blob may hold: more may be more than a browser has. */
export const blobLimit = 2 ** 30;

const piece = 4 << 20; // bytes of a Blob's parts: a browser may move each to its disk

/** A file that has arrived. */
export interface Landed {
  readonly content: Blob | undefined; // if the page can read it
  readonly saved: boolean; // where the person wants it
}

export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  /** Settles when the file is in its place, or can be saved. */
  finish(): Promise<Landed>;
  /** Leaves nothing behind. */
  discard(): void;
}

interface Picker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/** Whether files of any size can be written. */
export const streams = (): boolean => typeof (globalThis as Picker).showSaveFilePicker === "function";

/** Asks the person where a file shall be; undefined if they changed their mind. Call it at a click. */
export async function place(name: string): Promise<Sink | undefined> {
  const pick = (globalThis as Picker).showSaveFilePicker;
  if (!pick) return new Memory();
  let handle: FileSystemFileHandle;
  try {
    handle = await pick.call(globalThis, { suggestedName: name });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") return undefined;
    return new Memory(); // the browser has the function, and does not let this page use it
  }
  return new Disk(handle, await handle.createWritable()); // which puts the file into its place when it is closed
}

class Disk implements Sink {
  constructor(private readonly handle: FileSystemFileHandle, private readonly to: FileSystemWritableFileStream) {}

  write(bytes: Uint8Array): Promise<void> {
    return this.to.write(bytes as Uint8Array<ArrayBuffer>);
  }

  async finish(): Promise<Landed> {
    await this.to.close();
    return { content: await this.handle.getFile().catch(() => undefined), saved: true };
  }

  discard() {
    this.to.abort().catch(() => {}); // it may be closed
  }
}

class Memory implements Sink {
  #parts: BlobPart[] = [];
  #recent: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  write(bytes: Uint8Array): Promise<void> {
    this.#recent.push(bytes.slice());
    this.#size += bytes.length;
    if (this.#size >= piece) {
      this.#parts.push(new Blob(this.#recent));
      this.#recent = [];
      this.#size = 0;
    }
    return Promise.resolve();
  }

  finish(): Promise<Landed> {
    return Promise.resolve({ content: new Blob([...this.#parts, ...this.#recent]), saved: false });
  }

  discard() {
    this.#parts = [];
    this.#recent = [];
  }
}
