// The page: its forms and buttons start, answer and lead a call.

import { Book, type Held } from "./book.ts";
import { Call, hints, notSent, restOf, talkAgain, undelivered } from "./call.ts";
import * as codes from "./code.ts";
import { ContactView } from "./contactview.ts";
import { byId, discard, el, isDouble, show } from "./dom.ts";
import { Failure, readable } from "./failure.ts";
import { dropping } from "./fileview.ts";
import { choose } from "./iceservers.ts";
import { properName } from "./name.ts";
import { saveWaiting, takeCall, takeWaiting, undeliveredIn, type SavedCall, type Waited } from "./resume.ts";
import { Store, type Side } from "./store.ts";
import { inLobby, typed } from "./typed.ts";
import { askBeforeDrop, changed, hasUnsaved, takeLost, unsavedButtons } from "./unsaved.ts";
import { copyButtons } from "./waitingview.ts";
import { rightCode, wrongCode } from "./wrongcodes.ts";

const { hostname } = location;
const base = new URL(".", location.href).href.replace(/\/$/, ""); // of the server, which may be behind a path
const onLoopback = hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);

const startTitle = byId("start-title");
const codeInput = byId<HTMLInputElement>("code"), codeError = byId("code-error"), startError = byId("start-error");
const nameInput = byId<HTMLInputElement>("name"), keyInput = byId<HTMLInputElement>("key"), ownCode = byId<HTMLInputElement>("own-code");
const newName = byId<HTMLInputElement>("new-name"), relayOnly = byId<HTMLInputElement>("relay-only"), relayOnlyField = byId("relay-only-field");
const anywhere = byId<HTMLInputElement>("anywhere"), anywhereField = byId("anywhere-field");
const textBox = byId<HTMLTextAreaElement>("text"), textError = byId("text-error");

let call: Call | undefined; // the current one
let book: Book | Failure = new Failure("no-contacts", "The contacts are not open yet.");
const contacts = new ContactView(() => book, (side, contact) => void hold(side, undefined, contact));
let lost = ""; // what the person does not know yet, of an earlier page
const handOver = 5000; // ms in which the tab of an earlier page releases a contact
let resuming = false; // the call of an earlier page, whose contact is not held yet
let unsent: Waited | undefined; // an earlier page waited so for a contact, with a draft that no call has yet
let focusNext: HTMLElement = startTitle; // has the focus when a person gives up waiting

/** Holds a call from the first try to connect until it has ended. contact: whom the call is with. saved: the call of an earlier page. */
async function hold(side: Side, code: codes.Code | undefined, contact?: Held, saved?: SavedCall): Promise<void> {
  if (call) { // which another button has started
    contact?.release();
    return;
  }
  startError.hidden = true;
  const name = saved?.conversation.name ?? ownName();
  newName.value = saved ? name : nameInput.value;
  const checked = (box: HTMLInputElement) => box.checked && box.checkVisibility();
  const choices = saved ?? { accessKey: keyInput.value, relayOnly: checked(relayOnly), anywhere: checked(anywhere) };
  const mine = (call = new Call(base, onLoopback, side, code, { ...choices, name }, () => book, contact, saved));
  if (lost) mine.tell(lost);
  lost = "";
  const draft = saved?.draft ?? draftFor(contact);
  if (draft) textBox.value = draft; // a new view has emptied the box
  const failure = await mine.run();
  call = undefined;
  lost = mine.unread;
  document.title = "p2pchat";
  void contacts.refresh();
  if (mine.met) rightCode();
  if (mine.shown) codeInput.value = ownCode.value = ""; // they have done their work
  else if (failure && !mine.conversation.parting) refused(side, failure, code, contact);
  else show("start", focusNext);
  if (lost) showStartError("");
  focusNext = startTitle;
}

/** Takes the draft of a message to the contact that an earlier page had while it waited, and shows the conversation for it. */
function draftFor(contact?: Held): string {
  if (!unsent || unsent.contact?.id !== contact?.id) return "";
  const { draft } = unsent;
  unsent = undefined;
  call!.write();
  return draft;
}

/** calm: nothing has gone wrong. */
function showStartError(text: string, calm = false) {
  startError.classList.toggle("error", !calm || lost !== "");
  startError.textContent = `${text} ${lost}`.trim();
  startError.hidden = false;
  lost = "";
}

/** Tells the person something, wherever they are: a call may have begun since. */
function tell(text: string, calm = false) {
  if (call) call.tell(text);
  else showStartError(text, calm);
}

/** Shows why the two did not meet, by the form with which the person can mend it. */
function refused(side: Side, f: Failure, code?: codes.Code, contact?: Held) {
  const text = code && f.kind === "wrong-code" ? wrongCode(code, f) : `${f.message} ${hints[f.kind] ?? ""}`.trim();
  let focus: HTMLElement = side === "offer" || contact ? startTitle : codeInput;
  if (f.kind === "no-relay") {
    relayOnly.checked = false;
    relayOnlyField.hidden = true;
  }
  if (contact) showStartError(text.replace("The other side", () => contact.name), f.kind === "declined" || f.kind === "unanswered");
  else if (side === "answer") codeError.textContent = text; // by the field: on a phone the top of the page may be out of sight
  else showStartError(text);
  if (f.kind === "access-key") {
    showStartError(keyInput.value ? "That is not this server’s access key." : "To start a call on this server, type its access key. To answer one, you need no key.");
    startError.hidden = side === "answer";
    byId("key-field").hidden = false;
    focus = keyInput;
  }
  show("start", focus);
}

// The start.

/** Returns this side’s name, and stores it for the next call. */
function ownName(): string {
  try {
    localStorage.setItem("name", nameInput.value);
  } catch { /* then the person types it again */ }
  return properName(nameInput.value || "guest");
}

function storedName(): string {
  try {
    return localStorage.getItem("name") ?? "";
  } catch {
    return "";
  }
}

/** Answers the call of a typed code or a pasted invitation; origin: the text is of the page's address, or of the call for which an earlier page waited. */
function answer(text: string, origin?: "link" | "before") {
  codeError.textContent = "";
  let code: codes.Code;
  try {
    code = typed(text, base, onLoopback ? inLobby : undefined, origin === "before", origin === "link");
  } catch (e) {
    codeError.textContent = (e as Error).message;
    codeInput.focus();
    return;
  }
  void hold("answer", code);
}

// A key that is held is no answer to what its first press has asked.
document.onkeydown = (e) => { if (e.repeat && e.key === "Enter" && e.target !== textBox) e.preventDefault(); };

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
    showStartError((e as Error).message);
    ownCode.focus();
    return;
  }
  void hold("offer", code);
};

codeInput.oninput = () => {
  codeError.textContent = "";
  byId("codes").replaceChildren(...codes.complete(codeInput.value).map((value) => el("option", { value })));
};

/** Answers the code in the page's address, and removes it from there: it works for one call. */
function followLink() {
  const fragment = location.hash.slice(1);
  if (!fragment || resuming) return;
  history.replaceState(null, "", location.pathname);
  if (call) {
    call.tell("To answer another call, leave this one first.");
    return;
  }
  let text = fragment;
  try {
    text = decodeURIComponent(fragment);
  } catch { /* then it is not encoded */ }
  codeInput.value = text;
  if (askBeforeDrop()) return;
  backToStart(); // from the end of a call
  answer(text, "link");
}

// The conversation.

function say() {
  const text = textBox.value;
  textError.textContent = "";
  if (!call || text.trim() === "") return;
  if (text.trim() === "/again" && !byId("still-lost").hidden) { // as the terminal program calls it
    textBox.value = "";
    byId("reopen").click();
    return;
  }
  try {
    call.view.said(call.conversation.say(text), text);
    textBox.value = "";
  } catch (e) {
    textError.textContent = e instanceof RangeError ? e.message : String(e);
  }
  textBox.focus();
}

byId("composer").onsubmit = (e) => {
  e.preventDefault();
  say();
};
let shift = false;
textBox.onkeydown = (e) => { shift = e.shiftKey; };
textBox.addEventListener("beforeinput", (e) => { // the Enter of a phone's keyboard sends no key event
  if (e.inputType !== "insertLineBreak" || shift || e.isComposing) return;
  e.preventDefault();
  say();
});
function send(list: Iterable<File>) {
  if (call) textError.textContent = call.send(list);
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
  if (call?.met) textError.textContent = why;
  else if (call) call.note(why);
  else showStartError(why);
});
if (!CSS.supports("field-sizing", "content")) textBox.oninput = () => { textBox.rows = Math.min(6, textBox.value.split("\n").length); };
byId("leave").onclick = (e) => { if (!isDouble(e)) call?.leave(); };
byId("write").onclick = () => { call?.write(); };
byId("cancel").onclick = () => { call?.cancel(); };
byId("other-code").onclick = () => {
  focusNext = codeInput;
  call?.cancel();
  codeInput.select();
};
function backToStart() {
  discard(byId("log"), "content"); // so that the next person at this screen cannot read it
  changed();
  show("start", startTitle);
}
byId("again").onclick = () => { if (!askBeforeDrop()) backToStart(); };
unsavedButtons(backToStart);
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
/** Asks whether the words differ, since that ends the call, or no longer asks. */
function doubtWords(asks: boolean) {
  byId("verdict").hidden = asks;
  byId("differing").hidden = !asks;
  byId(asks ? "compare-again" : "match").focus();
}
byId("differ").onclick = () => { doubtWords(true); };
byId("compare-again").onclick = () => { doubtWords(false); };
byId("differ-sure").onclick = () => {
  call?.view.differ();
  call?.conversation.leave(true);
};

/** Switches notifications on or off. The browser asks the person for permission. */
async function notify(button: HTMLButtonElement): Promise<void> {
  const on = button.getAttribute("aria-pressed") !== "true" && (await Notification.requestPermission()) === "granted";
  button.setAttribute("aria-pressed", String(on));
}

byId("notify").hidden = !("Notification" in globalThis) || !isSecureContext;
byId("notify").onclick = (e) => { void notify(e.currentTarget as HTMLButtonElement); };
document.onvisibilitychange = () => {
  if (document.hidden) return;
  call?.view.seen();
  if (!call) contacts.seen();
};
onbeforeunload = (e) => {
  if (call || hasUnsaved()) e.preventDefault();
};
onpagehide = () => {
  if (call) call.leavePage(textBox.value);
  else if (unsent) saveWaiting(base, unsent);
};
onpageshow = (e) => { if (e.persisted) arrive(); };

/** Resumes the call in which the page was left, or for which it waited, or answers the link with which it was opened. */
function arrive() {
  const saved = call ? undefined : takeCall(base), waited = call ? undefined : takeWaiting(base);
  if (saved?.inTime || !hasUnsaved()) lost = takeLost();
  if (saved?.inTime) void (saved.contact ? resumeContact(saved) : hold(saved.side, saved.code, undefined, saved));
  const linked = location.hash !== "";
  followLink(); // before the person is told what is over: a call would take its place
  if (saved && !saved.inTime) tell(`The call with ${saved.conversation.peer.name} is over: this page was closed for too long. ${restOf(saved)} ${talkAgain}`, undeliveredIn(saved) === 0 && !saved.draft);
  else if (waited) waitAgain(waited, linked);
  if (lost && !resuming) tell("");
}

/** Goes on to answer, or says that this side's call is closed: it rings only when a person presses the button. */
function waitAgain(waited: Waited, linked: boolean) {
  const { side, code, contact } = waited;
  if (contact && waited.draft) unsent = waited;
  if (side === "offer") {
    tell(`Your call${contact ? ` to ${contact.name}` : ""} was closed, because this page was left before ${contact ? `${contact.name} answered. To go on, press Call again.`
      : "the other person came. To go on, start it again, and send the new code if you get one."}`, true);
  } else if (linked) {
    // The person has opened another call’s link.
  } else if (contact) {
    void answerContact(contact);
  } else {
    codeInput.value = code;
    answer(code, "before");
  }
}

/** Holds the contact of an earlier page, whose tab may hold the contact for a moment. */
async function holdAgain(id: string): Promise<{ held: Held | undefined; forgotten: boolean }> {
  resuming = true;
  const b = await opened, held = b instanceof Book ? await b.hold(id, AbortSignal.timeout(handOver)).catch(() => undefined) : undefined;
  const all = b instanceof Book ? await b.list().catch(() => []) : [];
  resuming = false;
  return { held, forgotten: !all.some((c) => c.id === id) };
}

/** Goes on to wait for a contact. */
async function answerContact({ id, name }: { id: string; name: string }): Promise<void> {
  const { held, forgotten } = await holdAgain(id);
  if (held) void hold("answer", undefined, held);
  followLink();
  if (held) return;
  tell(`This page no longer waits for ${name}: ${forgotten ? "the contact is forgotten" : `another tab is in a call with ${name}, or waits for one`}.${notSent(unsent?.draft)}`);
  unsent = undefined;
}

/** Resumes a call with a contact, unless the person has begun another one since. */
async function resumeContact(saved: SavedCall): Promise<void> {
  const { held, forgotten } = await holdAgain(saved.contact), busy = call !== undefined;
  if (!busy && held?.isLast(saved.conversation)) {
    void hold(saved.side, undefined, held, saved);
    followLink();
    return;
  }
  held?.release();
  followLink();
  const why = forgotten ? "the contact is forgotten" : busy ? "you have begun another one" : "another tab has gone on with it";
  tell(`The call with ${saved.conversation.peer.name} is over: ${why}. ${forgotten ? undelivered(undeliveredIn(saved)) + notSent(saved.draft) : restOf(saved)}`);
}

/** Offers to hide the address if the server has a relay for it, and to use servers on other hosts if it names some. */
async function offerRelay(): Promise<void> {
  const store = new Store(base);
  const list = await store.iceServers(undefined, AbortSignal.timeout(5000)).catch((e) => (e instanceof Failure && e.kind === "access-key" ? undefined : []));
  // A server with an access key lists them only for those who have it; then the call itself tells whether there is a relay.
  const { used, elsewhere } = choose(list ?? [], hostname, false);
  relayOnlyField.hidden = list !== undefined && !used.some((s) => s.username);
  anywhereField.hidden = list !== undefined && elsewhere.length === 0;
}

if (typeof RTCPeerConnection !== "function" || typeof AbortSignal.any !== "function") {
  showStartError("This browser cannot make calls: it is too old, or WebRTC is switched off.");
}
for (const e of document.querySelectorAll(".origin")) e.textContent = location.host;
const opened = Book.open(base).catch(readable).then((b) => (book = b));
void opened.then(() => contacts.refresh());
nameInput.value = storedName();
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
