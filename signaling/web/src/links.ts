// Web addresses in messages. A link shows where it leads if its text says otherwise.

import { el } from "./dom.ts";

const maxLinks = 100; // of a message
const maxLength = 2048; // characters of an address

/** Splits text, which `visible` has made harmless, into plain text and links that read the same. */
export function linked(text: string): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let from = 0, links = 0;
  for (const found of text.matchAll(/(?<![\p{L}\p{N}_])https?:\/\/[^\s<>"“”«»\p{C}]+/giu)) {
    const a = links < maxLinks ? link(trimmed(found[0])) : undefined;
    if (!a) continue;
    links++;
    parts.push(text.slice(from, found.index), a);
    from = found.index + a.textContent.length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** Removes the punctuation of the sentence around an address. */
function trimmed(found: string): string {
  if (found.length > maxLength) return "";
  const count = (text: string, sign: string) => text.split(sign).length;
  let address = found;
  for (;;) {
    const last = address.at(-1)!, open = { ")": "(", "]": "[", "}": "{" }[last];
    if (!/[.,;:!?'’*…)\]}]/u.test(last) || (open && count(address, open) >= count(address, last))) return address;
    address = address.slice(0, -1);
  }
}

function link(address: string): HTMLAnchorElement | undefined {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return undefined;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined;
  const a = el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", textContent: address });
  const shown = /^https?:\/\/([^/?#]*)/i.exec(address)![1]!.toLowerCase();
  if (shown !== url.host) a.dataset.host = url.host; // a name in another script, or user@host: page.css shows it
  return a;
}
