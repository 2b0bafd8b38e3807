// A plain client of the signaling API for whatever has the browsers' RTCPeerConnection: browsers, @roamhq/wrtc,
// werift. It knows the diagram of docs and openapi.yaml, and nothing of p2pchat: no rooms, no tokens, text on the
// channel.
//
//   node w3c.mjs PACKAGE call|answer SERVER trickle|whole|deaf
//
// It prints each message that it receives as a line, and sends each line of its input. "whole" waits for all its
// candidates and sends them in its description; "deaf" does, too, and never asks for the other side's.

export async function meet(RTCPeerConnection, { role, server, manner, iceServers = [] }, { opened, received, closed, note }) {
  const [mine, theirs] = role === "call" ? ["offer", "answer"] : ["answer", "offer"];
  const pc = new RTCPeerConnection({ iceServers });
  let over = false;
  const end = () => {
    if (over) return;
    over = true;
    pc.close();
    closed();
  };

  const use = (channel) => {
    channel.onmessage = ({ data }) => received(typeof data === "string" ? data : `binary: ${data}`);
    channel.onclose = end;
    const hand = () => opened({ say: (text) => channel.send(text), leave: () => channel.close() });
    if (channel.readyState === "open") hand();
    else channel.onopen = hand;
  };
  if (role === "call") use(pc.createDataChannel("data"));
  else pc.ondatachannel = ({ channel }) => use(channel);
  pc.onconnectionstatechange = () => {
    note(`connection: ${pc.connectionState}`);
    if (pc.connectionState === "failed") end();
  };

  const post = async (path, body) => {
    const response = await fetch(`${server}/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    // Once it is connected, p2pchat closes the room.
    if (!response.ok && !(response.status === 404 && path.endsWith("candidate"))) throw new Error(`POST /${path}: ${response.status} ${await response.text()}`);
  };
  const get = async (path) => {
    for (;;) {
      const response = await fetch(`${server}/${path}`, { headers: { Prefer: "wait=25" } });
      if (response.ok) return response.json();
      if (response.status !== 404) throw new Error(`GET /${path}: ${response.status} ${await response.text()}`);
      if (over || path.includes("candidates")) return null;
    }
  };

  const gathered = new Promise((resolve) => {
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) resolve();
      if (candidate && manner === "trickle") post(`${mine}-candidate`, candidate).catch((e) => note(`${e}`));
    };
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && resolve();
  });

  const describe = async (description) => {
    await pc.setLocalDescription(description);
    if (manner !== "trickle") {
      if (pc.iceGatheringState !== "complete") await gathered;
      description = pc.localDescription;
    }
    await post(mine, { type: description.type, sdp: description.sdp });
  };
  if (role === "call") {
    await describe(await pc.createOffer());
    await pc.setRemoteDescription(await get(theirs));
  } else {
    await pc.setRemoteDescription(await get(theirs));
    await describe(await pc.createAnswer());
  }
  for (let after = 0; manner !== "deaf" && !over && pc.connectionState !== "connected"; ) {
    const list = await get(`${theirs}-candidates?after=${after}`);
    if (!list) break;
    for (const candidate of list) await pc.addIceCandidate(candidate).catch((e) => note(`candidate ${JSON.stringify(candidate)}: ${e}`));
    after += list.length;
  }
}

if (globalThis.process?.argv[1]?.endsWith("w3c.mjs")) {
  const [, , name, role, server, manner] = process.argv;
  const library = await import(name);
  const { createInterface } = await import("node:readline");
  let heard = 0;
  await meet(library.RTCPeerConnection ?? library.default.RTCPeerConnection, { role, server, manner }, {
    opened: ({ say, leave }) => {
      console.error("open");
      const lines = createInterface({ input: process.stdin });
      lines.on("line", say);
      lines.on("close", leave);
    },
    received: (text) => (heard++, console.log(text)),
    closed: () => process.exit(heard ? 0 : 1),
    note: (text) => console.error(text),
  });
}
