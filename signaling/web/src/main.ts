// The page: it starts or answers a call, and holds the conversation.

import * as codes from "./code.ts";
import { Conversation, reason } from "./conversation.ts";
import { byId, el, show } from "./dom.ts";
import { dropping, FileItems } from "./files.ts";
import type { Failure, Kind } from "./failure.ts";
import { properName } from "./name.ts";
import { Session } from "./session.ts";
import { Store, type Side } from "./store.ts";
import { notify, Talking } from "./talk.ts";
import { copyButtons, Waiting } from "./wait.ts";

const { origin, hostname } = location;
const onLoopback = hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
const inLobby: codes.Code = { room: codes.lobby, secret: "" };

const startTitle = byId("start-title");
const codeInput = byId<HTMLInputElement>("code"), codeError = byId("code-error"), startError = byId("start-error");
const nameInput = byId<HTMLInputElement>("name"), keyInput = byId<HTMLInputElement>("key"), ownCode = byId<HTMLInputElement>("own-code");
const newName = byId<HTMLInputElement>("new-name"), relayOnly = byId<HTMLInputElement>("relay-only");
const textBox = byId<HTMLTextAreaElement>("text");

/** The call of the moment. */
interface Call {
  readonly conversation: Conversation;
  readonly view: Talking;
  readonly files: FileItems;
  readonly life: AbortController;
  met: boolean;
}
let call: Call | undefined;

/** Meets the other side, talks, and shows how it ended. */
async function hold(side: Side, code: codes.Code | undefined): Promise<void> {
  const view = new Talking();
  const name = ownName();
  newName.value = nameInput.value;
  remember("relay-only", relayOnly.checked ? "yes" : "");
  const store = new Store(origin);
  store.accessKey = keyInput.value;
  const waiting = new Waiting(side, origin, origin === "http://localhost:3000", onLoopback, code);
  const session = new Session(store, side, code, relayOnly.checked, waiting);
  const conversation = new Conversation(name, view);
  const files = new FileItems(conversation, view);
  view.onFile = (...args) => files.files.hear(...args);
  const mine: Call = { conversation, view, files, life: new AbortController(), met: false };
  call = mine;
  store.onTrouble = (why) => (mine.met ? view : waiting).trouble(why);
  let peer = "";
  view.onConnected = (pipe) => {
    mine.met = true;
    files.files.connected(pipe, peer === "" || peer === conversation.peer);
    peer = conversation.peer;
  };
  startError.hidden = true;
  show("wait", byId("wait-title"));
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
  else show("start", startTitle);
}

/** Says why the two did not meet, where the person can do something about it. */
function refused(side: Side, f: Failure) {
  const text = `${f.message} ${hints[f.kind] ?? ""}`.trim();
  let focus: HTMLElement = side === "offer" ? startTitle : codeInput;
  if (side === "answer") codeError.textContent = text; // by what was typed: on a phone the top may be out of sight
  else startError.textContent = text;
  startError.hidden = side === "answer";
  if (f.kind === "access-key") {
    startError.textContent = keyInput.value ? "That is not this server’s access key." : "This server opens rooms for those who have its access key. Guests need none.";
    byId("key-field").hidden = false;
    focus = keyInput;
  }
  show("start", focus);
}

const hints: Partial<Record<Kind, string>> = {
  "wrong-code": "Ask the caller to read the code out again, and type it once more.",
  burnt: "Start a new call for a new code, and tell it to the other person in another way: somebody may be guessing.",
  impostor: "Ask the caller for a new code: somebody may be guessing.",
  taken: "If the caller did not hang up, they are talking to somebody else who has the code: tell them.",
  occupied: "Choose another code, or answer that call.",
  "no-path": "A relay that both sides can reach would help: whoever runs the server can start it with --relay.",
  "no-relay": "Choose to show it, or ask whoever runs the server to start it with --relay.",
  replaced: "One of the two has to answer.",
  silent: "Both sides need the same version of p2pchat.",
};

function ended(c: Call, broken: number, f: Failure | undefined) {
  const n = c.conversation.undelivered;
  c.view.over([
    f ? `The call broke off: ${f.message}` : c.view.goneReply === false ? `${byId("peer-name").textContent} has left.` : "You have left.",
    f && hints[f.kind],
    n === 0 ? "Everything that you said was delivered." : n === 1 ? "One message was not delivered." : `${n} messages were not delivered.`,
    broken === 0 ? "" : broken === 1 ? "One file was not transferred." : `${broken} files were not transferred.`,
  ].filter(Boolean).join(" "));
}

// The start.

/** What this side is called, from now on and the next time, too. */
function ownName(): string {
  remember("name", nameInput.value);
  return properName(nameInput.value || "guest");
}

function remember(what: string, value: string) {
  try {
    localStorage.setItem(what, value);
  } catch { /* it is a comfort only */ }
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
  codeError.textContent = "";
  let code: codes.Code;
  try {
    code = text.trim() === "" && onLoopback ? inLobby : codes.parse(text);
  } catch (e) {
    codeError.textContent = (e as Error).message;
    codeInput.focus();
    return;
  }
  const odd = codes.unlisted(code);
  if (odd && doubted !== text) { // before it costs a try
    doubted = text;
    codeError.textContent = `“${odd}” is not a word that p2pchat puts into codes. If the code is right as it is, press Answer again.`;
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
    const why = "To answer another call, end this one first.";
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
dropping(() => call?.met === true && !byId("attach").hidden, send, (why) => (byId("text-error").textContent = why));
if (!CSS.supports("field-sizing", "content")) textBox.oninput = () => { textBox.rows = Math.min(6, textBox.value.split("\n").length); };
byId("leave").onclick = () => { call?.conversation.leave(); };
byId("cancel").onclick = () => {
  call?.conversation.leave();
  call?.life.abort();
};
byId("again").onclick = () => {
  byId("log").replaceChildren(); // who comes next need not read it
  show("start", startTitle);
};
byId("rename").onsubmit = (e) => {
  e.preventDefault();
  nameInput.value = newName.value;
  const name = ownName();
  call?.conversation.rename(name);
  call?.view.note(`You are called ${name} now.`);
  byId("menu").hidePopover();
};
byId("clear").onclick = () => {
  call?.view.clear();
  byId("menu").hidePopover();
};
byId("match").onclick = () => { call?.view.compared(); };
byId("differ").onclick = () => {
  call?.view.note("The words differ: somebody is in the middle of this call, and can read what is said. It was ended.");
  call?.conversation.leave();
};
byId("notify").hidden = !("Notification" in globalThis) || !isSecureContext;
byId("notify").onclick = (e) => { void notify(e.currentTarget as HTMLButtonElement); };
document.onvisibilitychange = () => {
  if (!document.hidden) call?.view.seen();
};
onbeforeunload = (e) => {
  if (call?.met) e.preventDefault();
};
onpagehide = () => {
  call?.conversation.abandon();
  if (!call?.met) call?.life.abort(); // which gives the room back; else the last words need the connection
};

if (typeof RTCPeerConnection !== "function" || typeof AbortSignal.any !== "function") {
  startError.textContent = "This browser cannot make calls: it is too old, or has WebRTC switched off.";
  startError.hidden = false;
}
byId("origin").textContent = location.host;
nameInput.value = recall("name");
relayOnly.checked = recall("relay-only") === "yes";
if (onLoopback) {
  byId("call-about").textContent = "On this machine’s own server no code is needed: start here, and answer in another tab or a terminal.";
  byId("answer-about").append(" Leave it empty for a call on this machine.");
  byId("new-code-field").hidden = false;
}
copyButtons();
show("start", startTitle);
onhashchange = () => { followLink(); };
followLink();
