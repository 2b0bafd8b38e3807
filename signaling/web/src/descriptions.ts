// The other side's description, and the certificate that it promises: peer/descriptions.go for a browser.

import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { hex } from "./bytes.ts";
import { Failure } from "./failure.ts";
import type { Document } from "./handshake.ts";

export interface RemoteDescription {
  readonly document: Document;
  readonly foreign: boolean; // of a plain WebRTC program
  readonly fingerprint: string; // of its certificate: "algorithm value", in lower case
}

/** Reads a description from the server. It throws a Failure of the kind "garbled" if it is not valid. */
export function readDescription(body: string): RemoteDescription {
  let document: Document, fingerprint: string;
  try {
    document = JSON.parse(body) as Document;
    fingerprint = fingerprintOf(document.sdp);
    if (typeof document.type !== "string") throw invalid();
  } catch (e) {
    throw e instanceof Failure ? e : invalid();
  }
  const foreign = typeof document.p2pchat !== "object" || document.p2pchat === null;
  if (!foreign && document.sdp.includes("a=candidate")) {
    // p2pchat seals its candidates, so that no packet goes to an address before the other side has proven anything.
    throw new Failure("garbled", "The other side's description has candidates that are not sealed.");
  }
  return { document, foreign, fingerprint };
}

/** Whether an offer says that its caller has read no answer to the one before. */
export function saysUnread(body: string): boolean {
  try {
    return readDescription(body).document.p2pchat?.unread === true;
  } catch {
    return false;
  }
}

export const invalid = () => new Failure("garbled", "The other side's description makes no sense.");

function fingerprintOf(sdp: string): string {
  const all = new Set<string>();
  for (const line of sdp.split(/[\r\n]+/)) {
    if (line.startsWith("a=fingerprint:")) all.add(line.slice("a=fingerprint:".length).trim().toLowerCase().replace(/ +/g, " "));
  }
  if (all.size !== 1) throw new Failure("garbled", "The other side's description has to have one fingerprint.");
  return [...all][0]!;
}

/** Compares the certificate of a connection with the promised fingerprint. It throws a Failure of the kind "impostor" if they differ. */
export function checkCertificate(pc: RTCPeerConnection, fingerprint: string) {
  const transport = pc.sctp?.transport as (RTCDtlsTransport & { getRemoteCertificates?(): ArrayBuffer[] }) | undefined;
  const shown = transport?.getRemoteCertificates?.()[0];
  if (!shown) return; // Firefox does not tell it, but has compared it with the description's one fingerprint
  const [algorithm, value] = fingerprint.split(" ");
  const hash = { "sha-256": sha256, "sha-384": sha384, "sha-512": sha512 }[algorithm!];
  if (!hash || hex(hash(new Uint8Array(shown))) !== value!.replaceAll(":", "")) {
    throw new Failure("impostor", "The other side is not who it should be: it does not show the certificate that its description promised.");
  }
}

/** Makes a connection without those ICE servers that the browser refuses. */
export function newConnection(config: RTCConfiguration): RTCPeerConnection {
  const fit = config.iceServers!.filter((s) => {
    try {
      new RTCPeerConnection({ iceServers: [s] }).close();
      return true;
    } catch {
      return false;
    }
  });
  return new RTCPeerConnection({ ...config, iceServers: fit });
}
