// Where the page writes a file that arrives: to disk if the browser lets it, or else into a Blob, which the browser keeps until the
// person saves it.

/** The most bytes in a Blob: a browser may have no memory for more. */
export const blobLimit = 2 ** 30;

const partSize = 4 << 20; // bytes in each part of a Blob: a browser may move parts to its disk

/** A file that has arrived. */
export interface Arrived {
  readonly content: Blob | undefined; // if the page can read it
  readonly saved: boolean; // to the place that the person chose
}

export interface Download {
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when the file is saved, or can be. */
  commit(): Promise<Arrived>;
  /** Removes what was written. */
  discard(): void;
}

interface Picker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/** Reports whether the page can write files of any size. */
export const writesToDisk = (): boolean => typeof (globalThis as Picker).showSaveFilePicker === "function";

/** Returns a download into memory, for which the person is not asked. */
export const createInMemory = (): Download => new Memory();

/** Asks the person where to save a file; undefined if they cancel. Browsers allow it only in the handler of a click. */
export async function create(name: string): Promise<Download | undefined> {
  const pick = (globalThis as Picker).showSaveFilePicker;
  if (!pick) return new Memory();
  let handle: FileSystemFileHandle;
  try {
    handle = await pick.call(globalThis, { suggestedName: name });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") return undefined;
    return new Memory(); // the browser does not let this page use the function
  }
  return new Disk(handle, await handle.createWritable());
}

class Disk implements Download {
  readonly #handle: FileSystemFileHandle;
  readonly #to: FileSystemWritableFileStream;
  constructor(handle: FileSystemFileHandle, to: FileSystemWritableFileStream) {
    this.#handle = handle;
    this.#to = to;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#to.write(bytes as Uint8Array<ArrayBuffer>);
  }

  async commit(): Promise<Arrived> {
    await this.#to.close(); // which moves the file into its place
    return { content: await this.#handle.getFile().catch(() => undefined), saved: true };
  }

  discard() {
    this.#to.abort().catch(() => {}); // commit may have closed it
  }
}

class Memory implements Download {
  #parts: BlobPart[] = [];
  #recent: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  write(bytes: Uint8Array): Promise<void> {
    this.#recent.push(bytes.slice());
    this.#size += bytes.length;
    if (this.#size >= partSize) {
      this.#parts.push(new Blob(this.#recent));
      this.#recent = [];
      this.#size = 0;
    }
    return Promise.resolve();
  }

  commit(): Promise<Arrived> {
    return Promise.resolve({ content: new Blob([...this.#parts, ...this.#recent]), saved: false });
  }

  discard() {
    this.#parts = [];
    this.#recent = [];
  }
}
