"""A plain client of the signaling API on aiortc.

    python3 aiortc_client.py call|answer SERVER trickle|whole|deaf

See w3c.mjs. aiortc gathers all its candidates before it has a description: to trickle, it takes them out of that.
"""

import asyncio
import json
import sys
import urllib.error
import urllib.request

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

role, server, manner = sys.argv[1:]
mine, theirs = ("offer", "answer") if role == "call" else ("answer", "offer")
heard = 0


def request(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Prefer": "wait=25"}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{server}/{path}", data, headers)) as response:
                return json.load(response)
        except urllib.error.HTTPError as e:
            if e.code != 404:
                raise SystemExit(f"{path}: {e.code} {e.read().decode()}")
            if "candidate" in path:
                return None


async def http(*args):
    return await asyncio.get_running_loop().run_in_executor(None, request, *args)


async def describe(pc, description):
    await pc.setLocalDescription(description)
    lines, candidates = [], []
    for line in pc.localDescription.sdp.splitlines(keepends=True):
        if manner == "trickle" and line.startswith(("a=candidate:", "a=end-of-candidates")):
            candidates.append(line)
        else:
            lines.append(line)
    await http(mine, {"type": mine, "sdp": "".join(lines)})
    for line in candidates:
        if line.startswith("a=candidate:"):
            await http(f"{mine}-candidate", {"candidate": line[2:].strip(), "sdpMid": "0", "sdpMLineIndex": 0})


async def main():
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    def use(channel):
        def received(text):
            global heard
            heard += 1
            print(text, flush=True)

        async def talk():
            print("open", file=sys.stderr, flush=True)
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                channel.send(line.rstrip("\n"))
            channel.close()

        channel.on("message", received)
        channel.on("close", over.set)
        if channel.readyState == "open":
            asyncio.ensure_future(talk())
        else:
            channel.on("open", lambda: asyncio.ensure_future(talk()))

    @pc.on("connectionstatechange")
    def changed():
        print("connection:", pc.connectionState, file=sys.stderr, flush=True)
        if pc.connectionState in ("failed", "closed"):
            over.set()

    if role == "call":
        use(pc.createDataChannel("data"))
        await describe(pc, await pc.createOffer())
    else:
        pc.on("datachannel", use)
    other = await http(theirs)
    await pc.setRemoteDescription(RTCSessionDescription(sdp=other["sdp"], type=other["type"]))
    if role == "answer":
        await describe(pc, await pc.createAnswer())
    after = 0
    while manner != "deaf" and pc.connectionState not in ("connected", "failed"):
        found = await http(f"{theirs}-candidates?after={after}")
        if found is None:
            break
        for c in found:
            candidate = candidate_from_sdp(c["candidate"].split(":", 1)[1])
            candidate.sdpMid, candidate.sdpMLineIndex = c["sdpMid"], c["sdpMLineIndex"]
            await pc.addIceCandidate(candidate)
        after += len(found)
    await over.wait()
    await pc.close()
    import os

    os._exit(0 if heard else 1)  # a thread still reads the input


asyncio.run(main())
