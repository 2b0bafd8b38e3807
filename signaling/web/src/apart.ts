// Further connections, which the other side opens over channels "apart" of the Pipe: peer/apart.go for a browser. Both descriptions, with
// all candidates, and the certificate's fingerprint in them come over the Pipe: so they are as verified as it is.

import { CandidateLimit } from "./candidates.ts";
import { newConnection } from "./descriptions.ts";
import { json, parse } from "./frame.ts";
import { withoutTURN } from "./iceservers.ts";
import { Channel, type Pipe } from "./pipe.ts";

const gatherLimit = 1000; // ms: a STUN server that does not answer may take longer

/** Takes the connection that the other side opens over control, and calls opened with its channel. It ends with either of the two. */
export async function acceptApart(pipe: Pipe, control: Channel, opened: (stripe: Channel) => void): Promise<void> {
  const end = () => { control.close(); };
  try {
    const pc = newConnection({ iceServers: withoutTURN(pipe.servers) });
    void control.ended.then(() => { pc.close(); });
    pc.onconnectionstatechange = () => { if (["disconnected", "failed"].includes(pc.connectionState)) end(); };
    pc.ondatachannel = ({ channel }) => {
      pc.ondatachannel = null;
      const stripe = new Channel(channel);
      void stripe.ended.then(end);
      opened(stripe);
    };
    const gathered = new Promise<void>((resolve) => {
      pc.onicecandidate = ({ candidate }) => { if (!candidate) resolve(); };
      setTimeout(resolve, gatherLimit);
    });
    const offer = parse(await new Promise<Uint8Array>((resolve) => { control.listen(resolve as (m: unknown) => void); }));
    // The other side names no address that the Pipe does not reach. Where the browser does not tell that address (Firefox; Chromium for one
    // that no candidate has named), all count: the first connection would have taken them, too.
    const ice = pipe.pc.sctp?.transport.iceTransport as Partial<RTCIceTransport> | undefined, at = ice?.getSelectedCandidatePair?.()?.remote.address ?? "";
    const sdp = new CandidateLimit(pipe.met.verified).bounded(offer!.sdp as string, at.replace(/[[\]]/g, "")); // Chromium has brackets around IPv6
    await pc.setRemoteDescription({ type: "offer", sdp });
    await pc.setLocalDescription();
    await gathered;
    control.send(json(pc.localDescription));
  } catch { // the offer is none, the browser makes no more connections, or this one has ended
    end();
  }
}
