// When messages were written that have had to wait for the other side: chat/waited.go for a browser.

const longWait = 60; // seconds: the time at which a message was written is sent if it has waited longer for the other side
const maxWaited = 32; // times in a hello

/** When the messages up to a seq were written, from the one after the Waited before it. */
export interface Waited {
  readonly through: number;
  readonly at: number; // Unix time in seconds
}

export const unixTime = () => Math.floor(Date.now() / 1000);

/** Returns the list in the value of a member that may be missing; undefined if it is none. */
export function parseWaited(value: unknown = []): readonly Waited[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list = [];
  for (const w of value as ({ through?: unknown; at?: unknown } | null)[]) {
    const { through = 0, at = 0 } = w ?? {};
    if (!Number.isSafeInteger(through) || (through as number) < 0 || !Number.isSafeInteger(at)) return undefined;
    list.push({ through: through as number, at: at as number });
  }
  return list;
}

/** Returns when those of the frames that wait were written. What was written within longWait has one time, that of the first. */
export function waitedOf(frames: readonly { seq: number; at?: number | undefined }[]): { waited?: readonly Waited[] } {
  const list: { through: number; at: number }[] = [], now = unixTime();
  for (const { seq: through, at = 0 } of frames) {
    const last = list.at(-1);
    if (at <= 0 || now - at <= longWait) break; // an older page kept no times
    if (last && at >= last.at && at - last.at <= longWait) last.through = through;
    else if (list.length === maxWaited) break;
    else list.push({ through, at });
  }
  return list.length > 0 ? { waited: list } : {};
}

/** Returns when the message with that seq was written, if it waited. A time that is not before now is not believed. */
export function writtenAt(list: readonly Waited[] = [], seq: number): Date | undefined {
  const at = list.find((w) => seq <= w.through)?.at ?? 0;
  return at > 0 && at < unixTime() ? new Date(at * 1000) : undefined;
}
