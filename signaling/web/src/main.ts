// The page: it starts or answers a call, and holds the conversation.

import * as codes from "./code.ts";
import { backIn, Conversation, reason } from "./conversation.ts";
import { byId, discard, el, show } from "./dom.ts";
import { dropping, FileItems } from "./files.ts";
import { Failure, type Kind } from "./failure.ts";
import { choose } from "./iceservers.ts";
import { keep, longest, messages, take, type KeptCall } from "./kept.ts";
import { invitation } from "./invitation.ts";
import { properName } from "./name.ts";
import { Session } from "./session.ts";
import { Store, type Side } from "./store.ts";
import { notify, Talking } from "./talk.ts";
import { copyButtons, Waiting } from "./wait.ts";

const { hostname } = location;
const base = new URL(".", location.href).href.replace(/\/$/, ""); // of the server: it may be behind a path
const onLoopback = hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
const inLobby: codes.Code = { room: codes.lobby, secret: "" };

const startTitle = byId("start-title");
const codeInput = byId<HTMLInputElement>("code"), codeError = byId("code-error"), startError = byId("start-error");
const nameInput = byId<HTMLInputElement>("name"), keyInput = byId<HTMLInputElement>("key"), ownCode = byId<HTMLInputElement>("own-code");
const newName = byId<HTMLInputElement>("new-name"), relayOnly = byId<HTMLInputElement>("relay-only"), relayOnlyField = byId("relay-only-field");
const anywhere = byId<HTMLInputElement>("anywhere"), anywhereField = byId("anywhere-field");
const textBox = byId<HTMLTextAreaElement>("text");

/** The current call. */
interface Call {
  readonly side: Side;
  readonly code: codes.Code | undefined;
  readonly store: Store;
  readonly session: Session;
  readonly relayOnly: boolean;
  readonly anywhere: boolean;
  readonly conversation: Conversation;
  readonly view: Talking;
  readonly files: FileItems;
  readonly life: AbortController;
  met: boolean;
}
let call: Call | undefined;

/** Meets the other side, talks, and shows how it ended. kept: a call that an earlier page was in. */
async function hold(side: Side, code: codes.Code | undefined, kept?: KeptCall): Promise<void> {
  const view = new Talking();
  const name = kept?.conversation.name ?? ownName();
  newName.value = kept ? name : nameInput.value;
  const store = new Store(base);
  store.accessKey = kept?.accessKey ?? keyInput.value;
  const waiting = new Waiting(side, base, base === "http://localhost:3000", onLoopback, code);
  const hidden = kept?.relayOnly ?? (relayOnly.checked && relayOnly.checkVisibility());
  const others = kept?.anywhere ?? (anywhere.checked && anywhere.checkVisibility());
  const session = new Session(store, side, code, hidden, waiting, others);
  const conversation = new Conversation(name, view, kept?.conversation);
  const files = new FileItems(conversation, view);
  view.onFile = (...args) => files.files.hear(...args);
  const mine: Call = { side, code, store, session, relayOnly: hidden, anywhere: others, conversation, view, files, life: new AbortController(), met: kept !== undefined };
  call = mine;
  store.onTrouble = (why) => (mine.met ? view : waiting).trouble(why);
  let peer = kept?.conversation.peer.conversation ?? "";
  view.onConnected = (pipe) => {
    mine.met = true;
    files.files.connected(pipe, peer === "" || peer === conversation.peer);
    peer = conversation.peer;
  };
  startError.hidden = true;
  if (kept) {
    session.resume(kept.session);
    view.compared = kept.compared;
    view.resumed(kept.session.last.met, kept.conversation.peer.name, conversation.waiting, kept.files);
  } else {
    show("wait", byId("wait-title"));
  }
  let failure: Failure | undefined;
  try {
    await conversation.run((signal) => session.pipe(signal), mine.life.signal);
  } catch (e) {
    failure = reason(e);
  }
  call = undefined;
  mine.life.abort();
  const broken = files.files.abandon("the conversation has ended");
  document.title = "p2pchat";
  if (mine.met) ended(mine, broken, failure);
  else if (failure && !conversation.parting) refused(side, failure);
  else show("start", focusNext);
  focusNext = startTitle;
}

let focusNext: HTMLElement = startTitle; // where the focus goes when a person gives up waiting

/** Says why the two did not meet, where the person can do something about it. */
function refused(side: Side, f: Failure) {
  const text = `${f.message} ${hints[f.kind] ?? ""}`.trim();
  let focus: HTMLElement = side === "offer" ? startTitle : codeInput;
  if (f.kind === "no-relay") {
    relayOnly.checked = false;
    relayOnlyField.hidden = true;
  }
  if (side === "answer") codeError.textContent = text; // by what was typed: on a phone the top may be out of sight
  else startError.textContent = text;
  startError.hidden = side === "answer";
  if (f.kind === "access-key") {
    startError.textContent = keyInput.value ? "That is not this server’s access key." : "To start a call on this server, type its access key. To answer one, you need no key.";
    byId("key-field").hidden = false;
    focus = keyInput;
  }
  show("start", focus);
}

const hints: Partial<Record<Kind, string>> = {
  "wrong-code": "Ask the caller to read the code out again.",
  burnt: "Start a new call, and send the new code by another route: someone may be guessing.",
  impostor: "Ask the caller for a new code: someone may be guessing.",
  taken: "If the caller did not hang up, they are talking to another person who has the code: tell them.",
  occupied: "Choose another code, or answer that call.",
  "no-path": "You may need a relay: the operator of the server can start it with --relay.",
  "no-relay": "Start again to connect directly, which shows your address to the other person.",
  replaced: "One of you has to answer instead.",
  silent: "Both sides need the same version of p2pchat.",
};

const undelivered = (n: number) =>
  n === 0 ? "All your messages were delivered." : n === 1 ? "One message was not delivered. They never saw it." : `${n} messages were not delivered. They never saw them.`;

function ended(c: Call, broken: number, f: Failure | undefined) {
  c.view.over([
    f ? `The call ended: ${f.message}` : c.view.gone || "You have left.",
    f && hints[f.kind],
    undelivered(c.conversation.undelivered),
    broken === 0 ? "" : broken === 1 ? "One file was not transferred." : `${broken} files were not transferred.`,
  ].filter(Boolean).join(" "));
}

// The start.

/** Returns this side’s name, and keeps it for the next call. */
function ownName(): string {
  remember("name", nameInput.value);
  return properName(nameInput.value || "guest");
}

function remember(what: string, value: string) {
  try {
    localStorage.setItem(what, value);
  } catch { /* the person types it again */ }
}

function recall(what: string): string {
  try {
    return localStorage.getItem(what) ?? "";
  } catch {
    return "";
  }
}

let doubted = ""; // the code that the person was asked about

/** Answers with what was typed, or comes with a link. */
function answer(text: string) {
  const invited = invitation(text);
  codeError.textContent = "";
  if (invited.server !== "" && invited.server !== base) {
    codeError.textContent = `That call is on another server. To answer it, open ${invited.server}/`;
    codeInput.focus();
    return;
  }
  let code: codes.Code;
  try {
    code = text.trim() === "" && onLoopback ? inLobby : codes.parse(invited.code);
  } catch (e) {
    codeError.textContent = (e as Error).message;
    codeInput.focus();
    return;
  }
  const odd = codes.unlisted(code);
  if (odd && doubted !== text) { // before it costs a try
    doubted = text;
    codeError.textContent = `“${odd}” is not a code word. If it is right, press Answer again.`;
    codeInput.focus();
    return;
  }
  void hold("answer", code);
}

byId("answer").onsubmit = (e) => {
  e.preventDefault();
  answer(codeInput.value);
};

byId("call").onsubmit = (e) => {
  e.preventDefault();
  let code: codes.Code | undefined;
  try {
    if (ownCode.value.trim()) code = codes.parse(ownCode.value);
    else if (onLoopback && !byId<HTMLInputElement>("new-code").checked) code = inLobby;
  } catch (e) {
    startError.textContent = (e as Error).message;
    startError.hidden = false;
    ownCode.focus();
    return;
  }
  void hold("offer", code);
};

codeInput.oninput = () => {
  codeError.textContent = "";
  byId("codes").replaceChildren(...codes.complete(codeInput.value).map((value) => el("option", { value })));
};

/** Answers the code in the address, and takes it out of there: it is good for one call. */
function followLink() {
  const fragment = location.hash.slice(1);
  if (!fragment) return;
  history.replaceState(null, "", location.pathname);
  if (call) {
    const why = "To answer another call, leave this one first.";
    if (call.met) call.view.note(why);
    else byId("wait-notes").append(el("li", { textContent: why }));
    return;
  }
  let text = fragment;
  try {
    text = decodeURIComponent(fragment);
  } catch { /* then as it stands */ }
  codeInput.value = text;
  answer(text);
}

// The conversation.

function say() {
  const text = textBox.value, error = byId("text-error");
  error.textContent = "";
  if (!call || text.trim() === "") return;
  try {
    call.view.said(call.conversation.say(text), text);
    textBox.value = "";
  } catch (e) {
    error.textContent = e instanceof RangeError ? e.message : String(e);
  }
  textBox.focus();
}

byId("composer").onsubmit = (e) => {
  e.preventDefault();
  say();
};
let shift = false;
textBox.onkeydown = (e) => { shift = e.shiftKey; };
textBox.addEventListener("beforeinput", (e) => { // a phone's Enter is no key
  if (e.inputType !== "insertLineBreak" || shift || e.isComposing) return;
  e.preventDefault();
  say();
});
function send(list: Iterable<File>) {
  if (call) byId("text-error").textContent = call.files.send(list);
  textBox.focus();
}

const fileInput = byId<HTMLInputElement>("file");
byId("attach").onclick = () => { fileInput.click(); };
fileInput.onchange = () => {
  send([...(fileInput.files ?? [])]);
  fileInput.value = "";
};
const noFiles = () => !call?.met ? "You can send files once the other person is there." : byId("attach").hidden ? "The other side’s program takes no files." : "";
dropping(textBox, noFiles, send, (why) => {
  if (call?.met) byId("text-error").textContent = why;
  else if (call) byId("wait-notes").append(el("li", { textContent: why }));
  else {
    startError.textContent = why;
    startError.hidden = false;
  }
});
if (!CSS.supports("field-sizing", "content")) textBox.oninput = () => { textBox.rows = Math.min(6, textBox.value.split("\n").length); };
byId("leave").onclick = () => { call?.conversation.leave(); };
byId("cancel").onclick = () => {
  call?.conversation.leave();
  call?.life.abort();
};
byId("other-code").onclick = () => {
  focusNext = codeInput;
  byId("cancel").click();
  codeInput.select();
};
byId("again").onclick = () => {
  discard(byId("log"), "content"); // so that the next person at this screen cannot read it
  show("start", startTitle);
};
byId("rename").onsubmit = (e) => {
  e.preventDefault();
  nameInput.value = newName.value;
  const name = ownName();
  call?.conversation.rename(name);
  call?.view.note(`You are now ${name}.`);
  byId("menu").hidePopover();
};
byId("clear").onclick = () => {
  call?.view.clear();
  byId("menu").hidePopover();
};
byId("match").onclick = () => { call?.view.match(); };
byId("differ").onclick = () => {
  call?.view.differ();
  call?.conversation.leave(true);
};
byId("notify").hidden = !("Notification" in globalThis) || !isSecureContext;
byId("notify").onclick = (e) => { void notify(e.currentTarget as HTMLButtonElement); };
document.onvisibilitychange = () => {
  if (!document.hidden) call?.view.seen();
};
onbeforeunload = (e) => {
  if (call) e.preventDefault();
};
onpagehide = () => {
  if (!call) return;
  const kept = keepCall(call);
  if (!kept) call.conversation.abandon();
  if (kept || !call.met) call.life.abort(); // which gives the room back; else the last words need the connection
};
onpageshow = (e) => { if (e.persisted) arrive(); };

/** Goes on with the call that the page was left in, or answers the link that it was opened with. */
function arrive() {
  const kept = call ? undefined : take(base);
  if (kept?.inTime) void hold(kept.side, kept.code, kept);
  else if (kept) {
    startError.textContent = `The call with ${kept.conversation.peer.name} is over: this page was closed for too long. ${undelivered(messages(kept))}`;
    startError.hidden = false;
  }
  followLink();
}

/** Leaves the call to this page when it is loaded again; false if that cannot be. */
function keepCall(c: Call): boolean {
  const session = c.session.resumption;
  if (!c.met || !session || c.conversation.parting) return false;
  const files = c.files.files.interrupt("the page was loaded again");
  const saved = {
    side: c.side, code: c.code, relayOnly: c.relayOnly, anywhere: c.anywhere, accessKey: c.store.accessKey, compared: c.view.compared, files,
    conversation: c.conversation.save(), session,
  };
  return keep(base, saved, c.conversation.pause() ? backIn : longest);
}

/** Offers to hide the address where the server has a relay to do it, and to use servers on other hosts where it names some. */
async function offerRelay(): Promise<void> {
  const store = new Store(base);
  const list = await store.iceServers(undefined, AbortSignal.timeout(5000)).catch((e) => (e instanceof Failure && e.kind === "access-key" ? undefined : []));
  // A server with an access key tells only those who have it; then the call itself says whether there is a relay.
  const { used, elsewhere } = choose(list ?? [], hostname, false);
  relayOnlyField.hidden = list !== undefined && !used.some((s) => s.username);
  anywhereField.hidden = list !== undefined && elsewhere.length === 0;
}

if (typeof RTCPeerConnection !== "function" || typeof AbortSignal.any !== "function") {
  startError.textContent = "This browser cannot make calls: it is too old, or WebRTC is switched off.";
  startError.hidden = false;
}
byId("origin").textContent = location.host;
nameInput.value = recall("name");
if (onLoopback) {
  byId("call-about").textContent = "On this machine you need no code: start here, and answer in another tab or a terminal.";
  byId("answer-about").append(" Leave it empty for a call on this machine.");
  byId("new-code-field").hidden = false;
}
copyButtons(byId("copied"));
show("start", startTitle);
onhashchange = () => { followLink(); };
void offerRelay();
arrive();
