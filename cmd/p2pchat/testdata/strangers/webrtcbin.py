"""A plain client of the signaling API on GStreamer's webrtcbin.

    python3 webrtcbin.py call|answer SERVER trickle|whole|deaf

See w3c.mjs.
"""

import json
import os
import sys
import threading
import urllib.error
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

role, server, manner = sys.argv[1:]
mine, theirs = ("offer", "answer") if role == "call" else ("answer", "offer")
heard = 0
kept = []  # what GStreamer goes on using, or Python would free it


def request(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Prefer": "wait=25"}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{server}/{path}", data, headers)) as response:
                return json.load(response)
        except urllib.error.HTTPError as e:
            if e.code != 404:
                leave(f"{path}: {e.code} {e.read().decode()}", 1)
            if "candidate" in path:
                return None


def leave(why, code):
    print(why, file=sys.stderr, flush=True)
    os._exit(code)


def use(channel):
    kept.append(channel)

    def received(_, text):
        global heard
        heard += 1
        print(text, flush=True)

    def talk():
        for line in sys.stdin:
            channel.emit("send-string", line.rstrip("\n"))
        channel.emit("close")

    def opened(*_):
        print("open", file=sys.stderr, flush=True)
        threading.Thread(target=talk, daemon=True).start()

    channel.connect("on-message-string", received)
    channel.connect("on-close", lambda _: leave("closed", 0 if heard else 1))
    if channel.get_property("ready-state") == GstWebRTC.WebRTCDataChannelState.OPEN:
        opened()
    else:
        channel.connect("on-open", opened)


Gst.init(None)
pipeline = Gst.Pipeline.new("stranger")
pc = Gst.ElementFactory.make("webrtcbin", "pc")
pc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
pipeline.add(pc)
posted = threading.Event()


def do(signal, *args):
    """Emits a signal that makes a promise, and waits for that."""
    promise = Gst.Promise.new()
    pc.emit(signal, *args, promise)
    promise.wait()
    kept.append((promise, promise.get_reply()))
    return kept[-1][1]


def gathered(_, line, candidate):
    if manner == "trickle" and candidate:
        body = {"candidate": candidate, "sdpMLineIndex": line}
        threading.Thread(target=lambda: (posted.wait(), request(f"{mine}-candidate", body)), daemon=True).start()


def state(*_):
    now = pc.get_property("connection-state")
    print("connection:", now.value_nick, file=sys.stderr, flush=True)
    if now == GstWebRTC.WebRTCPeerConnectionState.FAILED:
        leave("failed", 1)


def take():
    other = request(theirs)
    _, sdp = GstSdp.SDPMessage.new_from_text(other["sdp"])
    kept.append(sdp)
    kind = GstWebRTC.WebRTCSDPType.ANSWER if theirs == "answer" else GstWebRTC.WebRTCSDPType.OFFER
    kept.append(GstWebRTC.WebRTCSessionDescription.new(kind, sdp))
    do("set-remote-description", kept[-1])


def describe():
    made = do(f"create-{mine}", None).get_value(mine)
    complete = threading.Event()
    pc.connect("notify::ice-gathering-state", lambda *_: pc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE and complete.set())
    do("set-local-description", made)
    if manner != "trickle":
        complete.wait()
        made = pc.get_property("local-description")
    request(mine, {"type": mine, "sdp": made.sdp.as_text()})
    posted.set()


def main():
    if role == "call":
        use(pc.emit("create-data-channel", "data", None))
        describe()
        take()
    else:
        take()
        describe()
    after = 0
    while manner != "deaf" and pc.get_property("connection-state") != GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
        found = request(f"{theirs}-candidates?after={after}")
        if found is None:
            break
        for c in found:
            pc.emit("add-ice-candidate", c["sdpMLineIndex"], c["candidate"])
        after += len(found)


pc.connect("on-ice-candidate", gathered)
pc.connect("on-data-channel", lambda _, channel: use(channel))
pc.connect("notify::connection-state", state)
pipeline.set_state(Gst.State.PLAYING)
threading.Thread(target=main, daemon=True).start()
GLib.MainLoop().run()
