// What the page is told of a conversation: chat/event.go for a browser.

import type { FrameKind } from "./frame.ts";
import type { KeepNews } from "./keep.ts";
import type { PathKind } from "./path.ts";
import type { Pipe } from "./pipe.ts";

export interface Reader {
  /** The other side's program asks its person whether to answer. */
  ringing(): void;
  connected(pipe: Pipe, name: string, again: boolean): void;
  path(path: PathKind, rtt: number | undefined): void;
  /** continues: the text is more of the message before. written: when, if it had to wait. */
  message(id: number, from: string, text: string, continues: boolean, written?: Date): void;
  delivered(id: number): void;
  disconnected(why: string): void;
  inputEnded(): void;
  renamed(was: string, now: string): void;
  /** reply: this side said goodbye first. closed: the other side closed its page. */
  left(reply: boolean, closed: boolean, overheard?: boolean): void;
  /** The two are nearer to keeping each other, or that has failed. */
  keeping(news: KeepNews): void;
  /** A frame about a file, of the other side's conversation `from`. */
  file(frame: FrameKind, seq: number, body: Record<string, unknown>, from: string): void;
}
