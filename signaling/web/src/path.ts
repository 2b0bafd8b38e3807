// The path of a connection, and what a person is told of one that has moved: peer/mover.go and chat/screen/texts.go for a browser.

export type PathKind = "host" | "srflx" | "prflx" | "relay"; // from the shortest path of a packet to the longest

/** Why a connection moves, as a side says. */
export const reasons = ["relay", "udp", "address", "gone", "silence", "worse"] as const;
export type Reason = (typeof reasons)[number];

export interface Moved {
  readonly from: PathKind;
  readonly since: number; // when the earlier connection was made, and the later one took its place: of performance.now
  readonly at: number;
  readonly why: Reason | ""; // "" if the side that moved it has not said so
  readonly theirs: boolean; // the other side moved it
  readonly renewed: boolean; // with new credentials of a relay: a person need not know unless the path is another one
}

const certainAfter = 3000; // ms

const pathText: Record<PathKind, string> = { host: "direct", srflx: "direct, through NAT", prflx: "direct, through NAT", relay: "through a relay" };

/** Names a path, for the line above the conversation. */
export const pathName = (path: PathKind): string => pathText[path].replace(/^./, (c) => c.toUpperCase());

const pathWay = (path: PathKind): string => pathText[path].replace("direct", "directly");

/** Whether the kind of the new path is certain: a browser calls a candidate prflx until it hears of it from the other side, too. */
export const isCertain = (m: Moved, to: PathKind): boolean => to !== "prflx" || performance.now() - m.at > certainAfter;

/** Tells that the connection to name has moved, if a person should know. */
export function noteMove(m: Moved, to: PathKind, name: string, note: (text: string) => void) {
  if (!m.renewed || to !== m.from) note(movedText(m, to, name));
}

/** Says that the connection to name has moved, and why. */
function movedText(m: Moved, to: PathKind, name: string): string {
  const way = pathWay(to), before = pathWay(m.from), reason = m.why && `: ${because(m.why, m.theirs, name)}`;
  if (way !== before) return `The connection now goes ${way} (before: ${before}, for ${Math.round((m.at - m.since) / 1000)} s)${reason}.`;
  if (m.why === "silence") return `The connection is back after a break, and goes ${way}${reason}.`;
  return `The connection has moved to another network, and still goes ${way}${reason}.`;
}

function because(why: Reason, theirs: boolean, name: string): string {
  const machine = theirs ? `${name}’s machine` : "this machine", network = theirs ? `${name}’s network` : "this network";
  return {
    relay: "another try to leave the relay succeeded",
    udp: `${network} lets UDP through now`,
    address: `${machine} has a better address`,
    gone: `${machine} lost its address`,
    silence: `for a moment, nothing arrived from ${name}`,
    worse: "the earlier path had become slow, or lost packets",
  }[why];
}
