// A plain client of the signaling API on libdatachannel, by node-datachannel's own API.
//
//   node libdatachannel.mjs call|answer SERVER trickle|whole|deaf
//
// See w3c.mjs.

import { createInterface } from "node:readline";
import { PeerConnection } from "node-datachannel";

const [, , role, server, manner] = process.argv;
const [mine, theirs] = role === "call" ? ["offer", "answer"] : ["answer", "offer"];
const pc = new PeerConnection("stranger", { iceServers: [] });
let heard = 0;
// Where checks come early and the machine is busy, libdatachannel connects while it applies an answer, before it knows the
// fingerprint, and gives up. So a caller's candidates leave once the answer is applied.
let apply;
const answered = role === "call" ? new Promise((resolve) => (apply = resolve)) : Promise.resolve();

function use(channel) {
  channel.onMessage((text) => (heard++, console.log(`${text}`)));
  // It is closed here at once: the other side would hear nothing of it if the process ended now, and nothing tells when it has.
  channel.onClosed(() => setTimeout(() => process.exit(heard ? 0 : 1), 300));
  const opened = () => {
    console.error("open");
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (text) => channel.sendMessage(text));
    lines.on("close", () => channel.close());
  };
  if (channel.isOpen()) opened();
  else channel.onOpen(opened);
}

async function post(path, body) {
  const response = await fetch(`${server}/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok && !(response.status === 404 && path.endsWith("candidate"))) throw new Error(`POST /${path}: ${response.status} ${await response.text()}`);
}

async function get(path) {
  for (;;) {
    const response = await fetch(`${server}/${path}`, { headers: { Prefer: "wait=25" } });
    if (response.ok) return response.json();
    if (response.status !== 404 || path.includes("candidates")) return null;
  }
}

pc.onStateChange((state) => {
  console.error(`connection: ${state}`);
  if (state === "failed") process.exit(1);
});
if (manner === "trickle") {
  pc.onLocalDescription((sdp, type) => post(mine, { type, sdp }));
  pc.onLocalCandidate((candidate, sdpMid) => answered.then(() => post(`${mine}-candidate`, { candidate, sdpMid })));
} else {
  pc.onGatheringStateChange((state) => state === "complete" && post(mine, pc.localDescription()));
}
if (role === "call") use(pc.createDataChannel("data"));
else pc.onDataChannel(use);
const { sdp, type } = await get(theirs);
pc.setRemoteDescription(sdp, type);
apply?.();
for (let after = 0; manner !== "deaf" && pc.state() !== "connected"; ) {
  const list = await get(`${theirs}-candidates?after=${after}`);
  if (!list) break;
  for (const { candidate, sdpMid } of list) pc.addRemoteCandidate(candidate, sdpMid);
  after += list.length;
}
