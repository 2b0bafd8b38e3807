// Reads what a person may paste in place of a code: the link, or the command that the caller's program shows. The rules are those of
// cmd/p2pchat/invitation.go.

import { lobby } from "./code.ts";

export interface Invitation {
  readonly code: string;
  readonly server: string; // its address, without a slash at the end; empty if the text names none
}

/** Splits a link or a command. Any other text is returned as the code. */
export function invitation(text: string): Invitation {
  const link = /(https?:\/\/[^\s#]+)#(\S+)/i.exec(text);
  if (link) return { code: decoded(link[2]!), server: normal(link[1]!) };
  const command = /(?:^|[\s"'`(<“„‘«])p2pchat (?:answer|call)((?:[\s.,;:!?"'`)>”’“»].*)?)$/s.exec(text);
  if (!command) return { code: text, server: "" };
  const words = firstCommand(command[1]!).replaceAll("'\\''", "'").split(/\s+/), code: string[] = [];
  let server = "", flags = false; // no part of the code follows a flag
  for (const [i, word] of words.entries()) {
    if (word === "--server") server = normal((words[i + 1] ?? "").replace(/^['"]+|[.,;:!?"'`)>”’“»]+$/g, ""));
    flags ||= word.startsWith("--");
    if (!flags) code.push(word);
  }
  return { code: code.join(" ").trim() || lobby, server };
}

/** Returns the text up to where a shell would begin another command, unless quotes around a word hide that. */
const firstCommand = (text: string): string => /^(?:(?<=[ \t'"])(?:'[^']*'|"[^"]*")|[^;&|])*/.exec(text)![0];

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

function normal(address: string): string {
  try {
    const { origin, pathname } = new URL(address);
    return (origin + pathname).replace(/\/+$/, "");
  } catch {
    return address;
  }
}
