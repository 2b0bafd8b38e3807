// Selects the STUN and TURN servers from the signaling server's list: peer/iceservers.go for a browser. A malicious server could
// name any host, and each URL makes the browser send packets there.

const maxServers = 4;
const maxUrls = 8; // of all servers together

export interface Chosen {
  readonly used: RTCIceServer[];
  readonly elsewhere: string[]; // URLs on other hosts than the server's
}

/** Selects the servers on the page's own host, or with anywhere on any host. */
export function choose(list: RTCIceServer[], hostname: string, anywhere: boolean): Chosen {
  const own: RTCIceServer[] = [], elsewhere: string[] = [];
  for (const s of list) {
    const urls = [(s as RTCIceServer | null)?.urls].flat().filter((u): u is string => typeof u === "string");
    const here = urls.filter((u) => anywhere || sameHost(hostOf(u), normal(hostname)));
    elsewhere.push(...urls.filter((u) => !here.includes(u)));
    if (here.length > 0) own.push({ ...s, urls: here });
  }
  let left = maxUrls;
  const used = own.slice(0, maxServers).map((s) => {
    const urls = (s.urls as string[]).slice(0, left);
    left -= urls.length;
    return { ...s, urls };
  });
  return { used: used.filter((s) => s.urls.length > 0), elsewhere };
}

/** Returns the servers without their TURN URLs. */
export function withoutTURN(all: readonly RTCIceServer[]): RTCIceServer[] {
  return all.map((s) => ({ ...s, urls: [s.urls].flat().filter((u) => /^stuns?:/i.test(u)) })).filter((s) => s.urls.length > 0);
}

/** Returns when the first credentials end, in ms since 1970 on the server's clock; Infinity if no user name has such a time. */
export const endOf = (servers: readonly RTCIceServer[]): number => Math.min(...servers.map((s) => Number(/^(\d{10})(:|$)/.exec(s.username ?? "")?.[1] ?? Infinity) * 1000));

/** Returns the host of stun:host:port or turn:host:port?transport=udp; an IPv6 address is in brackets. */
const hostOf = (url: string): string => normal(/^[a-z]+:(\[[^\]]*\]|[^:?]*)/i.exec(url)?.[1] ?? "");

const normal = (host: string) => host.toLowerCase().replace(/\.$/, "").replace(/^\[(.*)\]$/, "$1");

/** Reports whether two hosts may be the same. All private addresses count as one host: a server may have several. */
const sameHost = (a: string, b: string): boolean => a === b || (isPrivate(a) && isPrivate(b));

const isPrivate = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") ||
  /^(127|10)(\.\d+){3}$|^192\.168(\.\d+){2}$|^172\.(1[6-9]|2\d|3[01])(\.\d+){2}$|^169\.254(\.\d+){2}$|^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])(\.\d+){2}$/.test(host) ||
  /^::1$|^f[cd][0-9a-f]{2}:|^fe[89ab][0-9a-f]:/.test(host);
